"""The walkers and the direction sliders in JupyterLab and Notebook 7: what needs a front end or a kernel."""

import json
import re

import pytest

from tests.browser.conftest import REPEATS, read_number

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all
PAGE_HEIGHT = 2200  # pixels; all three walkers in sight

ALL = """
from IPython.display import display
from helpers.adapters import BertAdapter, ViTAdapter
from helpers.adapters.toy import paraboloid, waves
from helpers.datasets import load_digits
from helpers.widgets import ClassWalker, PlaneWalker, SentenceWalker
plane = PlaneWalker({"waves": waves, "paraboloid": paraboloid})
image = ClassWalker(ViTAdapter.load("vit-digits").in_pixels(), load_digits("test").images[17])
text = SentenceWalker(BertAdapter.load("bert-sentiment"), "The story is slow, but the two leads are a delight.")
for walker in (plane, image, text):
    display(walker)
"""
SLOW = """
import time
from helpers.adapters.toy import paraboloid
from helpers.widgets import PlaneWalker
pause = 0.0
def slow(point):
    time.sleep(pause)
    return paraboloid(point)
walker = PlaneWalker({"slow": slow})
walker
"""
DIRECTIONS = """
from IPython.display import display
from helpers.adapters import BertAdapter, ViTAdapter
from helpers.datasets import load_digits
from helpers.widgets import ImageDirections, SentenceDirections
digits = load_digits("test").images
image = ImageDirections(ViTAdapter.load("vit-digits").in_pixels(), digits[17], targets={"an 8": digits[14]})
text = SentenceDirections(BertAdapter.load("bert-sentiment"), "The story is slow, but the two leads are a delight.")
display(image, text)
"""
BOXES = """root => {
  const from = root.getBoundingClientRect();
  const parts = root.querySelectorAll(
    'button, select, input, .tm-outputs, .tm-plane, .tm-patch-grid, .tm-token-strip, .tm-drift-plot');
  return [root, ...parts].filter((part) => part.checkVisibility()).map((part) => {
    const box = part.getBoundingClientRect();
    return [box.x - from.x, box.y - from.y, box.width, box.height].map((n) => Math.round(2 * n) / 2);
  });
}"""
UNNAMED = """root => [...root.querySelectorAll('button, select, input, [tabindex]')]
  .filter((part) => part.checkVisibility() && part.tabIndex >= 0)
  .filter((part) => !(part.ariaLabel || part.innerText.trim() || part.labels?.[0]?.innerText))
  .map((part) => part.outerHTML)"""


@pytest.fixture
def open_walkers(open_notebook, hand):
    """Open all three walkers in a front end, and put a hand on each: open_walkers(app)."""

    def opened(**options):
        page = open_notebook(ALL, **options)
        return [hand(page, nth, name=name) for nth, name in enumerate(("plane", "image", "text"))]

    return opened


def drift(walker) -> float:
    return read_number(re.search(r"drift (\S+) nats", walker.status())[1])


def test_they_answer_at_once_and_do_not_disturb_each_other(open_walkers, report, take_picture):
    walkers = open_walkers()
    shown, names = [walker.status() for walker in walkers], ("PlaneWalker", "ClassWalker", "SentenceWalker")
    pictures = ("plane_walker", "class_walker", "sentence_walker")
    for index, (walker, name, picture) in enumerate(zip(walkers, names, pictures, strict=True)):
        before = walker.widget.evaluate(BOXES)
        report(f"step to screen, {name}", walker.median_of_steps(), wanted=0.5)
        take_picture(walker, picture)
        report(f"slider to screen, {name}", walker.median_of_slides(), wanted=0.2)
        assert walker.point() == 0
        assert walker.widget.evaluate(BOXES) == before, "nothing jumps while one steps"
        assert [other.status() for other in walkers[index + 1 :]] == shown[index + 1 :]
    assert walkers[0].ask("print(len(plane.path), len(image.path), len(text.path))") == f"{REPEATS} {REPEATS} {REPEATS}"
    walkers[1].press("step")
    walkers[1].wait_for_point(1)
    assert drift(walkers[1]) <= 1e-4
    walkers[1].choose("walk", "SiMExp")
    walkers[1].press("step")
    walkers[1].wait_for_point(2)
    assert walkers[1].last() == 2, "a step with another algorithm replaces what lay beyond"
    assert drift(walkers[1]) > 1e-3
    for walker, name in zip(walkers[1:], names[1:], strict=True):
        walker.press("race of all walks")
        walker.widget.locator(".tm-lane").nth(3).wait_for()
        report(f"race's step to screen, {name}", walker.median_of_steps(), wanted=1.0)


def test_directions_are_pulled_by_mouse_and_by_key(open_notebook, hand, report, take_picture):
    page = open_notebook(DIRECTIONS)
    image, text = (hand(page, nth, kind=".tm-directions") for nth in (0, 1))
    visible, null = (image.widget.get_by_role("slider", name=name) for name in ("visible 1", "null 1"))
    verdict = image.widget.locator(".tm-verdict")
    before = verdict.inner_text()
    told = lambda slider: slider.locator("xpath=..").locator(".tm-told")  # noqa: E731
    visible.press("End")
    image.wait_for_text("it was 3")
    null.press("End")
    told(null).get_by_text("moved by").wait_for()
    assert told(visible).inner_text() == "not moved"
    assert re.match(r"prediction: 3 \(0\.99", verdict.inner_text()) and before.startswith("prediction: 3 (0.99")
    box = visible.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 9, box["y"] + box["height"] / 2)
    image.wait_for_text("it was 3")
    words = text.widget.get_by_role("slider", name="visible 1")
    words.press("End")
    text.wait_for_text("it was")
    assert "towards" in text.widget.locator(".tm-words").first.inner_text()
    take_picture(image, "image_directions")
    take_picture(text, "sentence_directions")
    report("direction slider to screen", image.median_of_pulls(null, told(null)), wanted=0.2)


@pytest.mark.parametrize("app", ["lab/tree", "notebooks"])
def test_everything_that_can_be_reached_has_a_name_and_answers_to_keys(open_walkers, app):
    walkers = open_walkers(app=app)
    plane, image, text = walkers
    for walker in walkers:
        assert walker.widget.evaluate(UNNAMED) == []
        walker.widget.get_by_role("button", name="step", exact=True).focus()
        for index, key in enumerate(("Enter", "Space"), start=1):
            walker.page.keyboard.press(key)
            walker.wait_for_point(index)
        walker.handle().press("ArrowLeft")
        walker.wait_for_point(1)
        walker.handle().press("ArrowUp")
        walker.wait_for_point(2)
        walker.widget.get_by_role("button", name="play", exact=True).press("Enter")
        walker.wait_for_steps(3)
        walker.page.keyboard.press("Enter")
        walker.widget.get_by_role("button", name="play", exact=True).wait_for()
    image.part("patch row 3, column 3").press("ArrowDown")
    image.page.keyboard.press("Space")
    assert image.chosen() == ["patch row 4, column 3"]
    text.widget.get_by_role("button", name="delight", exact=True).press("ArrowLeft")
    text.page.keyboard.press("Enter")
    assert text.chosen() == ["a"]
    plane.widget.get_by_role("application").press("ArrowUp")
    plane.page.keyboard.press("Enter")
    plane.wait_for_point(0)


@pytest.mark.parametrize("app", ["lab/tree", "notebooks"])
def test_long_work_is_shown_while_it_lasts_and_can_be_stopped(open_notebook, hand, app):
    walker = hand(open_notebook(SLOW, app=app))
    stop = walker.widget.get_by_role("button", name="stop", exact=True)
    walker.press("step")
    walker.wait_for_point(1)
    bar = walker.widget.get_by_role("progressbar", name="computing", include_hidden=True)
    bar.wait_for(state="hidden")
    assert stop.is_disabled()
    walker.ask("pause = 2.0")  # seconds per evaluation, of which a step needs a dozen
    walker.press("play")
    walker.wait_for_text("computing")
    assert bar.is_visible()
    stop.press("Enter")
    walker.wait_for_text("stopped; all earlier results are kept")
    bar.wait_for(state="hidden")
    assert walker.last() == 1
    walker.ask("pause = 0.0")
    walker.press("step")
    walker.wait_for_point(2)
    assert "stopped" not in walker.status()


def test_a_saved_notebook_carries_no_widget_state(open_notebook, hand, lab):
    walker = hand(open_notebook(SLOW))
    walker.press("step")
    walker.wait_for_point(1)
    walker.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = json.loads((lab.folder / "test.ipynb").read_text())
    assert "all cells have run" in str(saved["cells"][-1]["outputs"]), "it was saved after the run"
    assert "widgets" not in saved["metadata"]


def test_a_kernel_restart_leaves_no_broken_view(open_notebook, hand, run_again):
    walker = hand(open_notebook(SLOW))
    walker.press("step")
    walker.wait_for_point(1)
    walker.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    walker.wait_for_text("run the cell again")
    assert walker.page.locator(".tm-walker > [inert]").count() == 5, "controls that nobody answers take no clicks"
    run_again(walker.page)
    walker = hand(walker.page)
    walker.press("step")
    walker.wait_for_point(1)
    assert walker.page.locator(".tm-walker").count() == 1
    assert walker.page.locator("[inert]").count() == 0

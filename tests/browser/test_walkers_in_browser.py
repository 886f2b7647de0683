"""The walkers and the direction sliders as a hand would use them: in JupyterLab, Notebook 7 and a real browser."""

import json
import re

import pytest

from tests.browser.conftest import read_number

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all

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
def page(page):
    page.set_viewport_size({"width": 1200, "height": 2200})  # all three walkers in sight
    return page


@pytest.fixture
def walkers(open_notebook, hand):
    page = open_notebook(ALL)
    return [hand(page, nth, name=name) for nth, name in enumerate(("plane", "image", "text"))]


def drift(walker) -> float:
    return read_number(re.search(r"drift (\S+) nats", walker.status())[1])


def test_they_answer_at_once_and_do_not_disturb_each_other(walkers, report, take_picture):
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
    assert walkers[0].ask("print(len(plane.path), len(image.path), len(text.path))") == "20 20 20"
    walkers[1].press("step")
    walkers[1].wait_for_point(1)
    assert drift(walkers[1]) <= 1e-4
    walkers[1].choose("walk", "SiMExp")
    walkers[1].press("step")
    walkers[1].wait_for_point(2)
    assert walkers[1].last() == 2, "a step with another algorithm replaces what lay beyond"
    assert drift(walkers[1]) > 1e-3


def test_parts_are_chosen_by_click_by_painting_and_by_key(walkers):
    _, image, text = walkers
    first, last = (image.part(f"patch row 3, column {column}") for column in (2, 4))
    first.click()
    assert image.chosen() == ["patch row 3, column 2"], "the first click chooses what is clicked"
    boxes = [cell.bounding_box() for cell in (first, last)]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    image.press("all patches")
    image.page.mouse.move(*middles[0])
    image.page.mouse.down()
    image.page.mouse.move(*middles[1], steps=8)
    image.page.mouse.up()
    assert image.chosen() == [f"patch row 3, column {column}" for column in (2, 3, 4)]
    last.press("ArrowDown")
    image.page.keyboard.press("Space")
    assert image.chosen()[-1] == "patch row 4, column 4"
    image.press("step")
    image.wait_for_point(1)
    moved = "print((image.path.points[1] - image.path.points[0]).abs().sum(1).nonzero().flatten().tolist())"
    assert image.ask(moved) == "[23, 24, 25, 32]"
    strip = text.widget.locator(".tm-token-strip")
    assert strip.locator("button:disabled").all_inner_texts() == ["[CLS]", "[SEP]"]
    word = strip.get_by_role("button", name="delight", exact=True)
    word.click()
    word.press("ArrowLeft")
    text.page.keyboard.press("Enter")
    assert text.chosen() == ["a", "delight"]
    word.click()
    assert text.chosen() == ["a"]


def test_the_race_shows_four_walks_and_one_plot(walkers, report, take_picture):
    for walker, name in zip(walkers[1:], ("ClassWalker", "SentenceWalker"), strict=True):
        walker.press("race of all walks")
        walker.widget.locator(".tm-lane").nth(3).wait_for()
        report(f"race's step to screen, {name}", walker.median_of_steps(), wanted=1.0)
        drifts = walker.widget.locator(".tm-lane-drift").all_inner_texts()
        corrected, simec, simexp, random = (read_number(re.search(r"drift (\S+) nats", text)[1]) for text in drifts)
        assert corrected <= 1e-4 < simec < min(simexp, random)
        plot = walker.widget.locator(".tm-drift-plot")
        assert plot.locator("text.tm-name").all_inner_texts() and plot.locator("path.tm-line").count() == 4
        assert plot.locator("text", has_text="tolerance").count() == 1
        if walker is walkers[1]:
            take_picture(walker, "race")
        walker.handle().press("Home")
        walker.wait_for_point(0)
        assert walker.last() == 20
        walker.press("one walk")
        walker.widget.locator(".tm-lane").first.wait_for(state="detached")
        assert walker.point() == 0


def test_a_sentence_is_typed_and_a_word_put_in(walkers):
    text = walkers[2]
    text.widget.get_by_text("another input").click()
    typed = text.widget.get_by_label("sentence", exact=True)
    typed.fill("  ")
    typed.press("Enter")
    text.wait_for_text("must be one text with at least one word")
    typed.fill("A warm and funny film.")
    typed.press("Enter")
    word = text.widget.get_by_role("button", name="funny", exact=True)
    word.hover()
    text.wait_for_text("“funny” in the sentence itself; the model holds equal:")
    assert text.status().startswith("point 0 of 0"), "the error has gone"
    changing = text.widget.locator(".tm-word-row").nth(1).locator("button").first
    assert re.search(r"\(0\.\d+, negative\)", changing.inner_text())
    changing.click()
    word.wait_for(state="detached")
    assert "funny" not in text.ask("print(text.walk.input.raw)")


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
    report("direction slider to screen", image.median_of_pulls(null, told(null), 20), wanted=0.2)


def test_two_views_of_one_walker_show_the_same(open_notebook, hand):
    page = open_notebook(SLOW.removesuffix("walker\n"), "walker.step()\nwalker.restart()\nwalker", "walker")
    one, other = hand(page, 0), hand(page, 1)
    one.press("step")
    other.wait_for_point(1)
    other.press("step")
    one.wait_for_point(2)
    assert one.status() == other.status()
    lines = [view.widget.locator(".tm-plane .tm-line.tm-naive").get_attribute("d") for view in (one, other)]
    assert lines[0] == lines[1] and lines[0].count("L") == 2


def test_everything_that_can_be_reached_has_a_name_and_answers_to_keys(walkers):
    for walker in walkers:
        assert walker.widget.evaluate(UNNAMED) == []
        walker.widget.get_by_role("button", name="step", exact=True).focus()
        for index, key in enumerate(("Enter", "Space"), start=1):
            walker.page.keyboard.press(key)
            walker.wait_for_point(index)
        walker.handle().press("ArrowLeft")
        walker.wait_for_point(1)
        walker.widget.get_by_role("button", name="play", exact=True).press("Enter")
        walker.wait_for_steps(3)
        walker.page.keyboard.press("Enter")
        walker.widget.get_by_role("button", name="play", exact=True).wait_for()


def test_the_keyboard_sets_the_start_of_the_plane(walkers):
    walker = walkers[0]
    plane = walker.widget.get_by_role("application")
    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "ArrowDown"):
        walker.page.keyboard.press(key)
    assert "x = 1.19, y = 0.50" in walker.widget.locator(".tm-where").inner_text()
    assert walker.ask("print(plane.choices['start'])") == "(1.0, 0.5)", "the cross only aims"
    walker.page.keyboard.press("Enter")
    walker.page.wait_for_function(
        "box => box.getAttribute('cx') > 230", arg=plane.locator(".tm-start").element_handle()
    )
    walker.press("step")
    walker.wait_for_point(1)
    assert walker.ask("print(plane.path.points[0].tolist())") == "[1.19, 0.5]"


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


def test_an_error_is_shown_in_the_widget_and_stops_play(open_notebook, hand):
    walker = hand(open_notebook(SLOW))
    walker.press("play")
    walker.wait_for_steps(2)
    walker.ask("paraboloid = lambda point: 1 / 0")
    walker.widget.get_by_role("alert").filter(has_text="cannot step: division by zero").wait_for()
    walker.widget.get_by_role("button", name="play", exact=True).wait_for()
    walker.ask("from helpers.adapters.toy import paraboloid")
    made = int(walker.ask("print(len(walker.path))"))
    walker.press("step")
    walker.wait_for_point(made + 1)


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


def test_a_saved_notebook_carries_no_widget_state(open_notebook, hand, lab):
    walker = hand(open_notebook(SLOW))
    walker.press("step")
    walker.wait_for_point(1)
    walker.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    saved = json.loads((lab.folder / "test.ipynb").read_text())
    assert "all cells have run" in str(saved["cells"][-1]["outputs"]), "it was saved after the run"
    assert "widgets" not in saved["metadata"]


def test_notebook_7_runs_them_too(open_notebook, hand):
    page = open_notebook(ALL, app="notebooks")
    walkers = [hand(page, nth, name=name) for nth, name in enumerate(("plane", "image", "text"))]
    for walker in walkers:
        walker.press("step")
        walker.wait_for_point(1)
        walker.handle().press("ArrowLeft")
        walker.wait_for_point(0)
        walker.handle().press("ArrowUp")
        walker.wait_for_point(1)
    cell = walkers[1].part("patch row 3, column 3")
    cell.press("ArrowDown")
    walkers[1].page.keyboard.press("Space")
    assert walkers[1].chosen() == ["patch row 4, column 3"]
    walkers[0].widget.get_by_role("application").press("ArrowUp")
    walkers[0].page.keyboard.press("Enter")
    walkers[0].wait_for_point(0)
    walkers[1].play_until(2)

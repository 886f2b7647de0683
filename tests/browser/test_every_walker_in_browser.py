"""What holds for every walker: several on one page, both themes, keyboard, names, errors, a kernel that goes."""

import json

import pytest

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
BOXES = """root => {
  const from = root.getBoundingClientRect();
  const parts = root.querySelectorAll(
    'button, select, .widget-slider, .tm-bars, .tm-plane, .tm-patch-grid, .tm-token-strip, .tm-status');
  return [root, ...parts].map((part) => {
    const box = part.getBoundingClientRect();
    return [box.x - from.x, box.y - from.y, box.width, box.height].map((n) => Math.round(2 * n) / 2);
  });
}"""
# texts of the views whose colour stands out too little from the ground under it, by the WCAG's measure
FAINT = """root => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const paint = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [], checked = [];
  for (const view of root.querySelectorAll('.tm-plane, .tm-bars, .tm-token-strip, .tm-status')) {
    for (const part of view.querySelectorAll('*')) {
      if (![...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
      const style = getComputedStyle(part), grounds = [];
      for (let at = part; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
      const ink = part instanceof SVGElement ? style.fill : style.color;
      const [a, b] = [light(paint(grounds)), light(paint([...grounds, ink]))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      checked.push(part.textContent);
      if (contrast < 4.5) faint.push(`${part.className} ${part.textContent}: ${contrast.toFixed(1)}`);
    }
  }
  return [checked.length, faint];
}"""
UNNAMED = """root => [...root.querySelectorAll('button, select, [tabindex], [contenteditable=true]')]
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


def test_they_do_not_disturb_each_other(walkers):
    shown = [walker.status() for walker in walkers]
    for index, walker in enumerate(walkers):
        walker.press("step")
        walker.wait_for_point(1)
        assert [other.status() for other in walkers[index + 1 :]] == shown[index + 1 :]
    still = walkers[0].status(), walkers[2].status(), walkers[2].bars()
    walkers[1].choose_none()
    walkers[1].press("all patches")
    walkers[1].play_until(3)
    assert (walkers[0].status(), walkers[2].status(), walkers[2].bars()) == still
    assert walkers[0].ask("print(len(plane.path), len(image.path), len(text.path))") == f"1 {walkers[1].last()} 1"


def test_two_views_of_one_walker_show_the_same(open_notebook, hand):
    page = open_notebook(SLOW, "walker")
    one, other = hand(page, 0), hand(page, 1)
    one.press("step")
    other.wait_for_point(1)
    other.press("step")
    one.wait_for_point(2)
    assert one.bars() == other.bars()
    assert max(one.bars()) > 0, "the naive walk has drifted"


def test_nothing_jumps_while_stepping(walkers):
    for walker in walkers:
        walker.page.wait_for_timeout(300)
        before = walker.widget.evaluate(BOXES)
        walker.choose(
            "step length",
            walker.widget.get_by_label("step length").locator("option").last.inner_text().replace("\\xa0", " "),
        )
        if walker is not walkers[0]:
            walker.choose("walk", "SiMExp")
        for step in range(1, 12):
            walker.press("step")
            walker.wait_for_point(step)
            assert walker.widget.evaluate(BOXES) == before
        walker.drag_slider(0.0)
        walker.wait_for_point(0)
        assert walker.widget.evaluate(BOXES) == before


def test_every_text_can_be_read_in_either_theme(walkers):
    page = walkers[0].page
    for walker in walkers:
        walker.press("step")
        walker.wait_for_point(1)
    walkers[2].choose_none()
    walkers[2].press("step")
    walkers[2].wait_for_text("click at least one")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        page.wait_for_timeout(500)  # the style sheet is applied
        for walker, texts in zip(walkers, (17, 20, 20), strict=True):
            checked, faint = walker.widget.evaluate(FAINT)
            assert checked >= texts and faint == [], theme


def test_everything_that_can_be_reached_has_a_name_and_answers_to_keys(walkers):
    for walker in walkers:
        assert walker.widget.evaluate(UNNAMED) == []
        walker.widget.get_by_role("button", name="step", exact=True).focus()
        for index, key in enumerate(("Enter", "Space"), start=1):
            walker.page.keyboard.press(key)
            walker.wait_for_point(index)
        walker.handle().press("ArrowLeft")
        walker.wait_for_point(1)
        walker.widget.get_by_role("button", name="play or pause").press("Enter")
        walker.wait_for_steps(3)
        walker.widget.get_by_role("button", name="play or pause").press("Enter")


def test_long_work_is_shown_and_the_kernels_interrupt_stops_it(open_notebook, hand):
    walker = hand(open_notebook(SLOW))
    walker.press("step")
    walker.wait_for_point(1)
    bar = walker.widget.get_by_role("progressbar", include_hidden=True)
    bar.wait_for(state="hidden")
    walker.ask("pause = 600.0")
    walker.press("step")
    bar.wait_for(state="visible")
    walker.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    walker.wait_for_text("interrupted; all earlier results are kept")
    bar.wait_for(state="hidden")
    assert walker.ask("pause = 0.0; print(len(walker.path))") == "1"
    walker.press("step")
    walker.wait_for_point(2)


def test_an_error_is_shown_in_the_widget_and_stops_play(open_notebook, hand):
    walker = hand(open_notebook(SLOW))
    walker.press("play or pause")
    walker.wait_for_steps(2)
    walker.ask("paraboloid = lambda point: 1 / 0")
    walker.widget.get_by_role("alert").filter(has_text="cannot step: division by zero").wait_for()
    walker.page.wait_for_timeout(1000)
    assert "division by zero" in walker.status()
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
    assert walker.page.locator(".tm-walker > [inert]").count() == 3, "controls that nobody answers take no clicks"
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
    walkers[1].choose_none()
    cell = walkers[1].widget.get_by_role("gridcell", name="patch row 3, column 3")
    cell.press("ArrowDown")
    walkers[1].page.keyboard.press("Space")
    below = walkers[1].widget.get_by_role("gridcell", name="patch row 4, column 3")
    assert below.get_attribute("aria-selected") == "true"
    walkers[0].widget.get_by_role("application").press("ArrowUp")
    walkers[0].page.keyboard.press("Enter")
    walkers[0].wait_for_point(0)
    walkers[1].play_until(2)

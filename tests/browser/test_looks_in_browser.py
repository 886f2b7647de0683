"""Every widget in Notebook 7 and in Voilà, at three widths, light and dark: all of it fits, can be read and be used.

With WIDGET_PICTURES set, pictures of what was seen are kept in ``runs/widgets``, a folder that git ignores. Axe is a
checker of accessibility.
"""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PIXELS, find_free_port, serve

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all

FOLDER = Path(__file__).parents[2] / "runs" / "widgets"
WIDTHS = (390, 800, 1600)
THEMES = {"dark": 17, "light": 255}  # theme -> red of the background of a figure
SMALL = """
import time
import ipywidgets
import matplotlib.pyplot as plt
from helpers.adapters.toy import paraboloid, waves
from helpers.vocabulary import Reading, top_tokens
from helpers.weights import load_weights
from helpers.widgets import FigureExplorer, ParameterBrowser, PlaneWalker

def draw(text):
    figure, ax = plt.subplots(figsize=(4, 2))
    ax.bar(list(text), range(len(text)))
    ax.set_title(text)
    return figure

def slow(point):
    time.sleep(0.02)  # more than two minutes for the level curves
    return paraboloid(point)

plane = PlaneWalker({"waves": waves, "slow": slow})
weights = load_weights("gpt2-reviews", fold=True)
first = top_tokens(weights, weights.W_out(0)[0], 1, Reading(words_only=False)).ids
weights.item_names[first] = "<img src=x onerror='window.broken = 1'>"  # it would run, were it read as HTML
browser = ParameterBrowser(weights)
explorer = FigureExplorer(draw, text=ipywidgets.Text("manifold", continuous_update=False))
"""
LARGE = """
from helpers.adapters import BertAdapter, ViTAdapter
from helpers.datasets import load_digits
from helpers.widgets import ClassWalker, ImageDirections, SentenceDirections, SentenceWalker
vit, bert, text = ViTAdapter.load("vit-digits").in_pixels(), BertAdapter.load("bert-sentiment"), "A warm film."
image, sentence = ClassWalker(vit, load_digits("test").images[17]), SentenceWalker(bert, text)
pixels, words = ImageDirections(vit, load_digits("test").images[17]), SentenceDirections(bert, text, towards=["awful"])
"""
CUT = """root => {
  const edge = root.parentElement.getBoundingClientRect().right + 1;
  return [root, ...root.querySelectorAll('*')]
    .filter((part) => part.checkVisibility() && getComputedStyle(part).position !== 'absolute')
    .filter((part) => !part.closest('.noUi-base') && part.getBoundingClientRect().right > edge)
    .slice(0, 5).map((part) => part.outerHTML.slice(0, 120));
}"""
# texts whose colour stands out too little from the ground under it, by the measure of the WCAG, and how many were read
FAINT = """root => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const paint = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [];
  let read = 0;
  for (const part of root.querySelectorAll('*:not(option, [hidden] *, :disabled)')) {
    const hasText = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!hasText || !part.checkVisibility()) continue;
    const style = getComputedStyle(part), grounds = [];
    for (let at = part; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ink = part instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(paint(grounds)), light(paint([...grounds, ink]))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    read += 1;
    if (contrast < 4.5) faint.push(`${part.getAttribute('class')} ${part.textContent}: ${contrast.toFixed(1)}`);
  }
  return read ? faint : ['no text'];
}"""
SERIOUS = """async (root) => (await axe.run(root, { resultTypes: ['violations'] })).violations
  .filter((found) => ['serious', 'critical'].includes(found.impact))
  .map((found) => [found.id, ...found.nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`)])"""


def use_widgets(page):
    """Step, stop, open a neuron by the keyboard and a word's neuron by the mouse, and draw another figure."""
    walker, browser, explorer = (page.locator(f".tm-{name}").first for name in ("walker", "browser", "figure-explorer"))
    walker.get_by_role("button", name="step", exact=True).click()
    walker.get_by_text("point 1 of 1").wait_for()
    walker.get_by_label("function", exact=True).select_option("slow")
    walker.get_by_text("computing").wait_for()
    walker.get_by_role("button", name="stop", exact=True).click()
    walker.get_by_text("stopped; all earlier results are kept").wait_for()
    walker.get_by_label("function", exact=True).select_option("waves")
    browser.locator(".tm-layer").last.wait_for()  # the map is drawn, and takes keys
    browser.locator("progress").wait_for(state="hidden")  # it is complete
    field = browser.get_by_role("application")
    for key in ("PageDown", "ArrowRight", "ArrowRight", "Enter"):
        field.press(key)
    browser.get_by_text("neuron: value (W_out), layer 1, neuron 2").wait_for()
    browser.get_by_label("layer (0 to 3)").fill("7")
    browser.get_by_label("layer (0 to 3)").press("Enter")
    browser.get_by_role("alert").filter(has_text="layer=7: must be between 0 and 3").wait_for()
    for label in ("layer (0 to 3)", "neuron (0 to 767)"):
        browser.get_by_label(label).fill("0")
        browser.get_by_label(label).press("Enter")
    browser.get_by_label("beginnings of words only").click()
    browser.get_by_text("<img src=x onerror='window.broken = 1'>").wait_for()
    browser.get_by_label("beginnings of words only").click()
    browser.get_by_text("map of words", exact=True).click()
    browser.get_by_label("scores", exact=True).select_option("absolute")
    browser.get_by_text("squares: below 0; scores from −").wait_for()
    explorer.get_by_label("text").fill("kernel")
    explorer.get_by_label("text").press("Enter")
    expect(explorer.locator("img")).to_have_attribute("alt", re.compile("^Figure. kernel. Drawn for text = kernel"))
    assert page.evaluate("() => window.broken") is None, "a token is text, never HTML"


def change_theme(page, theme):
    """Change the theme and wait until the figure, which the kernel draws, has followed."""
    name = f"JupyterLab {theme.title()}"
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
    seen = f"async (image) => (await ({PIXELS})(image))[0] === {THEMES[theme]}"
    page.wait_for_function(seen, arg=page.locator(".tm-figure-explorer img").element_handle())


def test_every_widget_fits_and_can_be_read_at_every_width_in_either_theme(open_notebook):
    script = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python").AXE_SCRIPT
    names = ("plane", "browser", "explorer", "image", "sentence", "pixels", "words")
    page = open_notebook(SMALL + LARGE, *names, app="notebooks")
    use_widgets(page)
    page.evaluate(script)
    widgets = {name: page.locator(".tm-whole").nth(index) for index, name in enumerate(names)}
    widgets["sentence"].get_by_text("race of all walks").click()  # the widest view that there is
    widgets["sentence"].locator(".tm-lane").nth(3).wait_for()
    cut, serious = {}, {}
    for theme in THEMES:
        change_theme(page, theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 2600})
            for name, widget in widgets.items():
                widget.scroll_into_view_if_needed()
                if os.environ.get("WIDGET_PICTURES"):
                    widget.screenshot(path=FOLDER / f"{name}_{width}_{theme}.png")
                cut[name, width, theme] = widget.evaluate(CUT)
        for name, widget in widgets.items():
            serious[name, theme] = widget.evaluate(SERIOUS) + widget.evaluate(FAINT)  # axe reads only some of the texts
    assert {at: found for at, found in (cut | serious).items() if found} == {}


@pytest.mark.skipif(find_spec("voila") is None, reason="needs Voilà: pip install voila")
def test_voila_runs_them_too(page, tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (SMALL, "plane", "browser", "explorer")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "test.ipynb")
    port, own = find_free_port(), {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "voila", "test.ipynb", "--no-browser", f"--port={port}", "--theme=dark"]
    command += ["--VoilaConfiguration.extension_denylist=@jupyter-notebook/lab-extension"]  # it wants all of Notebook
    with serve(command, f"http://127.0.0.1:{port}/static/none", tmp_path, own):
        page.goto(f"http://127.0.0.1:{port}")
        use_widgets(page)
        assert page.locator(".tm-figure-explorer img").evaluate(PIXELS)[0] == THEMES["dark"]
        page.goto("about:blank")  # before the server ends, or the page would complain

"""The notebooks' widgets on the built site: they play without a kernel, as wide as on a desk and as on a phone.

The site is served from a folder of a plain file server. The fixture `page` fails on a request that leaves this machine
and on an error in the console.
"""

import json
import re

import pytest
from playwright.sync_api import expect

from notebooks.execute import NOTEBOOKS, SESSIONS
from tests.browser.conftest import read_number
from tests.browser.test_looks_in_browser import CUT, FAINT, SERIOUS

pytestmark = pytest.mark.xdist_group("browser")  # one browser and one built site for all

NAMES = sorted(path.stem for path in SESSIONS.glob("*.json"))
AXE = SERIOUS.replace(
    "{ ", "{ preload: false, ", 1
)  # or it would ask for style sheets of the theme's that are not there
NEEDS_KERNEL = "This page plays what was stored."


@pytest.fixture
def open_session(page, address):
    """Open the page of a stored session, and return the widget: open_session(name)."""

    def opened(name):
        (path,) = NOTEBOOKS.glob(f"{name.split('-')[0]}_*.ipynb")
        page.goto(f"{address}/notebooks/{path.stem}.html")
        place = page.locator(f"[data-session='{name}']")
        place.scroll_into_view_if_needed()
        place.locator(".tm-whole").wait_for()
        return place

    return opened


def play_walker(place, page):
    """Step, slide, race, choose another input, and ask for what was not stored."""
    press = lambda name: place.get_by_role("button", name=name, exact=True).click()  # noqa: E731
    press("step")
    place.get_by_text(re.compile("^point 1 of ")).wait_for()
    press("play")
    place.get_by_text(re.compile(r"^point ([3-9]|\d\d) of ")).wait_for()
    place.get_by_role("button", name=re.compile("^(pause|play)$")).click()  # it has ended already on a slow machine
    place.get_by_role("slider", name="point shown").press("End")
    place.get_by_text(re.compile(r"point (\d+) of \1:")).wait_for()
    press("step")
    place.get_by_text("The stored walk ends here").wait_for()
    place.get_by_role("slider", name="point shown").press("Home")
    place.get_by_text(re.compile("^point 0 of ")).wait_for()
    before = place.locator(".tm-value").all_inner_texts()
    place.get_by_label("walk", exact=True).select_option("SiMExp")
    press("step")
    place.get_by_text(re.compile("^point 1 of ")).wait_for()
    assert place.locator(".tm-value").all_inner_texts() != before
    press("race of all walks")
    press("step")
    expect(place.locator(".tm-lane")).to_have_count(4)
    assert all(re.search(r"drift (?!0 )\S", text) for text in place.locator(".tm-lane-drift").all_inner_texts())
    press("one walk")
    place.get_by_text("another input", exact=True).click()
    names = place.get_by_label("input", exact=True).locator("option").all_inner_texts()
    shown = place.locator(".tm-value").all_inner_texts()
    place.get_by_label("input", exact=True).select_option(names[-1])
    expect(place.locator(".tm-value").first).not_to_have_text(shown[0])
    place.get_by_label("step length").select_option("medium")
    place.locator(".tm-patch-grid button, button.tm-token:enabled").first.click()
    expect(place.get_by_role("alert")).to_contain_text(NEEDS_KERNEL)
    assert not place.locator("[aria-selected=true], .tm-token[aria-pressed=true]").count()


def play_plane(place, page):
    """Walk along a level curve: the corrected walk stays on it, the naive one does not."""
    for i in range(1, 7):
        place.get_by_role("button", name="step", exact=True).click()
        place.get_by_text(f"point {i} of {i}").wait_for()
    naive, corrected = re.search(r"drift: naive (\S+), corrected (\S+)", place.inner_text()).groups()
    assert read_number(corrected) <= 1e-10 < 0.1 < read_number(naive)
    for name in ("saddle", "waves"):
        place.get_by_label("function").select_option(name)
        place.get_by_text("point 0 of 0").wait_for()
        place.get_by_role("button", name="step", exact=True).click()
        place.get_by_text("point 1 of 1").wait_for()
        assert read_number(re.search(r"corrected (\S+)", place.inner_text())[1]) <= 1e-10
    place.get_by_role("application").press("ArrowUp")
    place.get_by_role("application").press("Enter")
    place.get_by_text("point 0 of 0").wait_for()


def play_directions(place, page):
    """A visible direction changes the prediction; a null one of the same length does not change it as much."""
    sliders, told = place.get_by_role("slider"), place.locator(".tm-told")
    drifts = []
    for index in (0, sliders.count() - 1):
        sliders.nth(index).press("End")
        expect(told.nth(index)).to_contain_text("outputs change by up to")
        drifts.append(read_number(re.search(r"up to (\S+)", told.nth(index).inner_text())[1]))
        assert place.locator(".tm-flipped").count() == (index == 0)
    assert drifts[1] < drifts[0]


def play_figures(place, page):
    """Each control that has a choice changes the figure, and what it says."""
    picture = place.locator("img")
    for control in place.locator("select:enabled, input:enabled").all():
        before, is_first = picture.get_attribute("alt"), control.input_value() == "0"
        if control.get_attribute("type") == "range":
            control.press("End" if is_first else "Home")
        else:
            control.select_option(index=int(is_first))
        expect(picture).not_to_have_attribute("alt", before)
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100


def play_browser(place, page):
    """Open a neuron by the keyboard, and a head."""
    field, first = place.get_by_role("application"), place.locator(".tm-scores .tm-name").first
    before = first.inner_text()
    for key in ("Home", "ArrowRight", "Enter"):
        field.press(key)
    expect(place.locator("[role=status]").last).to_contain_text("neuron 1")
    assert first.inner_text() != before and place.locator(".tm-scores [role=listitem]").count() == 24
    place.get_by_label("what").select_option(label="head: pairs of W_OV")
    expect(first).to_contain_text("→")


PLAYS = {"walker": play_walker, "plane": play_plane, "directions": play_directions, "figures": play_figures,
         "browser": play_browser}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_plays_and_all_of_it_can_be_seen_and_read(name, page, open_session):
    axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe-playwright-python").AXE_SCRIPT
    place = open_session(name)
    assert not place.locator("xpath=following-sibling::*[1]").is_visible(), "the still picture makes room"
    PLAYS[json.loads((SESSIONS / f"{name}.json").read_text())["view"]](place, page)
    notebook = place.get_by_role("link", name="the notebook")
    assert page.request.get(notebook.evaluate("(link) => link.href")).json()["cells"]
    page.evaluate(axe)
    for width, theme in ((1300, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 1000})
        page.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
        found = place.evaluate(CUT) + place.evaluate(AXE) + place.evaluate(FAINT)
        assert not found and page.evaluate("() => document.scrollingElement.scrollWidth - innerWidth") == 0


def test_it_plays_when_opened_from_disk(page, site):
    (path,) = NOTEBOOKS.glob("03_*.ipynb")
    page.goto((site / "notebooks" / f"{path.stem}.html").as_uri())
    page.locator(".tm-session").last.scroll_into_view_if_needed()
    page.locator(".tm-walker").get_by_role("button", name="step", exact=True).click()
    page.get_by_text(re.compile("^point 1 of ")).wait_for()

"""The class walker as a hand would use it, in JupyterLab and a real browser."""

import re
import statistics
import time

import pytest

SETUP = """
from helpers.adapters import ViTAdapter
from helpers.datasets import load_digits
from helpers.widgets import ClassWalker
walker = ClassWalker(ViTAdapter.load("vit-digits").in_pixels(), load_digits("test").images[17])
walker
"""


@pytest.fixture
def page(open_notebook):
    return open_notebook(SETUP)


def status(page) -> str:
    return page.locator("[role=status]").inner_text()


def picture(page) -> str:
    return page.locator(".tm-patch-grid img").get_attribute("src")


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def wait_for_point(page, index: int) -> None:
    page.wait_for_function(f"document.querySelector('[role=status]').innerText.startsWith('point {index} ')")


def test_step_back_slider_and_algorithm(page):
    first, waits = picture(page), []
    for index in range(1, 11):
        began = time.perf_counter()
        press(page, "step")
        wait_for_point(page, index)
        waits.append(time.perf_counter() - began)
    print(f"step to screen: median {1000 * statistics.median(waits):.0f} ms of {len(waits)}")
    assert picture(page) != first
    assert float(re.search(r"drift (\S+) nats", status(page))[1]) <= 1e-4
    press(page, "back")
    wait_for_point(page, 9)
    handle = page.locator(".noUi-handle").first
    handle.focus()
    handle.press("Home")
    wait_for_point(page, 0)
    for index in range(1, 4):
        handle.press("ArrowRight")
        wait_for_point(page, index)
    page.get_by_label("walk", exact=True).select_option("SiMExp")
    press(page, "step")
    wait_for_point(page, 4)
    assert float(re.search(r"drift (\S+) nats", status(page))[1]) > 1e-3


def test_patches_are_chosen_by_click_and_by_key(page):
    press(page, "no patches")
    press(page, "step")
    page.get_by_text("click at least one").wait_for()
    cell = page.get_by_role("gridcell", name="patch row 3, column 3")
    cell.click()
    assert cell.get_attribute("aria-selected") == "true"
    cell.press("ArrowRight")
    page.keyboard.press("Space")
    beside = page.get_by_role("gridcell", name="patch row 3, column 4")
    assert beside.get_attribute("aria-selected") == "true"
    press(page, "step")
    wait_for_point(page, 1)
    shown = page.locator(".tm-bars .tm-value").all_inner_texts()
    assert len(shown) == 10
    assert sum(map(float, shown)) == pytest.approx(1, abs=0.01)


def test_play_walks_and_pause_stops_it(page):
    play = page.locator(".widget-play button").first
    play.click()
    page.wait_for_function(
        "parseInt(document.querySelector('[role=status]').innerText.split(' ')[1]) >= 3", timeout=20_000
    )
    play.click()
    page.wait_for_timeout(700)
    before = status(page)
    page.wait_for_timeout(1000)
    assert status(page) == before

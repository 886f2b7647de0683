"""The class walker as a hand would use it, in JupyterLab and a real browser."""

import json
import re

import pytest

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all

SETUP = """
from helpers.adapters import ViTAdapter
from helpers.datasets import load_digits
from helpers.widgets import ClassWalker
walker = ClassWalker(ViTAdapter.load("vit-digits").in_pixels(), load_digits("test").images[17])
walker
"""
VALUES_SETUP = """
from helpers.adapters import ViTAdapter
from helpers.adapters.heads import VALUES
from helpers.datasets import load_digits
from helpers.widgets import ClassWalker
vit = ViTAdapter.load("vit-digits")
vit.head = VALUES  # the logits, read as ten values
walker = ClassWalker(vit, load_digits("test").images[17])
walker
"""


@pytest.fixture
def walker(open_notebook, hand):
    return hand(open_notebook(SETUP))


def drift(walker) -> float:
    return float(re.search(r"drift (\S+) nats", walker.status())[1])


def test_it_answers_at_once_and_the_slider_shows_what_was_walked(walker, report, take_picture):
    first = walker.pixels()
    report("step to screen, ClassWalker", walker.median_of_steps(), wanted=0.5)
    take_picture(walker, "class_walker")
    assert walker.pixels() != first
    assert drift(walker) <= 1e-4
    report("slider to screen, ClassWalker", walker.median_of_slides(), wanted=0.2)
    assert walker.pixels() == first
    for index in range(1, 4):
        walker.handle().press("ArrowRight")
        walker.wait_for_point(index)
    walker.choose("walk", "SiMExp")
    walker.press("step")
    walker.wait_for_point(4)
    assert walker.last() == 4, "a turn drops what lay beyond"
    assert drift(walker) > 1e-3


def test_patches_are_chosen_by_click_and_by_key(walker):
    walker.choose_none()
    walker.press("step")
    walker.wait_for_text("click at least one")
    cell = walker.widget.get_by_role("gridcell", name="patch row 3, column 3")
    cell.click()
    assert cell.get_attribute("aria-selected") == "true"
    cell.press("ArrowRight")
    walker.page.keyboard.press("Space")
    beside = walker.widget.get_by_role("gridcell", name="patch row 3, column 4")
    assert beside.get_attribute("aria-selected") == "true"
    walker.press("step")
    walker.wait_for_point(1)
    assert len(walker.bars()) == 10
    assert sum(walker.bars()) == pytest.approx(1, abs=0.01)


def test_play_walks_pause_stops_it_and_play_goes_on(walker):
    walker.play_until(3)
    before = walker.status()
    walker.page.wait_for_timeout(1000)
    assert walker.status() == before
    walker.play_until(walker.last() + 2)
    walker.press("stop")
    last = walker.last()
    walker.page.wait_for_timeout(600)
    assert walker.last() == last


def test_values_of_a_regression_are_read_as_numbers_without_bars(open_notebook, hand):
    walker = hand(open_notebook(VALUES_SETUP))
    walker.choose("walk", "SiMExp")
    walker.press("step")
    walker.wait_for_point(1)
    now, start = json.loads(walker.ask("print([walker.bars.values, walker.bars.reference])"))
    assert walker.bars() == pytest.approx(now, rel=1e-3)
    starts = [text.removesuffix(" at the start, now") for text in walker.widget.locator(".tm-start").all_inner_texts()]
    assert [float(text) for text in starts] == pytest.approx(start, rel=1e-3) != pytest.approx(now, rel=1e-3)
    assert walker.widget.locator(".tm-track").count() == 0

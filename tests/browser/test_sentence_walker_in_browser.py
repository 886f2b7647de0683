"""The sentence walker as a hand would use it, in JupyterLab and a real browser."""

import pytest

SETUP = """
from helpers.adapters import BertAdapter
from helpers.widgets import SentenceWalker
walker = SentenceWalker(BertAdapter.load("bert-sentiment"), "The story is slow, but the two leads are a delight.")
walker
"""


@pytest.fixture
def page(open_notebook):
    return open_notebook(SETUP)


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def wait_for_point(page, index: int) -> None:
    page.wait_for_function(f"document.querySelector('[role=status]').innerText.startsWith('point {index} ')")


def test_tokens_are_chosen_by_click_and_by_key_and_walked(page):
    strip = page.locator(".tm-token-strip")
    assert strip.locator("button").count() == 15
    assert strip.locator("button:disabled").all_inner_texts() == ["[CLS]", "[SEP]"]
    press(page, "no tokens")
    press(page, "step")
    page.get_by_text("click at least one").wait_for()
    word = strip.get_by_role("button", name="delight", exact=True)
    word.click()
    assert word.get_attribute("aria-pressed") == "true"
    word.press("ArrowLeft")
    page.keyboard.press("Space")
    assert strip.locator("button").nth(11).get_attribute("aria-pressed") == "true"
    press(page, "step")
    wait_for_point(page, 1)
    press(page, "all tokens")
    page.get_by_label("walk", exact=True).select_option("SiMExp")
    press(page, "step")
    wait_for_point(page, 2)
    shown = page.locator(".tm-bars .tm-value").all_inner_texts()
    assert sum(map(float, shown)) == pytest.approx(1, abs=0.01)
    box = strip.bounding_box()
    assert box["width"] > 200 and box["height"] > 20

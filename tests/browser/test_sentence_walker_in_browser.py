"""The sentence walker as a hand would use it, in JupyterLab and a real browser."""

import pytest

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all

SETUP = """
from helpers.adapters import BertAdapter
from helpers.widgets import SentenceWalker
walker = SentenceWalker(BertAdapter.load("bert-sentiment"), "The story is slow, but the two leads are a delight.")
walker
"""


@pytest.fixture
def walker(open_notebook, hand):
    return hand(open_notebook(SETUP))


def test_it_answers_at_once(walker, report, take_picture):
    report("step to screen, SentenceWalker", walker.median_of_steps(), wanted=0.5)
    take_picture(walker, "sentence_walker")
    report("slider to screen, SentenceWalker", walker.median_of_slides(), wanted=0.2)
    assert walker.point() == 0


def test_tokens_are_chosen_by_click_and_by_key_and_walked(walker):
    strip = walker.widget.locator(".tm-token-strip")
    assert strip.locator("button").count() == 15
    assert strip.locator("button:disabled").all_inner_texts() == ["[CLS]", "[SEP]"]
    walker.choose_none()
    walker.press("step")
    walker.wait_for_text("click at least one")
    word = strip.get_by_role("button", name="delight", exact=True)
    word.click()
    assert word.get_attribute("aria-pressed") == "true"
    word.press("ArrowLeft")
    walker.page.keyboard.press("Space")
    assert strip.locator("button").nth(11).get_attribute("aria-pressed") == "true"
    walker.press("step")
    walker.wait_for_point(1)
    walker.press("all tokens")
    walker.choose("walk", "SiMExp")
    walker.press("step")
    walker.wait_for_point(2)
    assert sum(walker.bars()) == pytest.approx(1, abs=0.01)


def test_a_longer_word_is_set_smaller_in_the_same_place(walker):
    strip = walker.widget.locator(".tm-token-strip")
    boxes = [button.bounding_box() for button in strip.locator("button").all()]
    walker.ask("walker.view.tokens = ['incomprehensible' if token == 'a' else token for token in walker.view.tokens]")
    longer = strip.get_by_role("button", name="incomprehensible")
    longer.wait_for()
    assert [button.bounding_box() for button in strip.locator("button").all()] == boxes
    assert float(longer.evaluate("cell => parseFloat(getComputedStyle(cell).fontSize)")) < 14

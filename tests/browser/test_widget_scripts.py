"""The scripts of the widgets in a real Chromium, without a kernel: a test tells the page what a kernel would."""

import base64
import re

import pytest
from playwright.sync_api import expect

from helpers.adapters.toy import paraboloid
from helpers.widgets import ImageDirections, PlaneWalker
from helpers.widgets.parameter_views import WordMap

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all


@pytest.fixture
def walker(show):
    return show(PlaneWalker({"paraboloid": paraboloid}), answers=False)


ERROR = {"text": "cannot step: by zero", "isError": True}
FINE = {"text": "", "isError": False}


def test_an_error_covers_the_picture_until_something_succeeds_or_the_reader_asks(walker):
    page, picture, alarm = walker.page, walker.page.locator(".tm-plane"), walker.page.get_by_role("alert")
    step = page.get_by_role("button", name="step", exact=True)
    place = step.bounding_box()
    step.click()
    walker.answer(status=ERROR)
    expect(alarm).to_have_text("cannot step: by zero")
    expect(picture).to_be_hidden()
    expect(page.get_by_text("The walk is as it was. Change what the message names")).to_be_visible()
    assert step.bounding_box() == place, "no control moves away"
    page.get_by_role("button", name="show the picture again").click()
    expect(alarm).to_be_hidden()
    expect(picture).to_be_visible()
    step.click()
    walker.answer()  # the same error is no change of the status
    expect(alarm).to_be_visible()
    step.click()
    expect(alarm).to_be_hidden()  # nobody knows yet whether it is still true
    walker.answer(status=FINE)
    expect(alarm).to_be_hidden()
    expect(picture).to_be_visible()


def test_a_stop_can_be_pressed_while_something_is_computed_or_waits(walker):
    page = walker.page
    stop, receipt = page.get_by_role("button", name="stop", exact=True), page.locator(".tm-receipt")
    expect(stop).to_be_disabled()
    page.get_by_role("button", name="play", exact=True).click()
    expect(receipt).to_have_text("sent")
    walker.tell(busy=True)
    expect(receipt).to_have_text("computing: a step")
    for share, text in ((None, ""), (0.4, ", about 40% done")):
        walker.receive(progress={"seconds": 2, "share": share})
        expect(receipt).to_have_text(f"computing: a step, 2 s{text}")
    stop.click()
    expect(receipt).to_have_text("stopping")
    assert walker.sent() == ["step", "stop"]
    walker.answer(status={"text": "stopped; all earlier results are kept", "isError": False, "isEnd": True})
    expect(stop).to_be_disabled()
    expect(receipt).to_have_text("")
    expect(page.get_by_role("button", name="play", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="stopped; all earlier")).to_be_visible()
    walker.tell(busy=True)  # of a cell
    expect(receipt).to_have_text("computing")
    expect(stop).to_be_enabled()
    walker.tell(busy=False, status=FINE)
    page.get_by_role("button", name="step", exact=True).click()
    expect(page.get_by_text("stopped; all earlier")).to_have_count(0)
    assert walker.sent() == ["step", "stop", "step"], "play has ended"
    page.get_by_role("button", name="restart", exact=True).click()
    assert walker.sent()[3:] == ["stop", "restart"], "a step that is to be discarded is not awaited"


def test_a_move_that_fails_covers_the_moved_input_and_the_last_move_can_be_shown_again(show, vit, digits):
    directions = ImageDirections(vit.in_pixels(), digits.images[17])
    shown = show(directions, answers=False)
    page = shown.page
    slider, picture = page.get_by_role("slider", name="visible 1"), page.locator(".tm-stage")
    told = slider.locator("xpath=..").locator(".tm-told")
    slider.press("ArrowRight")
    directions.pull(0, page.evaluate("(name) => models[name].sent.at(-1).length", shown.model))
    shown.answer(pulled=directions.pulled)
    expect(told).to_have_text(re.compile("^moved by"))
    slider.press("End")
    shown.answer(status={"text": "cannot move: by zero", "isError": True})
    expect(page.get_by_role("alert")).to_have_text("cannot move: by zero")
    expect(picture).to_be_hidden()
    expect(told).to_have_text("not moved")
    page.get_by_role("button", name="show the picture again").click()
    assert slider.input_value() == "0.05", "the slider stands where the picture was made"
    shown.answer(status=FINE)
    expect(picture).to_be_visible()
    expect(told).to_have_text(re.compile("^moved by"))


def test_the_code_of_a_move_follows_the_sliders(show, vit, digits):
    shown = show(ImageDirections(vit.in_pixels(), digits.images[17]))
    shown.widget.get_by_text("take it away").click()
    shown.press("show me the code")
    code = shown.widget.get_by_label("code that repeats this")
    expect(code).to_contain_text("directions.find_point(0, 0.0)")
    shown.widget.get_by_role("slider", name="null 1").press("ArrowRight")
    expect(code).to_contain_text(re.compile(r"directions\.find_point\(3, 0\.\d+\)"))


def test_code_is_shown_only_where_the_reader_wants_it(walker):
    page, file = walker.page, {"name": "walk.py", "content": base64.b64encode(b"session.step()").decode()}
    page.get_by_text("take it away").click()
    code = page.get_by_label("code that repeats this")
    walker.receive(file=file)  # nobody has asked
    expect(code).to_be_hidden()
    page.get_by_role("button", name="show me the code").click()
    walker.receive(file=file)
    expect(code).to_have_text("session.step()")
    page.get_by_role("button", name="hide the code").click()
    walker.receive(file=file)  # it was on its way
    expect(code).to_be_hidden()


def test_a_map_of_words_tells_a_word_by_keyboard_and_pointer_and_asks_for_others(page, show):
    harmful, asked = "<img src=x onerror='window.broken = 1'>", []
    words = WordMap(names=["good", harmful, "bad"], scores=[2.0, 1.0, -3.0], places=[[0, 1], [1, 0], [-1, -1]])
    words.on_msg(lambda _, message, __: (asked.append(message), setattr(words, "names", words.names[:2])))
    view = show(words).widget
    told, sheet = view.get_by_role("status"), view.get_by_role("application", name="map of 3 words")
    expect(sheet).to_be_hidden()
    view.get_by_text("map of words").click()
    expect(told).to_have_text("good: 2.00, 1 of 3")
    sheet.press("ArrowRight")
    expect(told).to_have_text(f"{harmful}: 1.00, 2 of 3")
    assert page.evaluate("() => window.broken") is None, "a word is text, never HTML"
    dots = view.locator(".tm-dot")
    assert [dot.get_attribute("rx") == "0" for dot in dots.all()] == [False, False, True], "below 0, a square"
    assert [dot.get_attribute("width") for dot in dots.all()] == ["10", "6", "14"]
    dots.nth(2).hover()
    expect(told).to_have_text("bad: −3.00, 3 of 3")
    view.get_by_label("scores").select_option("lowest")
    expect(dots).to_have_count(2)
    assert asked == [{"sign": "lowest", "k": 40}]
    expect(told).to_contain_text("2 of 2")

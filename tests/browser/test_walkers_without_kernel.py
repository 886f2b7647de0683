"""The walkers as a hand would use them, on a page without a front end and a kernel."""

import re

import pytest

from helpers.adapters.toy import paraboloid
from helpers.widgets import ClassWalker, PlaneWalker, SentenceWalker
from tests.browser.conftest import read_number

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all
PAGE_HEIGHT = 2200  # pixels; a whole walker in sight


@pytest.fixture
def image(vit, digits):
    return ClassWalker(vit.in_pixels(), digits.images[17])


@pytest.fixture
def text(bert):
    return SentenceWalker(bert, "The story is slow, but the two leads are a delight.")


def test_patches_are_chosen_by_click_by_painting_and_by_key(show, image):
    shown = show(image)
    first, last = (shown.part(f"patch row 3, column {column}") for column in (2, 4))
    first.click()
    assert shown.chosen() == ["patch row 3, column 2"], "the first click chooses what is clicked"
    boxes = [cell.bounding_box() for cell in (first, last)]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    shown.press("all patches")
    shown.page.mouse.move(*middles[0])
    shown.page.mouse.down()
    shown.page.mouse.move(*middles[1], steps=8)
    shown.page.mouse.up()
    assert shown.chosen() == [f"patch row 3, column {column}" for column in (2, 3, 4)]
    last.press("ArrowDown")
    shown.page.keyboard.press("Space")
    assert shown.chosen()[-1] == "patch row 4, column 4"
    shown.press("step")
    shown.wait_for_point(1)
    moved = (image.path.points[1] - image.path.points[0]).abs().sum(1).nonzero().flatten()
    assert moved.tolist() == [23, 24, 25, 32]


def test_words_are_chosen_by_click_and_by_key(show, text):
    shown = show(text)
    strip = shown.widget.locator(".tm-token-strip")
    assert strip.locator("button:disabled").all_inner_texts() == ["[CLS]", "[SEP]"]
    word = strip.get_by_role("button", name="delight", exact=True)
    word.click()
    word.press("ArrowLeft")
    shown.page.keyboard.press("Enter")
    assert shown.chosen() == ["a", "delight"]
    word.click()
    assert shown.chosen() == ["a"]


@pytest.mark.parametrize(("kind", "steps"), [("image", 10), ("text", 4)])
def test_the_race_shows_four_walks_and_one_plot(kind, steps, show, request, take_picture):
    shown = show(request.getfixturevalue(kind))
    shown.press("race of all walks")
    shown.widget.locator(".tm-lane").nth(3).wait_for()
    for step in range(1, steps + 1):
        shown.press("step")
        shown.wait_for_point(step)
    drifts = shown.widget.locator(".tm-lane-drift").all_inner_texts()
    corrected, simec, simexp, random = (read_number(re.search(r"drift (\S+) nats", text)[1]) for text in drifts)
    assert corrected <= 1e-4 < simec < min(simexp, random)
    plot = shown.widget.locator(".tm-drift-plot")
    assert plot.locator("text.tm-name").all_inner_texts() and plot.locator("path.tm-line").count() == 4
    assert plot.locator("text", has_text="tolerance").count() == 1
    if kind == "image":
        take_picture(shown, "race")
    shown.handle().press("Home")
    shown.wait_for_point(0)
    assert shown.last() == steps
    shown.press("one walk")
    shown.widget.locator(".tm-lane").first.wait_for(state="detached")
    assert shown.point() == 0


def test_a_sentence_is_typed_and_a_word_put_in(show, text):
    shown = show(text)
    shown.widget.get_by_text("another input").click()
    typed = shown.widget.get_by_label("sentence", exact=True)
    typed.fill("  ")
    typed.press("Enter")
    shown.wait_for_text("must be one text with at least one word")
    typed.fill("A warm and funny film.")
    typed.press("Enter")
    word = shown.widget.get_by_role("button", name="funny", exact=True)
    word.hover()
    shown.wait_for_text("“funny” in the sentence itself; the model holds equal:")
    assert shown.status().startswith("point 0 of 0"), "the error has gone"
    changing = shown.widget.locator(".tm-word-row").nth(1).locator("button").first
    assert re.search(r"\(0\.\d+, negative\)", changing.inner_text())
    changing.click()
    word.wait_for(state="detached")
    assert "funny" not in text.walk.input.raw


def test_two_views_of_one_walker_show_the_same(show):
    walker = PlaneWalker({"paraboloid": paraboloid})
    walker.step()
    walker.restart()
    one, other = show(walker), show(walker)
    one.press("step")
    other.wait_for_point(1)
    other.press("step")
    one.wait_for_point(2)
    assert one.status() == other.status()
    lines = [view.widget.locator(".tm-plane .tm-line.tm-naive").get_attribute("d") for view in (one, other)]
    assert lines[0] == lines[1] and lines[0].count("L") == 2


def test_the_keyboard_sets_the_start_of_the_plane(show):
    walker = PlaneWalker({"paraboloid": paraboloid})
    shown = show(walker)
    plane = shown.widget.get_by_role("application")
    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "ArrowDown"):
        shown.page.keyboard.press(key)
    assert "x = 1.19, y = 0.50" in shown.widget.locator(".tm-where").inner_text()
    assert walker.choices["start"] == (1.0, 0.5), "the cross only aims"
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function("box => box.getAttribute('cx') > 230", arg=plane.locator(".tm-start").element_handle())
    shown.press("step")
    shown.wait_for_point(1)
    assert walker.path.points[0].tolist() == [1.19, 0.5]


def test_an_error_is_shown_in_the_widget_and_stops_play(show):
    function = paraboloid
    walker = PlaneWalker({"changing": lambda point: function(point)})
    shown = show(walker)
    shown.press("play")
    shown.wait_for_steps(2)
    function = lambda point: 1 / 0  # noqa: E731
    shown.widget.get_by_role("alert").filter(has_text="cannot step: division by zero").wait_for()
    shown.widget.get_by_role("button", name="play", exact=True).wait_for()
    function = paraboloid
    made = len(walker.path)
    shown.press("step")
    shown.wait_for_point(made + 1)

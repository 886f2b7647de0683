"""Each notebook's own widget, used as its Play section asks for: opened, run, clicked, stepped, played."""

import json
import re
import statistics
import time

import pytest

from tests.browser.conftest import read_number

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all


def steps_plays_and_slides(hand):
    """Step, play, pause and slide, and check that the widget follows; return the number of steps."""
    hand.press("step")
    hand.wait_for_point(1)
    hand.play_until(4)
    last = hand.last()
    assert hand.point() == last >= 4
    hand.drag_slider(0.0)
    hand.wait_for_point(0)
    assert hand.last() == last, "the slider drops nothing"
    hand.drag_slider(1.0)
    hand.wait_for_point(last)
    hand.press("back")
    hand.wait_for_point(last - 1)
    return last


def test_01_the_plane_walker(open_shipped_notebook, hand):
    hand = hand(open_shipped_notebook("01"))
    lines = [hand.widget.locator(f".tm-plane .tm-line.tm-{walk}") for walk in ("naive", "corrected")]
    sheet = hand.widget.locator(".tm-plane > svg")
    scale = sheet.bounding_box()["width"] / 370  # 30 of them are the margin
    sheet.click(position={"x": 130 * scale, "y": 120 * scale})
    wanted = [3 * (2 * 100 / 340 - 1), 3 * (1 - 2 * 120 / 340)]
    hand.page.wait_for_function(
        "([dot, x]) => Math.abs(dot.getAttribute('cx') - x) < 2",
        arg=[hand.widget.locator(".tm-plane .tm-start").element_handle(), 100],
    )
    assert json.loads(hand.ask("print(walker.path.points[0].tolist())")) == pytest.approx(wanted, abs=0.03)
    last = steps_plays_and_slides(hand)
    naive, corrected = map(read_number, re.search(r"naive (\S+), corrected (\S+)", hand.status()).groups())
    assert naive > 0.01 > 1e-9 > corrected
    assert lines[0].get_attribute("d") != lines[1].get_attribute("d")
    assert lines[1].get_attribute("d").count("L") == last - 1
    assert hand.ask("print(len(walker.path), walker.path.drift.max().item() <= 1e-10)") == f"{last} True"
    contours = hand.widget.locator(".tm-contours")
    circles = contours.get_attribute("d")
    hand.choose("function", "saddle")
    changed = "([curve, before]) => curve.getAttribute('d') !== before"
    hand.page.wait_for_function(changed, arg=[contours.element_handle(), circles])
    hand.wait_for_point(0)
    hand.press("step")
    hand.wait_for_point(1)


def test_02_the_class_walker(open_shipped_notebook, hand):
    hand = hand(open_shipped_notebook("02"))
    first, bars = hand.pixels(), hand.bars()
    for column in (2, 3):
        hand.part(f"patch row 3, column {column}").click()
    last = steps_plays_and_slides(hand)
    moved = [i // 4 for i, (old, new) in enumerate(zip(first, hand.pixels(), strict=True)) if old != new]
    rows, columns = {i // 28 for i in moved}, {i % 28 for i in moved}
    assert moved and rows <= set(range(12, 16)) and columns <= set(range(8, 16)), "the other patches stay"
    assert hand.bars() == pytest.approx(bars, abs=0.01)
    assert hand.ask("print(len(walker.path), walker.path.drift.max().item() <= 1e-4)") == f"{last} True"
    hand.drag_slider(0.0)
    hand.wait_for_point(0)
    assert hand.pixels() == first
    hand.choose("walk", "SiMExp")
    hand.choose("step length", "long")
    hand.press("all patches")
    for step in range(1, 9):
        hand.press("step")
        hand.wait_for_point(step)
    assert hand.bars() != pytest.approx(bars, abs=0.1)
    hand.ask("walker.path.save('walk.safetensors')")
    assert hand.ask("from helpers import ExplorationPath; print(len(ExplorationPath.load('walk.safetensors')))") == "8"


def test_03_the_sentence_walker(open_shipped_notebook, hand):
    hand = hand(open_shipped_notebook("03"))
    tokens = hand.widget.locator(".tm-token-strip button")
    first, bars = tokens.all_inner_texts(), hand.bars()
    word = tokens.get_by_text("story", exact=True)
    word.click()
    assert hand.chosen() == ["story"]
    place = first.index("story")
    steps_plays_and_slides(hand)
    assert (
        hand.ask("print((walker.path.points[-1] - walker.path.points[0]).norm(dim=1).nonzero().flatten().tolist())")
        == f"[{place}]"
    )
    assert hand.bars() == pytest.approx(bars, abs=0.01)
    hand.choose("walk", "SiMExp")
    hand.choose("step length", "long")
    hand.press("all tokens")
    hand.press("restart")
    for step in range(1, 7):
        hand.press("step")
        hand.wait_for_point(step)
    assert hand.bars() != pytest.approx(bars, abs=0.01)
    assert tokens.count() == len(first)
    assert hand.last() == 6


def test_05_the_parameter_browser(open_shipped_notebook, hand, report, take_picture):
    hand = hand(open_shipped_notebook("05"), kind=".tm-browser")
    names = lambda side: hand.widget.locator(".tm-scores").nth(side).locator(".tm-name").all_inner_texts()  # noqa: E731
    read = "from helpers.vocabulary import top_tokens; print(*top_tokens(w, {}, 12).tokens)"
    hand.wait_for_text("neuron: value (W_out), layer 3, neuron")
    hand.widget.locator(".tm-layer").last.wait_for()  # the map is drawn
    hand.widget.locator("progress").wait_for(state="hidden")  # it is complete
    take_picture(hand, "parameter_browser")
    assert names(0) == hand.ask(read.format("browser.selected")).split()
    assert names(1) == hand.ask(read.format("-browser.selected")).split()
    assert "superb" in names(0)
    waits = []
    for layer, neuron in [(layer, neuron) for layer in range(3) for neuron in range(3)]:
        began = time.perf_counter()
        for control, value in (("layer (0 to 3)", layer), ("neuron (0 to 767)", neuron)):
            box = hand.widget.get_by_label(control, exact=True)
            box.fill(str(value))
            box.press("Enter")
        hand.wait_for_text(f"neuron: value (W_out), layer {layer}, neuron {neuron}")
        waits.append(time.perf_counter() - began)
    report("parameter browser, another neuron to screen", statistics.median(waits), 0.5)
    shown = names(0)
    hand.widget.get_by_label("neurons for the word").fill("funny")
    hand.widget.get_by_label("neurons for the word").press("Enter")
    first = hand.widget.get_by_label("results").locator("option").first
    first.wait_for()
    assert names(0) == shown, "a search alone shows nothing else"
    place = re.match(r"layer (\d+), neuron (\d+):", first.inner_text().replace("\xa0", " "))
    hand.widget.get_by_label("results").select_option(index=0)
    hand.wait_for_text(f"neuron: value (W_out), layer {place[1]}, neuron {place[2]}")
    assert "funny" in names(0)
    hand.choose("what", "head: pairs of W_OV")
    hand.wait_for_text("head: pairs of W_OV, layer")
    assert all(" → " in name for name in names(0))
    hand.widget.get_by_label("neurons for the word").fill("vunny")
    hand.widget.get_by_label("neurons for the word").press("Enter")
    hand.wait_for_text("is none of the")
    hand.widget.get_by_label("results").locator("option").filter(has_text="'funny'").wait_for()
    hand.choose("what", "neuron: key (W_in)")
    hand.wait_for_text("neuron: key (W_in), layer")
    assert " → " not in names(0)[0]


def test_09_the_figure_explorer(open_shipped_notebook, hand):
    hand = hand(open_shipped_notebook("09"), kind=".tm-figure-explorer")
    picture = hand.widget.locator("img")
    shown = picture.get_attribute("src")
    for control, option in (("multiplier", "1.0"), ("moving", "one"), ("data_set", "winobias")):
        hand.choose(control, option)
        hand.page.wait_for_function(
            "([img, before]) => img.src !== before && img.naturalWidth > 300", arg=[picture.element_handle(), shown]
        )
        shown = picture.get_attribute("src")
    assert hand.status() == ""

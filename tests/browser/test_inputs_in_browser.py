"""Inputs of one's own, classes among many, numbers and files, on a page without a front end and a kernel."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

from helpers.resources.display import write_number
from helpers.widgets import ClassWalker, ImageDirections, SentenceWalker, views
from tests.browser.conftest import read_number

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all

PAINTED = "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
HTML = "<img src=x onerror='window.broken = 1'>"  # it would run, were it read as HTML


class Easel:
    """The drawing of a widget: what is uploaded to it, and what is seen on it."""

    def __init__(self, shown):
        self.shown, self.canvas = shown, shown.widget.locator("canvas")
        shown.widget.get_by_text("another input").click()

    def upload(self, name, content, told):
        """Choose a file, and wait until the panel says what became of it."""
        file = {"name": name, "mimeType": "image/png", "buffer": content}
        self.shown.widget.get_by_label("upload a picture").set_input_files(file)
        self.shown.wait_for_text(told)

    def paint(self) -> np.ndarray:
        """Read the red of its pixels: (28, 28)."""
        return np.array(self.canvas.evaluate(PAINTED)).reshape(28, 28, 4)[..., 0]

    def draw(self, *spots):
        """Draw from spot to spot, in pixels of the canvas, which need not lie on it."""
        box, mouse = self.canvas.bounding_box(), self.shown.page.mouse
        for i, (x, y) in enumerate(spots):
            mouse.move(box["x"] + box["width"] * x / 28, box["y"] + box["height"] * y / 28, steps=4 if i else 1)
            if i == 0:
                mouse.down()
        mouse.up()


def write_picture(picture, kind="PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def walker(vit, digits):
    return ClassWalker(vit.in_pixels(), digits.images[17])


def test_a_picture_is_uploaded_and_what_is_no_picture_is_refused(show, walker, digits):
    shown = show(walker)
    easel = Easel(shown)
    eight = Image.fromarray((digits.images[14] * 255).astype(np.uint8))
    easel.upload("an 8.png", write_picture(eight), told="“an 8.png”, scaled to 28 × 28 pixels.")
    assert (easel.paint() == np.array(eight)).all()
    shown.press("walk from it")
    shown.wait_for_point(0)
    assert (walker.walk.input.raw * 255).astype(np.uint8).tolist() == np.array(eight).tolist()
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.broken = 1</script></svg>"
    for name, content in (("empty.png", b""), (f"{HTML}.svg", svg), ("table.png", b"a,b\n1,2\n")):
        easel.upload(name, content, told=f"“{name}” holds no picture that can be read")
        assert (easel.paint() == np.array(eight)).all(), "the picture before it stays"
    assert shown.page.evaluate("window.broken") is None
    stripes = np.zeros((800, 1200), np.uint8)
    stripes[:, ::2] = 255
    easel.upload("wide.jpg", write_picture(Image.fromarray(stripes), "JPEG"), told="“wide.jpg”, scaled")
    seen = easel.paint()
    assert (seen[:4] == 255).all() and (abs(seen[6:22].astype(int) - 128) < 12).all(), "averaged, on white paper"
    ink = Image.new("RGBA", (28, 28), (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (10, 4, 16, 24))
    easel.upload("ink.png", write_picture(ink), told="“ink.png”, scaled")
    shown.press("swap light and dark")
    assert (easel.paint() == np.array(ink)[..., 3]).all()


def test_a_digit_is_drawn_by_mouse_and_by_key_also_beyond_the_edge(show, walker):
    shown = show(walker)
    easel = Easel(shown)
    easel.draw((14, 5), (14, 23))
    assert easel.paint()[5:23, 13].min() > 230
    shown.press("clear")
    easel.draw((14, 14), (40, 14), (40, -9), (14, -9))  # with the button down, out on the right and on above
    seen = easel.paint()
    assert seen[14, 14:].min() > 230 and seen[14, :11].max() == 0 and seen[:12].max() == 0
    shown.press("clear")
    easel.canvas.focus()
    for key in ("Home", "ArrowUp", "ArrowUp", "Space", *["ArrowLeft"] * 40, "Space", *["ArrowDown"] * 3):
        shown.page.keyboard.press(key)
    shown.wait_for_text("The pen is up, at column 1 and row")
    seen, row = easel.paint(), int(shown.widget.get_by_text("The pen is up").inner_text().split("row ")[1][:-1]) - 3
    assert seen[row, 1 : 14 - 2].min() > 200 and seen[row + 3 :].max() == 0
    shown.press("walk towards it")
    shown.wait_for_point(0)
    target = shown.widget.get_by_label("towards", exact=True)
    assert target.input_value() == "the other image"
    before = walker.walk.input.find_target("the other image", walker.walk.input.point, walker.walk.input.f.parts)
    shown.press("step")
    shown.wait_for_point(1)
    start, end = walker.path.points
    assert (end - before).norm() < (start - before).norm()


def test_the_walk_is_taken_away(show, walker):
    shown = show(walker)
    shown.press("step")
    shown.wait_for_point(1)
    shown.widget.get_by_text("take it away").click()
    shown.press("show me the code")
    code = shown.widget.get_by_label("code that repeats this")
    expect(code).to_contain_text("session = WalkSession(walker.create_input(), ")
    shown.press("step")
    expect(code).to_contain_text("range(2)")  # it follows the walk
    shown.press("restart")
    expect(code).not_to_contain_text("step()")
    shown.press("race of all walks")
    expect(code).to_contain_text("session = Race(")
    expect(shown.widget.get_by_role("button", name="walk (GIF)")).to_be_hidden()
    shown.press("one walk")
    shown.press("step")
    expect(code).to_contain_text("session.step()")
    shown.press("hide the code")
    expect(code).to_be_hidden()
    files = {}
    for name, file in (("outputs (CSV)", "walk.csv"), ("walk (GIF)", "walk.gif"), ("picture (PNG)", "walk.png")):
        with shown.page.expect_download() as download:
            shown.press(name)
        assert download.value.suggested_filename == file
        files[file] = download.value.path().read_bytes()
    table = pd.read_csv(io.BytesIO(files["walk.csv"]))
    assert table["3"].tolist() == pytest.approx(walker.path.outputs[:, 3].tolist(), rel=1e-4, abs=1e-6)
    picture, seen = np.array(Image.open(io.BytesIO(files["walk.png"])))[..., 0], shown.pixels()
    assert (picture[5::10, 5::10].flatten() == np.array(seen).reshape(-1, 4)[:, 0]).all()


def test_only_the_view_that_asks_gets_a_file(show, walker):
    first, second = show(walker), show(walker)
    first.press("step")
    second.wait_for_point(1)
    names = []
    first.page.on("download", lambda download: names.append(download.suggested_filename))
    for view in (first, second):
        view.widget.get_by_text("take it away").click()
    codes = [view.widget.get_by_label("code that repeats this") for view in (first, second)]
    for view in (second, first):
        view.press("show me the code")
        expect(codes[view is second]).to_contain_text("session.step()")
    second.press("step")
    for code in codes:
        expect(code).to_contain_text("range(2)")  # each follows the walk by itself
    for view, name in ((first, "outputs (CSV)"), (second, "walk (GIF)"), (first, "picture (PNG)")):
        with view.page.expect_download():
            view.press(name)
    assert names == ["walk.csv", "walk.gif", "walk.png"]


def test_two_words_are_told_apart_and_another_word_is_watched(show, masked_bert):
    walker = SentenceWalker(masked_bert, "The film was [MASK].")
    shown = show(walker)
    names = lambda: shown.widget.locator(".tm-outputs .tm-name").all_text_contents()  # noqa: E731
    assert len(names()) == 11 and names()[-1] == "the rest"
    watch = shown.widget.get_by_label("show also", exact=True)
    watch.fill("dulll")
    watch.press("Enter")
    shown.wait_for_text("8,192 classes")
    watch.fill("dull")
    watch.press("Enter")
    shown.widget.locator(".tm-outputs .tm-name").get_by_text("dull", exact=True).wait_for()
    assert watch.input_value() == "" and tuple(names()) == (*walker.walk.input.f.names, "dull")
    shown.widget.get_by_text("another input").click()
    words = shown.widget.get_by_label("words to tell apart", exact=True)
    words.fill("good, nosuchword")
    words.press("Enter")
    shown.widget.get_by_role("alert").filter(has_text="nosuchword").wait_for()
    assert names()[-1] == "dull"
    words.fill("good, bad")
    words.press("Enter")
    shown.widget.locator(".tm-outputs .tm-name").get_by_text("dull", exact=True).wait_for(state="detached")
    assert names()[:2] == ["good", "bad"]
    words.fill("")
    sentence = shown.widget.get_by_label("sentence", exact=True)
    sentence.fill(f"{HTML} was [MASK].")
    sentence.press("Enter")
    shown.widget.locator(".tm-token").get_by_text("broken", exact=True).wait_for()
    assert len(names()) == 11 and shown.page.evaluate("window.broken") is None, "a token is text, never HTML"


def test_numbers_are_written_in_one_way(page):
    script = (views.FOLDER / "dom.js").read_text(encoding="utf-8")
    values = [0, 1, -1, 0.5, 93.66, 278.4, 9999, 99999, 0.000999, -0.0009996, 2.8449e-5, 1e-4, 9.996e-5, 1.7e300, 3e-9]
    write = """async ([script, values]) => {
      const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
      const { writeNumber, writeTick } = await import(address);
      return [[1, 2, 3].map((digits) => values.map((value) => writeNumber(value, digits))), values.map(writeTick)];
    }"""
    written, ticks = page.evaluate(write, [script, values])
    assert written == [[write_number(value, digits) for value in values] for digits in (1, 2, 3)]
    assert written[0][11] == "10⁻⁴" and written[1][10] == "2.8×10⁻⁵" and written[2][4:6] == ["93.7", "278"]
    assert ticks[:6] == ["0", "1", "−1", "0.5", "94", "280"] and ticks[8:12] == ["0.001", "−0.001", "2.8×10⁻⁵", "10⁻⁴"]
    assert [read_number(text) for text in written[2]] == pytest.approx(values, rel=6e-3)


def test_bars_have_one_scale_of_numbers_on_two_axes(show, walker, vit, digits):
    outputs = np.array(walker.walk.frames[0]["outputs"])
    read_widths = "bars => bars.map((bar) => parseFloat(bar.style.width))"
    for widget, is_linear in ((walker, False), (ImageDirections(vit.in_pixels(), digits.images[17]), True)):
        shown = show(widget)
        box = shown.widget.get_by_label("bars from 0 to 1")
        assert box.is_checked() == is_linear
        for _ in range(2):
            axis = "from 0 to 1" if box.is_checked() else "on a logarithmic axis from 10⁻⁷ to 1"
            shown.wait_for_text(f"Bars: probability, {axis}. Marks: at the start.")
            shares = np.exp(outputs) if box.is_checked() else 1 + outputs / (7 * np.log(10))
            widths = shown.widget.locator(".tm-bar").evaluate_all(read_widths)
            assert widths == pytest.approx(100 * shares, abs=0.01)
            assert shown.bars() == pytest.approx(np.exp(outputs), rel=6e-3), "the numbers are the same on both axes"
            box.click()
        assert "log-probability" in shown.widget.locator(".tm-outputs [role=listitem]").first.get_attribute("title")

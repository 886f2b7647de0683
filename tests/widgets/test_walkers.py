"""The walkers as a page drives them: commands in, small messages out; tests/browser does the same in a real browser."""

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import ExplorationPath, WalkSettings
from helpers.adapters import load_adapter
from helpers.adapters.toy import paraboloid, waves
from helpers.sessions import Race
from helpers.widgets import ClassWalker, ImageDirections, PlaneWalker, SentenceDirections, SentenceWalker, views
from helpers.widgets.plane_walker import compute_level_curves, evaluate_on_grid
from helpers.widgets.walker import SCRIPTS
from tests.adapters.families import make_model

TEXT = "The story is slow, but the two leads are a delight."


class Page:
    """A page that shows a widget: it keeps what it is told, as walker.js does, and counts the bytes."""

    def __init__(self, widget, monkeypatch):
        self.widget, self.requests, self.sizes, self.frames, self.told = widget, 0, [], {}, {}
        monkeypatch.setattr(widget.comm, "send", self.take)
        self.keep_frame(widget.frame)

    def take(self, data=None, buffers=None, **_):
        assert not buffers
        self.sizes[-1] += len(json.dumps(data))
        answer = data.get("content", {})
        self.told |= answer
        self.frames |= dict(enumerate(answer.get("frames", []), answer.get("from", 0)))
        if "setup" in data.get("state", {}):
            self.frames = {}
        self.keep_frame(data.get("state", {}).get("frame", {}))

    def keep_frame(self, frame):
        if frame:
            self.frames[frame["index"]] = {name: frame[name] for name in frame if name not in ("index", "serial")}

    def ask(self, do, **arguments):
        """Send a command, and then ask for the points that are missing, which a step never has to."""
        self.requests += 1
        self.sizes.append(0)
        self.widget._receive(self.widget, {"do": do, **arguments, "view": "page", "id": self.requests}, [])
        assert self.widget.answered == {"view": "page", "id": self.requests}
        self.frames = {i: f for i, f in self.frames.items() if i < self.widget.place["count"]}
        missing = [i for i in range(self.widget.place["count"]) if i not in self.frames]
        if missing:
            assert do != "step"
            self.widget._receive(self.widget, {"do": "send_frames", "first": missing[0], "view": "page"}, [])
        assert [self.frames[i] for i in range(len(self.frames))] == self.widget.session.frames
        return self.widget.status


@pytest.fixture
def open_page(monkeypatch):
    return lambda widget: Page(widget, monkeypatch)


@pytest.fixture(params=["image", "sentence", "plane"])
def page(request, open_page):
    if request.param == "plane":
        return open_page(PlaneWalker({"paraboloid": paraboloid, "waves": waves}))
    start = request.getfixturevalue({"image": "vit", "sentence": "bert"}[request.param])
    if request.param == "sentence":
        return open_page(SentenceWalker(start, TEXT))
    return open_page(ClassWalker(start.in_pixels(), request.getfixturevalue("digits").images[17]))


def test_no_step_sends_more_than_it_must_however_long_the_walk(page):
    for _ in range(15):
        page.ask("step")
    assert 300 < max(page.sizes) < 3000
    assert page.sizes[-1] < page.sizes[0] + 300
    page.ask("select", index=3)
    assert page.sizes[-1] < 1000
    assert isinstance(page.widget.path, ExplorationPath) and len(page.widget.path) == 15


def test_no_step_of_a_race_sends_more_than_ten_kilobytes(open_page, vit, bert, digits):
    for walker in (ClassWalker(vit.in_pixels(), digits.images[17]), SentenceWalker(bert, TEXT)):
        page = open_page(walker)
        page.ask("show", mode="race")
        page.sizes.clear()
        for _ in range(4):
            page.ask("step")
        assert 1000 < max(page.sizes) < 10_000
        assert len(walker.race.paths["SiMExp"]) == 4
        page.ask("show", mode="walk")
        assert "lanes" not in walker.setup


def test_the_page_knows_every_point_after_whatever_was_done(page):
    for do, arguments in [("step", {}), ("step", {}), ("back", {}), ("step", {}), ("select", {"index": 1}),
                          ("choose", {"step_length": page.widget.setup["step_lengths"][0]}), ("step", {}),
                          ("restart", {}), ("step", {})]:  # fmt: skip
        page.ask(do, **arguments)
    page.widget.session.step()
    page.widget.session.step()
    page.ask("back")
    assert page.widget.place == {"count": 4, "selected": 2}


def test_an_error_is_shown_and_cleared_by_what_succeeds(page, monkeypatch):
    page.ask("step")
    for error, message in (
        (ZeroDivisionError("by zero"), "cannot step: by zero"),
        (KeyboardInterrupt(), "stopped; all earlier results are kept"),
    ):

        def fail(*_, error=error):
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(page.widget.session, "_create_point", fail)
            status = page.ask("step")
        assert message in status["text"] and status["isError"] == message.startswith("cannot")
        assert not page.widget.busy
        assert len(page.widget.path) == 1
    assert page.ask("step") == {"text": "", "isError": False}
    assert page.ask("choose", step_length="endless")["isError"]


def test_a_walk_that_stops_says_why():
    from helpers.adapters import ToyAdapter

    walker = PlaneWalker({"hills": ToyAdapter.load("three-hills").log_probabilities})
    walker.step()
    assert walker.status == {"text": "the walk stopped: the kernel is trivial", "isError": False, "isEnd": True}
    walker.restart()
    assert walker.status["text"] == ""


def test_a_page_may_call_no_other_method():
    with pytest.raises(ValueError, match="do='close': must be one of step, back"):
        PlaneWalker({"paraboloid": paraboloid}).carry_out("close")


def test_a_race_takes_the_choices_of_the_walk(open_page, vit, digits):
    page = open_page(ClassWalker(vit, digits.images[17]))
    page.ask("choose", parts=[3, 4], step_length="long")
    page.ask("show", mode="race")
    page.ask("step")
    assert page.widget.choices["parts"] == (3, 4)
    for path in page.widget.race.paths.values():
        assert (path.points[-1] - path.points[0]).abs().sum(1).nonzero().flatten().tolist() == [3, 4]
    assert page.ask("watch", name="3")["isError"], "ten classes are shown already"


def test_of_many_classes_a_page_can_show_others(open_page, tmp_path):
    adapter = load_adapter(make_model("ViTForImageClassification", tmp_path, num_labels=1000))
    page = open_page(ClassWalker(adapter, np.random.default_rng(0).random((3, 24, 24))))
    page.ask("show", mode="race")
    page.ask("step")
    page.ask("watch", name="LABEL_999")
    assert page.widget.setup["watched"] == ["LABEL_999"]
    assert all(len(frame["lanes"]["SiMEC"]["watched"]) == 1 for frame in page.frames.values())


def test_sliders_answer_with_the_frame_of_a_move(vit, bert, digits):
    for view, towards in (
        (ImageDirections(vit, digits.images[17], {"an 8": digits.images[14]}), "null, towards an 8"),
        (SentenceDirections(bert, TEXT, ["awful"]), "null, towards awful"),
    ):
        assert view.setup["directions"][-1]["name"] == towards
        view._receive(view, {"do": "pull", "index": 0, "length": 0.5, "view": "page", "id": 1}, [])
        assert view.pulled == view.session.pull(0, 0.5)
        assert view.answered == {"view": "page", "id": 1}
        view._receive(view, {"do": "pull", "index": 99, "length": 0.5, "view": "page", "id": 2}, [])
        assert view.status["isError"] and view.answered["id"] == 2


def test_level_curves_of_the_paraboloid_are_circles():
    (curve,) = compute_level_curves(evaluate_on_grid(paraboloid, 2.0), 2.0, [1.5])
    assert np.linalg.norm(curve, axis=1) == pytest.approx(np.sqrt(1.5), abs=2e-3)


def test_level_curves_leave_out_what_is_not_finite():
    curves = compute_level_curves(evaluate_on_grid(lambda p: p[:1].log() + p[1], 2.0), 2.0, [0.0])
    assert curves and min(x for curve in curves for x, _ in curve) > 0


def test_a_new_start_or_function_draws_its_level_curves(open_page):
    page = open_page(PlaneWalker({"paraboloid": paraboloid, "waves": waves}))
    before = page.widget.contours
    page.ask("choose", start=[-0.6, 0.8])
    assert np.linalg.norm(page.widget.level[0], axis=1) == pytest.approx(1.0, abs=2e-3)
    assert page.widget.contours == before
    assert page.sizes[-1] < 10_000
    page.ask("choose", function="waves")
    assert page.widget.contours != before


def test_the_script_of_a_widget_holds_every_script_that_it_imports():
    folder = Path(views.__file__).parent
    for name in SCRIPTS.split():
        for line in (folder / f"{name}.js").read_text().splitlines():
            if line.startswith("import "):
                assert line.split("./")[1].removesuffix('.js";') in SCRIPTS.split()
    joined = views.join_scripts(SCRIPTS.split())
    assert "import " not in joined and joined.count("export default") == 1


def draw(image):
    """Return a drawing as a page sends it."""
    buffer = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).convert("RGBA").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_walker_starts_from_inputs_of_ones_own(open_page, vit, digits):
    walker = ClassWalker(vit.in_pixels(), digits.images[17], inputs={"a 5": digits.images[5]}, models={"vit": vit})
    page = open_page(walker)
    page.ask("choose", parts=[3], step_length="long")
    page.ask("read", name="a 5")
    assert np.array_equal(walker.walk.input.raw, digits.images[5])
    assert (walker.choices["parts"], walker.choices["step_length"]) == ((), "long")
    page.ask("read", model="vit")
    assert walker.walk.input.adapter is vit and np.array_equal(walker.walk.input.raw, digits.images[5])
    page.ask("show", mode="race")
    page.ask("read", pixels=draw(digits.images[8]))
    assert np.allclose(walker.race.input.raw, digits.images[8], atol=1 / 255)
    page.ask("read", target_pixels=draw(digits.images[8]))
    page.ask("choose", target="the other image")
    assert walker.choices["target"] == "the other image"
    before = walker.walk.input
    for source in ({"name": "a 6"}, {"pixels": "AAAA"}, {"model": "bert"}):
        assert page.ask("read", **source)["isError"]
        assert walker.walk.input is before


def test_a_sentence_is_typed_its_words_are_compared_and_replaced(open_page, bert, masked_bert):
    page = open_page(SentenceWalker(bert, TEXT))
    status = page.ask("read", text="  ")
    assert status["isError"] and "at least one word" in status["text"]
    page.ask("read", text="A warm and funny film.")
    page.ask("find_words", part=4)
    assert page.told["words"]["token"] == "funny"
    page.ask("replace_word", part=4, word="lame")
    assert page.widget.setup["text"] == "a warm and lame film."
    masked = open_page(SentenceWalker(masked_bert, "The nurse said that [MASK] was late."))
    masked.ask("read", outputs="he, she")
    assert masked.widget.setup["names"] == ["he", "she", "the rest"]
    assert masked.ask("read", outputs="he, shee")["isError"]
    masked.ask("read", text="The doctor said that [MASK] was late.")
    assert masked.widget.setup["names"] == ["he", "she", "the rest"]


def test_files_of_a_walk_can_be_taken_away(open_page, vit, digits, tmp_path):
    page = open_page(ClassWalker(vit, digits.images[17]))
    page.ask("step")
    files = {}
    for kind in ("csv", "gif", "path", "code"):
        page.ask("take_away", kind=kind)
        files[page.told["file"]["name"]] = base64.b64decode(page.told["file"]["content"])
    assert list(files) == ["walk.csv", "walk.gif", "walk.safetensors", "walk.py"]
    (tmp_path / "walk.safetensors").write_bytes(files["walk.safetensors"])
    assert len(ExplorationPath.load(tmp_path / "walk.safetensors")) == 1
    assert files["walk.gif"].startswith(b"GIF8") and files["walk.csv"].startswith(b"point,algorithm")


def create_widget(kind, request):
    """Create a widget as the cell of a notebook would, once more."""
    if kind == "plane":
        return PlaneWalker({"waves": waves, "paraboloid": paraboloid}, start=(0.4, 0.9), seed=1)
    if kind == "sentence":
        return SentenceWalker(request.getfixturevalue("bert"), "A warm and funny film.", seed=2)
    pixels, images = request.getfixturevalue("vit").in_pixels(), request.getfixturevalue("digits").images
    if kind == "directions":
        return ImageDirections(pixels, images[17], {"an 8": images[14]}, seed=3)
    return ClassWalker(pixels, images[17], WalkSettings(tolerance=1e-3), targets={"an 8": images[14]}, seed=4)


def act(do, **arguments):
    """Return what a reader does, for a widget to carry out."""
    return lambda widget: widget.carry_out(do, **arguments)


def compare(widget, again):
    """Compare the points of a widget's walks with those that its code makes with a widget that is made again."""
    names = {"walker": again}
    exec(widget._write_code().decode(), names)
    if isinstance(widget.session, Race):
        walks = [(path, names["session"].paths[name]) for name, path in widget.session.paths.items()]
    else:
        walks = [(widget.session.path, names["session"].path)]
    assert all(torch.equal(ours.points, theirs.points) for ours, theirs in walks)
    return [len(path) for path, _ in walks]


STEP, BACK, START, LONG = act("step"), act("back"), act("select", index=0), act("choose", step_length="long")
STOP = lambda widget: widget.session.interrupt()  # noqa: E731 what a stop leaves of a walk
WORDS, PATCHES = act("choose", parts=[2, 3]), act("choose", parts=[24, 25, 31, 32])
EIGHT, RANDOM = act("choose", target="an 8", parts=[]), act("choose", algorithm="random")
DRAWN, AIM = act("read", pixels=draw(np.eye(28))), act("read", target_pixels=draw(np.eye(28)[::-1]))
TYPED, PUT = act("read", text='A "dull"\nfilm.'), act("replace_word", part=2, word="great")
OTHER, CLICK, RACE = act("choose", function="paraboloid"), act("choose", start=[-0.3, 1 / 3]), act("show", mode="race")
HISTORIES = {  # of each widget: what is done before its code is compared, and how many steps its walks have then
    "plane": [([STEP, STEP, OTHER, CLICK, STEP, STEP, BACK, STEP, STOP, STEP, BACK], [3])],
    "image": [
        ([STEP, STEP, PATCHES, STEP, BACK, STEP], [2]),
        ([BACK, BACK, EIGHT, STEP, STOP, STEP, START], [2]),
        ([DRAWN, STEP, AIM, STEP, STEP], [2]),
    ],
    "sentence": [([WORDS, STEP, STEP, BACK, RANDOM, STEP, STEP], [3]), ([TYPED, PUT, STEP], [1])],
    "race": [([RACE, STEP, PATCHES, STEP, BACK, LONG, STEP, STOP, STEP], None), ([DRAWN, STEP], None)],
}


@pytest.mark.parametrize("kind", HISTORIES)
def test_the_code_makes_the_same_points_with_a_widget_that_is_made_again(kind, request):
    widget = create_widget(kind, request)
    for acts, lengths in HISTORIES[kind]:
        for each in acts:
            each(widget)
            assert not widget.status["isError"], widget.status
        made = compare(widget, create_widget(kind, request))
        assert made == lengths or (lengths is None and min(made) >= 1)


def test_the_code_of_directions_makes_the_same_point(request):
    widget = create_widget("directions", request)
    widget.pull(6, 1 / 3)
    names = {"walker": create_widget("directions", request)}
    *lines, last = widget._write_code().decode().splitlines()
    exec("\n".join(lines), names)
    assert torch.equal(eval(last, names), widget.session.find_point(6, 1 / 3))


def test_the_code_names_the_widget_as_the_notebook_does(monkeypatch):
    walker = PlaneWalker({"waves": waves})
    shell = SimpleNamespace(user_ns={"_": walker, "w": 3, "my_walker": walker})
    monkeypatch.setattr(views, "get_ipython", lambda: shell)
    assert walker._write_code().decode().startswith("# my_walker is the widget; its cell makes it again\nfrom helpers")

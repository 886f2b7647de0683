"""What is stored of the widgets: made of the present cells, small, and what the widgets themselves answer."""

import base64
import io
import json

import ipywidgets
import matplotlib.pyplot as plt
import nbformat
import numpy as np
from PIL import Image

from helpers.widgets import ClassWalker, FigureExplorer, ImageDirections
from notebooks import record as recorder
from notebooks.cells import code_cells, evaluate, find_needed, find_widgets, fingerprint
from notebooks.execute import NOTEBOOKS, SESSIONS
from notebooks.record import record

LIMIT, MODEL_LIMIT = 350_000, 1_100_000  # bytes of a session, and of a whole model's


def test_the_sources_that_one_needs_are_found_by_their_names(capsys):
    sources = ["import math", "a = 2", "b = 3", "def f(x):\n    return math.sqrt(x + a)", "print(b)\nf(2)"]
    assert find_needed(sources, 3) == [0, 1, 3] and find_needed(sources, 4) == [0, 1, 2, 3, 4]
    assert evaluate(sources) == 2.0 and capsys.readouterr().out == ""


def test_every_widget_is_stored_as_its_present_cells_make_it():
    """A change of these cells needs `python -m notebooks.record` of their notebook."""
    wanted = {}
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        sources = [cell.source for cell in code_cells(notebook)]
        for cell in find_widgets(notebook):
            made_of = fingerprint([sources[i] for i in find_needed(sources, cell)])
            wanted[f"{path.name.split('_')[0]}-{cell}.json"] = made_of
    stored = {path.name: json.loads(path.read_text())["made_of"] for path in SESSIONS.glob("*.json")}
    assert stored == wanted


def test_sessions_are_small():
    for path in SESSIONS.glob("*.json"):
        whole_model = json.loads(path.read_text())["view"] == "browser"
        assert path.stat().st_size < (MODEL_LIMIT if whole_model else LIMIT), path.name


def test_figures_are_stored_for_every_combination_with_the_last_control_first():
    def draw(row, count):
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.set_title(f"{row} {count}")
        return figure

    row = ipywidgets.Dropdown(options=["a", "b"], value="b")
    session = record(FigureExplorer(draw, row=row, count=ipywidgets.IntSlider(3, min=1, max=5, step=2)))
    assert [(c["label"], c["options"], c["selected"]) for c in session["controls"]] == [
        ("row", ["a", "b"], 1), ("count", ["1", "3", "5"], 1)]  # fmt: skip
    shown = [picture["alt"].split("row = ")[1] for picture in session["pictures"]]
    assert shown == [f"{r}, count = {c}." for r in "ab" for c in (1, 3, 5)]
    pixels = [Image.open(io.BytesIO(base64.b64decode(session["pictures"][0][k]))) for k in ("light", "dark")]
    assert [np.asarray(each)[0, 0].mean() > 128 for each in pixels] == [True, False]


def test_long_menus_are_thinned_out_around_the_present_value(monkeypatch):
    monkeypatch.setattr(recorder, "PICTURES", 3)
    explorer = FigureExplorer(lambda n: plt.figure(figsize=(1, 1)).subplots(), n=ipywidgets.IntSlider(5, min=0, max=9))
    (control,) = record(explorer)["controls"]
    assert control["options"] == ["1", "5", "9"] and control["selected"] == 1


def test_walks_and_moves_are_those_of_the_widgets(vit, digits, monkeypatch):
    monkeypatch.setattr(recorder, "STEPS", {"image": 2})
    monkeypatch.setattr(recorder, "PULLS", 1)
    image, other = digits.images[17], digits.images[0]
    session = record(ClassWalker(vit, image, targets={"a 0": other}, inputs={"number 0": other}))
    walks = {(w["name"], w["mode"], w["algorithm"], w["target"]): w for w in session["walks"]}
    assert len(walks) == 2 * 6
    walker = ClassWalker(vit, image, targets={"a 0": other})
    walker.choose(target="a 0")
    for _ in range(2):
        walker.step()
    stored = walks[None, "walk", "corrected", "a 0"]["frames"]
    pictures = [session["pictures"][frame.pop("picture")] for frame in stored]
    assert pictures == [frame["picture"] for frame in walker.session.frames]
    assert stored == [{k: v for k, v in frame.items() if k != "picture"} for frame in walker.session.frames]
    view = ImageDirections(vit, image)
    pulls = record(view)["pulls"]
    assert pulls[0][1]["drift"] == 0 and pulls[3][2] == view.session.pull(3, view.setup["length"])

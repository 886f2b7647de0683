"""Record the widgets of the notebooks, so that the site plays them without a kernel: ``python -m notebooks.record``.

A widget is made by the notebook's own cell and those that it needs, and driven by what its page would send. What it
answers is written to ``docs/sessions/NUMBER-CELL.json``: the page plays these answers, and no others.
"""

from __future__ import annotations

import argparse
import base64
import functools
import io
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import numpy as np
from PIL import Image

from helpers.widgets import FigureExplorer, ParameterBrowser, PlaneWalker
from helpers.widgets.directions import DirectionView
from helpers.widgets.model_walker import ModelWalker
from helpers.widgets.parameter_browser import LABELS
from notebooks.cells import code_cells, evaluate, find_needed, find_widgets, fingerprint
from notebooks.execute import NOTEBOOKS, SESSIONS

STEPS = {"image": 14, "sentence": 24}  # of each walk
INPUTS = 2  # of a walker's menu, besides the first input
PULLS = 20  # lengths of a pull, either way
PICTURES = 16  # of a figure explorer, in either theme, at most
COLOURS = 64  # of these pictures
MAP = ("count", "noun", "quantity", "low", "high", "is_logarithm", "ticks", "bars", "done", "pieces")  # traits of a map
KINDS = ("W_out", "W_in", "W_OV", "W_QK")  # of the parameter browser: neurons and heads
Session = dict[str, Any]


@functools.singledispatch
def record(widget: Any) -> Session:
    """Drive a widget through what its page may ask for, and return what it answers."""
    raise TypeError(f"widget: {type(widget).__name__} is none that the site plays")


@record.register
def record_plane(walker: PlaneWalker) -> Session:
    """Store the first point only: the page computes the walks, whose functions are closed forms."""
    return {"view": "plane", "choices": walker.choices, "setup": walker.setup, "span": walker.span}


@record.register
def record_directions(view: DirectionView) -> Session:
    """Store pulls along each direction, at evenly spaced lengths."""
    setup, lengths = view.setup, range(-PULLS, PULLS + 1)
    pulls = []
    for index in range(len(setup["directions"])):
        row = []
        for i in lengths:
            view.pull(index, i / PULLS * setup["length"])
            row.append(view.pulled)
        pulls.append(row)
    return {"view": "directions", "setup": setup, "pulls": pulls}


@record.register
def record_walker(walker: ModelWalker) -> Session:
    """Store each walk from a few inputs, the race of all, and the words of the tokens."""
    sent: list[dict[str, Any]] = []
    walker.send = sent.append  # type: ignore[method-assign, assignment]
    session: Session = {"view": "walker", "choices": walker.choices, "walks": [], "words": {}}
    first = walker.walk.input.raw
    others = (name for name, raw in walker._inputs.items() if not np.array_equal(raw, first))
    for name in (None, *itertools.islice(others, INPUTS)):
        if name is not None:
            ask(walker, do="read", name=name)
        session["walks"] += [{"name": name, **walk} for walk in record_walks(walker)]
        if "find_words" in walker.commands:
            for part in walker.setup["movable"]:
                ask(walker, do="find_words", part=part)
            session["words"][str(name)] = [message["words"] for message in sent if "words" in message]
            sent.clear()
    return session | {"pictures": share_pictures(session["walks"])}


def record_walks(walker: ModelWalker) -> Iterator[Session]:
    """Yield the walks of each algorithm, the corrected walk towards the first target, and the race, from one input."""
    targets = walker.setup["target_names"][:1]
    for algorithm, target in [(name, None) for name in walker.setup["algorithms"]] + [
        ("corrected", t) for t in targets
    ]:
        ask(walker, do="choose", algorithm=algorithm, target=target)
        yield {"mode": "walk", "algorithm": algorithm, "target": target, **walk(walker)}
    ask(walker, do="choose", target=None)
    ask(walker, do="show", mode="race")
    yield {"mode": "race", "algorithm": None, "target": None, **walk(walker)}
    ask(walker, do="show", mode="walk")


def ask(walker: ModelWalker, do: str, **arguments: Any) -> None:
    """Carry out a command of a walker's page, which must not fail."""
    walker.carry_out(do, **arguments)
    if walker.status["isError"]:
        raise RuntimeError(f"{do} {arguments}: {walker.status['text']}")


def walk(walker: ModelWalker) -> Session:
    """Walk from the start with the present choices; return what the points have in common, and each of them."""
    ask(walker, do="restart")
    for _ in range(STEPS[walker.setup["kind"]]):
        ask(walker, do="step")
        if walker.status.get("isEnd"):
            break
    return {"setup": walker.setup, "frames": walker.session.frames, "end": walker.status["text"]}


def share_pictures(walks: list[Session]) -> list[str]:
    """Put numbers in the places of the pictures of all frames, and return the pictures; many frames share one."""
    numbers: dict[str, int] = {}

    def replace(frame: Session) -> Session:
        if "lanes" in frame:
            return {"lanes": {name: replace(lane) for name, lane in frame["lanes"].items()}}
        return frame | {"picture": numbers.setdefault(frame["picture"], len(numbers))} if "picture" in frame else frame

    for each in walks:
        each["frames"] = [replace(frame) for frame in each["frames"]]
    return list(numbers)


@record.register
def record_figures(explorer: FigureExplorer) -> Session:
    """Store the figure at each combination of some values of the controls, on a light and on a dark page."""
    controls, start = explorer.controls, {name: control.value for name, control in explorer.controls.items()}
    options = {name: list_options(control) for name, control in controls.items()}
    while np.prod([len(each) for each in options.values()]) > PICTURES:
        longest = max(options, key=lambda name: len(options[name]))
        options[longest] = thin_out(options[longest], start[longest])
    pictures = []
    for values in itertools.product(*options.values()):
        for name, (_, value) in zip(options, values, strict=True):
            controls[name].value = value
        picture = {"alt": explorer.picture.alt, "status": explorer.status.value}
        for theme in ("light", "dark"):
            explorer.picture.is_dark = theme == "dark"
            picture[theme] = compress(explorer.picture.value)
        explorer.picture.is_dark = False
        pictures.append(picture)
    described = [
        {
            "label": controls[name].description,
            "isSlider": isinstance(controls[name], ipywidgets.IntSlider),
            "options": [label for label, _ in options[name]],
            "selected": [value for _, value in options[name]].index(start[name]),
        }
        for name in options
    ]
    return {"view": "figures", "width": explorer.picture.layout.width, "controls": described, "pictures": pictures}


def list_options(control: Any) -> list[tuple[str, Any]]:
    """Return the values that a control can have, each with its label; the present one where they cannot be listed."""
    if isinstance(control, ipywidgets.Dropdown):
        pairs = [option if isinstance(option, tuple) else (option, option) for option in control.options]
        return [(str(label), value) for label, value in pairs]
    if isinstance(control, ipywidgets.IntSlider):
        return [(str(value), value) for value in range(control.min, control.max + 1, control.step)]
    return [(str(control.value), control.value)]


def thin_out(options: list[tuple[str, Any]], kept: Any) -> list[tuple[str, Any]]:
    """Return every second option, the present one among them."""
    place = [value for _, value in options].index(kept)
    return options[place % 2 :: 2]


def compress(png: bytes) -> str:
    """Return a picture as a WebP in base64, empty where there is none."""
    if not png:
        return ""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).convert("RGB")
    few.save(buffer, "WEBP", lossless=True, method=6)
    return encode(buffer.getvalue())


@record.register
def record_browser(browser: ParameterBrowser) -> Session:
    """Store the reading of every neuron and every head, and the map of each kind."""
    start = {"view": "browser", "selected": list(browser.map.selected), "kind": browser.kind.value}
    items: dict[str, int] = {}  # name -> number
    kinds = [kind for kind in KINDS if kind in browser.session.kinds]
    return {**start, "kinds": {LABELS[kind]: record_kind(browser, kind, items) for kind in kinds}, "items": list(items)}


def record_kind(browser: ParameterBrowser, kind: str, items: dict[str, int]) -> Session:
    """Store the map of a kind; of each parameter the items and scores of both ends, its norm, longest bar and bias."""
    browser.show_parameter(kind, 0, 0)
    while browser.map.done < browser.map.pieces:
        browser.map._handle_custom_msg({"done": browser.map.done}, [])
    ends, session = (browser.highest, browser.lowest), browser.session
    ids, scores, numbers = [], [], []
    for layer, index in itertools.product(range(session.weights.n_layers), range(session.count(kind))):
        browser.show_parameter(kind, layer, index)
        read = session.read(browser.place, browser.reading)
        norm, longest = float(read.parameter.norm()), browser.highest.longest
        ids += [items.setdefault(name, len(items)) for end in ends for name in end.names]
        scores += [end.sign * score / longest for end in ends for score in end.scores]
        numbers += [norm, longest, np.nan if read.bias is None else read.bias]
    return {
        "map": {name: getattr(browser.map, name) for name in MAP} | {"cells": encode(browser.map.cells)},
        "titles": [end.title for end in ends],
        "unit": browser.highest.unit.rsplit(" ", 1)[0],
        "control_name": browser.highest.control_name,
        "control": [round(score / norm, 6) for score in browser.highest.control],
        "ids": encode(np.array(ids, "<u2").tobytes()),
        "scores": encode((65535 * np.clip(scores, 0, 1)).round().astype("<u2").tobytes()),
        "numbers": encode(np.array(numbers, "<f4").tobytes()),
    }


def encode(content: bytes) -> str:
    """Write bytes in base64."""
    return base64.b64encode(content).decode()


def record_file(path: Path) -> None:
    """Record every widget of a notebook, and remove what was stored of widgets that it no longer has."""
    notebook, number = nbformat.read(path, as_version=4), path.name.split("_")[0]
    sources, cells = [cell.source for cell in code_cells(notebook)], find_widgets(notebook)
    for stored in SESSIONS.glob(f"{number}-*.json"):
        if stored.stem not in [f"{number}-{cell}" for cell in cells]:
            stored.unlink()  # its widget has moved to another cell, or is gone
    for cell in cells:
        started, needed = time.perf_counter(), [sources[i] for i in find_needed(sources, cell)]
        session = {"made_of": fingerprint(needed), **record(evaluate(needed))}
        target = SESSIONS / f"{number}-{cell}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(session, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
        print(
            f"{target.name}: {time.perf_counter() - started:.0f} s, {target.stat().st_size / 1000:.0f} kB", flush=True
        )


def main() -> None:
    """Record the widgets of the notebooks named on the command line, or of all."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.record", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks; all by default")
    os.environ.setdefault("MPLBACKEND", "agg")
    for path in parser.parse_args().paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        record_file(path.resolve())


if __name__ == "__main__":
    main()

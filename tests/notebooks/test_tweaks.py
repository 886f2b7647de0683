"""Notebooks survive being touched: with other values of their menus, no cell fails and no figure is empty.

All run in one kernel, whose names are reset before each notebook, as for a user who does not restart it.
By default each notebook runs once, with several values changed, shorter walks and fewer inputs. ``make tweaks`` runs
each notebook often enough for every value of every menu, in changing combinations; it takes an hour on two cores.
"""

import base64
import io
import os
import re

import nbformat
import numpy as np
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync
from PIL import Image

from notebooks.execute import NOTEBOOKS, execute
from notebooks.parameters import read_menu, read_parameters, set_parameters

SHIPPED = {path: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
MENUS = {path: read_menu(notebook) for path, notebook in SHIPPED.items()}
LEAST_INK = 0.25  # of the share of ink as shipped; a walk that ends at its start leaves about half of it
FEWER = {"steps": 10, "inputs": 5}  # by default: short walks from few inputs
BACKGROUND = 245  # pixels brighter than this in every colour count as background


def combine(menu, run):
    """Choose a value of each menu for a run; every menu goes through its values and the shipped one in turn."""
    places = {name: (run + place) % (len(choices) + 1) for place, (name, choices) in enumerate(menu.items())}
    return {name: menu[name][index] for name, index in places.items() if index < len(menu[name])}


def list_tweaks():
    in_full = os.environ.get("TWEAKS") == "all"
    for path, menu in MENUS.items():
        runs = range(max(map(len, menu.values()), default=-1) + 1) if in_full else [1]
        fewer = {} if in_full else {k: v for k, v in FEWER.items() if k in read_parameters(SHIPPED[path])}
        for run in runs if menu else []:
            yield pytest.param(path, combine(menu, run) | fewer, id=f"{path.name.split('_')[0]}-run-{run}")


def pictures(cell):
    return [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


def ink(png):
    """Return the share of pixels that are not background; figures differ in size."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))
    return float((pixels < BACKGROUND).any(-1).mean())


def claims_that_do_not_hold(notebook):
    shown = [o.data.get("text/plain", "") for c in notebook.cells for o in c.get("outputs", []) if "data" in o]
    return [text for text in shown if text.startswith("✗ does not hold")]


@pytest.fixture(scope="module")
def kernel():
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


@pytest.mark.parametrize(("path", "values"), list(list_tweaks()))
def test_a_changed_parameter_breaks_nothing(path, values, kernel):
    shipped = SHIPPED[path]
    changed = set_parameters(shipped, values)
    changed.cells.insert(0, nbformat.v4.new_code_cell("%reset_selective -f ."))
    execute(changed, path.parent, f"{path.name[:3]} {values}", strict=False, kernel=kernel)
    del changed.cells[0]
    (place,) = [i for i, cell in enumerate(changed.cells) if "injected-parameters" in cell.metadata.get("tags", [])]
    for text in claims_that_do_not_hold(changed):
        print(text)
    del changed.cells[place]
    for before, after in zip(shipped.cells, changed.cells, strict=True):
        assert len(pictures(after)) == len(pictures(before)), after.source
        for old, new in zip(pictures(before), pictures(after), strict=True):
            assert ink(new) > LEAST_INK * ink(old), f"almost nothing is drawn by {after.source!r}"


def test_every_value_of_every_menu_is_used():
    menu = {"seed": [1, 2, 3], "model": ["b"], "eta": [1]}
    used = [combine(menu, run) for run in range(4)]
    assert {values["seed"] for values in used if "seed" in values} == {1, 2, 3}
    assert [values.get("model") for values in used] == [None, "b", None, "b"]
    assert [values.get("eta") for values in used] == [1, None, 1, None], "not always together with the model"


def test_what_is_made_fewer_is_a_parameter():
    assert set(FEWER) <= {name for notebook in SHIPPED.values() for name in read_parameters(notebook)}


def test_the_menus_offer_what_a_course_will_try():
    by_number = {path.name.split("_")[0]: menu for path, menu in MENUS.items() if menu}
    assert set(by_number) >= {"01", "02", "03", "04", "05", "06", "07"}
    for menu in by_number.values():
        assert {0, 1, 2, 3, 4, 5, 6, 7, 8, 9} - set(menu["seed"]) in [{n} for n in range(10)]
    assert {"vit-mnist"} <= set(by_number["02"]["model"])
    assert len(by_number["02"]["digit"]) >= 7
    assert len(by_number["03"]["text"]) >= 7 and len(by_number["04"]["text"]) >= 7
    assert by_number["02"]["eta"] == by_number["03"]["eta"] == [1] or 10 in by_number["03"]["eta"]
    assert (0.0, 0.0) in by_number["01"]["start"]


def test_ink_tells_an_empty_figure_from_a_drawn_one():
    def png(pixels):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return base64.b64encode(buffer.getvalue()).decode()

    empty = np.full((10, 10, 3), 255, np.uint8)
    drawn = empty.copy()
    drawn[2:4] = (255, 0, 0)
    assert (ink(png(empty)), ink(png(drawn))) == (0, 0.2)


def test_claims_that_do_not_hold_are_found(kernel):
    source = "from helpers.exercises import claim\nclaim('It holds.', True)\nclaim('It does not.', False, 3)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    execute(notebook, NOTEBOOKS, strict=False, kernel=kernel)
    found = claims_that_do_not_hold(notebook)
    assert [re.sub(r" \(.*", "", text) for text in found] == ["✗ does not hold for these parameters: It does not."]

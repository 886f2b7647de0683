"""Notebooks run from a clean kernel, as shipped and with their solutions, and keep to the template."""

import base64
import copy
import re
import statistics
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbclient.exceptions import CellExecutionError

from helpers.adapters.toy import paraboloid
from helpers.widgets import FigureExplorer, PlaneWalker
from notebooks.execute import (
    NOTEBOOKS,
    WIDGET_STATE,
    WIDGET_VIEW,
    add_solutions,
    execute,
    find_errors,
    normalise,
    normalise_file,
    read_solutions,
)
from notebooks.parameters import read_menu

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
by_name = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def read(path: Path):
    return nbformat.read(path, as_version=4)


def texts(cells) -> str:
    shown = [
        o.get("text", "") + str(o.get("data", {}).get("text/plain", "")) for c in cells for o in c.get("outputs", [])
    ]
    return "\n".join(shown)


@by_name
def test_runs_as_shipped_and_then_its_solutions_are_right(path):
    notebook = read(path)
    shipped = len(notebook.cells)
    exercises = sum("exercise" in cell.metadata.get("tags", []) for cell in notebook.cells)
    ran = execute(add_solutions(notebook, read_solutions(path)), path.parent, path.name)
    assert texts(ran.cells[:shipped]).count("not attempted yet") == exercises
    assert "right!" not in texts(ran.cells[:shipped])
    assert texts(ran.cells[shipped:]).count("right!") == exercises
    assert "not attempted yet" not in texts(ran.cells[shipped:])


@by_name
def test_keeps_to_the_template(path):
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code]
    assert max(lines) <= 15
    assert statistics.median(lines) <= 6
    assert sum(cell.source.count("**Predict.**") for cell in prose) >= 1
    assert sum("exercise" in cell.metadata.get("tags", []) for cell in code) >= 2
    for kind in (r"\(predict; ", r"\(write; ", r"\(open, \d+ minutes, "):
        assert any(re.search(r"\*\*Exercise \d+\*\* " + kind, cell.source) for cell in prose), kind
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    if read_menu(notebook):  # then every value of the menu is to run through
        assert not any(re.search(r"^\s*assert\b", cell.source, re.MULTILINE) for cell in code)
        assert sum("claim(" in cell.source for cell in code) >= 5
        assert len(notebook.cells) <= 60
    else:
        assert sum("assert" in cell.source for cell in code) >= 5
    assert "**References.**" in prose[-1].source
    assert not any("<summary>Solution" in cell.source for cell in prose), "solutions are in a folder of their own"
    assert len(code[0].source.splitlines()) <= 12
    assert not any("hint=" in cell.source for cell in code), "hints are folded in the text of the exercise"
    assert "pip install" not in "".join(cell.source for cell in code)


@by_name
def test_stored_outputs_are_small_and_clean(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert path.stat().st_size <= 400_000
    assert "widgets" not in notebook.metadata
    assert not list(find_errors(notebook))
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks` and commit what it stores"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            picture = output.get("data", {}).get("image/png", "")
            assert len(base64.b64decode(picture)) <= 60_000
            assert output.get("name") != "stderr"
            shown = output.get("data", {}).get("text/plain", "")
            assert not ("holds: " in shown and "as shipped: " in shown), f"say what is measured: {shown}"
            if picture and read_menu(notebook):
                assert len(output.metadata["image/png"]["alt"]) > 40, f"say what is seen: {cell.source}"
    stored = path.read_text()
    assert not re.search(r"/home/|/root/|/Users/|Warning", stored)
    assert "widget-view+json" not in stored


@by_name
def test_normalising_a_stored_notebook_changes_nothing(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    normalise_file(copy)
    assert copy.read_text() == path.read_text()


def test_normalising_strips_what_differs_from_run_to_run(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", execution_count=7)])
    notebook.metadata["widgets"] = {WIDGET_STATE: {"state": {}}}
    notebook.cells[0].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    nbformat.write(notebook, tmp_path / "one.ipynb")
    normalise_file(tmp_path / "one.ipynb")
    stored = read(tmp_path / "one.ipynb")
    assert "widgets" not in stored.metadata
    assert (stored.cells[0].execution_count, dict(stored.cells[0].metadata)) == (1, {})


def test_the_alternative_text_of_a_picture_stays():
    png = base64.b64encode((NOTEBOOKS.parent / "data" / "pictures" / "01.png").read_bytes()).decode()
    about = {"image/png": {"alt": "A circle.", "width": 100}}
    output = nbformat.v4.new_output("display_data", data={"image/png": png}, metadata=about)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    assert normalise(notebook).cells[0].outputs[0].metadata == {"image/png": {"alt": "A circle."}}


def test_a_claim_that_does_not_hold_is_an_error_only_where_claims_are_strict():
    source = "from helpers.exercises import claim\nclaim('Two is odd.', False, 2)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    execute(notebook, NOTEBOOKS, strict=False)
    with pytest.raises(CellExecutionError, match="Two is odd"):
        execute(notebook, NOTEBOOKS)


def test_a_swallowed_error_is_found():
    """nbclient stays green when an error lands in an Output widget or in a widget of this project."""
    captured = {"outputs": [{"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}]}
    walker, fine = (PlaneWalker({"paraboloid": paraboloid}) for _ in range(2))
    fine.step()
    walker.choose(step_length="endless")
    explorer = FigureExplorer(lambda: 1 / 0)
    states = [captured, fine.get_state(), walker.get_state(), explorer.status.get_state()]
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["widgets"] = {WIDGET_STATE: {"state": {str(i): {"state": s} for i, s in enumerate(states)}}}
    assert [error.splitlines()[0] for error in find_errors(notebook)] == [
        "ZeroDivisionError: division by zero",
        "step_length='endless': wanted one of short (0.1), medium (0.3), long (0.8)",
        "cannot draw this: division by zero",
    ]


def test_a_cell_that_raises_and_one_that_warns_are_found():
    broken = nbformat.v4.new_notebook()
    broken.cells = [nbformat.v4.new_code_cell("1 / 0")]
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(broken, NOTEBOOKS)
    warning = "import sys; print('\\r50%|#####     | 1/2\\ncareful', file=sys.stderr)"
    broken.cells = [nbformat.v4.new_code_cell(warning)]
    with pytest.raises(RuntimeError, match="careful"):
        execute(broken, NOTEBOOKS)


def test_an_exercise_without_a_solution_is_an_error():
    notebook = nbformat.v4.new_notebook()
    exercise = nbformat.v4.new_code_cell("answer = ...", metadata={"tags": ["exercise"]})
    notebook.cells = [exercise, nbformat.v4.new_code_cell("verify(answer, bool)")]
    with pytest.raises(ValueError, match="0 for 1 exercises"):
        add_solutions(notebook, [])
    solved = add_solutions(notebook, ["answer = 1\n"])
    assert [cell.source for cell in solved.cells[2:]] == ["answer = 1\n", "verify(answer, bool)"]


def test_normalised_outputs_do_not_depend_on_the_run():
    def run(count, seconds):
        bar = nbformat.v4.new_output("stream", name="stderr", text=f"\r50%|#####     | 1/2 [{seconds} s]")
        result = nbformat.v4.new_output(
            "execute_result", data={"text/plain": f"<Styler at 0x{count}f>"}, execution_count=count
        )
        widget = {WIDGET_VIEW: {"model_id": f"{count}"}, "text/plain": f"Widget({count})"}
        view = nbformat.v4.new_output("display_data", data=widget)
        tables = [pd.DataFrame({"T_12345": [1]}).style.format("{:.1e}").to_html() for _ in range(2)]
        styled = [nbformat.v4.new_output("display_data", data={"text/html": table}) for table in tables]
        cell = nbformat.v4.new_code_cell("1 + 2", execution_count=count, outputs=[bar, result, view, *styled])
        cell.metadata = nbformat.NotebookNode(tags=["picture"], execution={"iopub": f"{seconds}"})
        return nbformat.v4.new_notebook(
            cells=[cell], metadata={"language_info": {"name": "python", "version": f"3.{count}"}}
        )

    first, second = normalise(run(4, 0.1)), normalise(run(9, 0.7))
    assert first == second
    assert first.cells[0].metadata == {"tags": ["picture"]}
    result, *others = first.cells[0].outputs
    assert result.output_type == "execute_result" and {output.output_type for output in others} == {"display_data"}
    tables = [output.data["text/html"] for output in others[1:]]
    assert all(">T_12345</th>" in table for table in tables), "only ids change"
    assert len({re.search(r'<table id="(\w+)"', table)[1] for table in tables}) == 2
    assert normalise(copy.deepcopy(first)) == first
    assert first.cells[0].outputs[0].execution_count == 1

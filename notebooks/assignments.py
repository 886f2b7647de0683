"""Notebooks for nbgrader, with the solutions and the points in them: ``python -m notebooks.assignments``.

``nbgrader generate_assignment`` makes the students' copies of these, without the solutions, and grades what comes back.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from notebooks.execute import NOTEBOOKS, read_solutions
from notebooks.slides import read_exercises

CONFIG = """c = get_config()
c.ClearSolutions.code_stub = {"python": "# write your answer here"}
c.ExecutePreprocessor.timeout = 600
"""


def describe_cell(grade_id: str, **values: Any) -> dict[str, Any]:
    """Return a cell's metadata for nbgrader, schema version 3."""
    shared = {"schema_version": 3, "grade_id": grade_id, "cell_type": "code", "task": False}
    return shared | {"grade": False, "solution": False, "locked": False} | values


def insert_solution(source: str, solution: str) -> str:
    """Add a solution to an exercise; nbgrader removes what stands between the marks."""
    return f"{source}\n### BEGIN SOLUTION\n{solution.strip()}\n### END SOLUTION"


def insert_test(source: str) -> str:
    """Turn a self-check into one that fails unless the answer is right; nbgrader hides the part between the marks.

    Raises:
        ValueError: the last statement is no call of ``verify``.
    """
    last = ast.parse(source).body[-1]
    if not (isinstance(last, ast.Expr) and ast.unparse(last).startswith("verify(")):
        raise ValueError(f"check: must end with a call of verify, but ends with {ast.unparse(last)!r}")
    lines = source.splitlines()
    lines[last.lineno - 1] = "result = " + lines[last.lineno - 1]
    hidden = ["### BEGIN HIDDEN TESTS", 'assert result == "right!", result', "### END HIDDEN TESTS"]
    return "\n".join([*lines, *hidden, "display(result)"])  # nbgrader takes the value of a cell for its points


def create_assignment(notebook: NotebookNode, solutions: list[str]) -> NotebookNode:
    """Return a copy of a notebook for nbgrader; an exercise has as many points as its text gives it minutes."""
    assignment = nbformat.from_dict(notebook)
    minutes = read_exercises(notebook)
    places = [i for i, cell in enumerate(assignment.cells) if "exercise" in cell.metadata.get("tags", [])]
    for number, (place, solution) in enumerate(zip(places, solutions, strict=True), start=1):
        answer, check = assignment.cells[place], assignment.cells[place + 1]
        answer.source = insert_solution(answer.source, solution)
        answer.metadata["nbgrader"] = describe_cell(f"answer-{number}", solution=True)
        check.source = insert_test(check.source)
        points = minutes[str(number)]
        check.metadata["nbgrader"] = describe_cell(f"check-{number}", grade=True, locked=True, points=points)
    for cell in assignment.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return assignment


def write_assignments(folder: Path) -> None:
    """Write a course directory for nbgrader: its configuration, and an assignment of one notebook each."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        source = folder / "source" / path.name[:2] / path.name
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(create_assignment(nbformat.read(path, as_version=4), read_solutions(path)), source)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")


def main() -> None:
    """Write the course directory."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.assignments", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/nbgrader"), help="the course directory")
    write_assignments(parser.parse_args().folder)


if __name__ == "__main__":
    main()

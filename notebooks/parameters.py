"""The parameters of a notebook: the menu of values to try, and copies of the notebook with other values.

The cell tagged "parameters" holds the menu as comments, for the reader and for the tests alike::

    seed = 0  # try 0 to 9
    eta = 10  # try 1, 10; the paper tries both
    text = "A delight."
    # try text = "A dull film."
"""

from __future__ import annotations

import ast
import copy
import re
from typing import Any

import nbformat
from nbformat import NotebookNode

TAG = "parameters"
INJECTED = "injected-parameters"
VALUES = re.compile(r"^(\w+) = .+?  # try ([^;]+)")  # after the value: others, separated by commas, or a range
TRY = re.compile(r"#\s*try\b", re.IGNORECASE)  # what begins so is meant as a menu, and must be readable as one
ASSIGNMENT = re.compile(r"^# try (\w+) = (.+)$")  # a line of its own, which a reader can uncomment
RANGE = re.compile(r"^(\d+) to (\d+)$")


def read_parameters(notebook: NotebookNode) -> dict[str, ast.expr]:
    """Return the parameters of a notebook, each with the expression that it is set to."""
    statements = [s for s in ast.parse(_parameter_cell(notebook).source).body if isinstance(s, ast.Assign)]
    return {name.id: s.value for s in statements for name in ast.walk(s.targets[0]) if isinstance(name, ast.Name)}


def read_menu(notebook: NotebookNode) -> dict[str, list[Any]]:
    """Return the values to try of each parameter, the present one left out.

    Raises:
        ValueError: a comment "# try" that is no menu: it stands on no line of a parameter, or it is
            not made of literals or of a range such as "0 to 9".
    """
    menu: dict[str, list[Any]] = {}
    for line in _parameter_cell(notebook).source.splitlines():
        if matched := VALUES.match(line):
            menu.setdefault(matched[1], []).extend(_read_values(matched[2].strip()))
        elif matched := ASSIGNMENT.match(line):
            menu.setdefault(matched[1], []).extend(_read_values(matched[2]))
        elif TRY.search(line):
            raise ValueError(
                f"menu {line!r}: must be 'name = value  # try others' or '# try name = value', on one line"
            )
    present = {name: ast.literal_eval(read_parameters(notebook)[name]) for name in menu}
    return {name: [value for value in values if value != present[name]] for name, values in menu.items()}


def _read_values(text: str) -> list[Any]:
    if matched := RANGE.match(text):
        return list(range(int(matched[1]), int(matched[2]) + 1))
    try:
        return list(ast.literal_eval(f"[{text}]"))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"menu {text!r}: must be literals with commas between them, or a range as 0 to 9") from error


def set_parameters(notebook: NotebookNode, values: dict[str, Any]) -> NotebookNode:
    """Return a copy of a notebook with other values of its parameters, in a new cell after that of the parameters.

    Raises:
        ValueError: the notebook has no such parameter.
    """
    known = read_parameters(notebook)
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"values={values}: {unknown} are no parameters of the notebook, which has {sorted(known)}")
    changed = copy.deepcopy(notebook)
    place = changed.cells.index(_parameter_cell(changed)) + 1
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    changed.cells.insert(place, nbformat.v4.new_code_cell(source, metadata={"tags": [INJECTED]}))
    return changed


def _parameter_cell(notebook: NotebookNode) -> NotebookNode:
    cells = [cell for cell in notebook.cells if TAG in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"notebook: has {len(cells)} cells tagged {TAG!r}, must have 1")
    return cells[0]

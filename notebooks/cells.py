"""The cells of a notebook: those that show a widget, what each of them needs, and what it returns."""

from __future__ import annotations

import ast
import builtins
import contextlib
import hashlib
import io
import symtable
from typing import Any

from nbformat import NotebookNode

from notebooks.execute import NOTEBOOKS, WIDGET


def find_widgets(notebook: NotebookNode) -> list[int]:
    """Return the numbers of the code cells, from 0, in whose output a widget is shown."""
    return [i for i, cell in enumerate(code_cells(notebook)) if WIDGET in str(cell.outputs)]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def find_needed(sources: list[str], last: int) -> list[int]:
    """Return the numbers of the sources that the last one needs by their names, itself among them."""
    needed, missing = [], set[str]()
    for i in range(last, -1, -1):
        loaded, stored = find_names(sources[i])
        if i == last or stored & missing:
            needed.append(i)
            missing = (missing - stored) | loaded
    return needed[::-1]


def find_names(source: str) -> tuple[set[str], set[str]]:
    """Return the global names that a source reads, in its functions too, and those that it binds."""
    top = symtable.symtable(source, "cell", "exec")
    stored = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    loaded, tables = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}, top.get_children()
    while tables:
        table = tables.pop()
        loaded |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        tables += table.get_children()
    return loaded - set(dir(builtins)), stored


def fingerprint(sources: list[str]) -> str:
    """Return a short text that changes with any of the sources."""
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def evaluate(sources: list[str]) -> Any:
    """Run sources one after the other in the notebooks' folder, without their printing, and return the last value."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(NOTEBOOKS), contextlib.redirect_stdout(io.StringIO()):
        for source in sources:
            tree = ast.parse(source)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), names)
            value = last and eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return value

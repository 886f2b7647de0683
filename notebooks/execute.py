"""Execute notebooks from a clean kernel and store their outputs: ``python -m notebooks.execute``."""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image
from tqdm import tqdm

from helpers.exercises import STRICT

NOTEBOOKS = Path(__file__).resolve().parent
SOLUTIONS = NOTEBOOKS.parent / "solutions"
PICTURES = NOTEBOOKS.parent / "data" / "pictures"
SESSIONS = NOTEBOOKS.parent / "docs" / "sessions"  # what ``notebooks.record`` stores and the site plays
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET = "Run this cell to get the widget."  # stands in the place of a widget
CELL_TIMEOUT = 600  # seconds; the slowest cell takes about a minute on 2 cores
ERRORS_ONLY = "--log-level=40"  # the kernel warns about its transport otherwise
COLOURS = 256  # of a stored picture: a third of the size, without a visible difference
STYLED_ID = re.compile(r"(<[^<>]*\bid=\"|#)T_[0-9a-f]{5}")  # pandas gives a styled table another one in each run
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def execute(
    notebook: NotebookNode, folder: Path, title: str = "", strict: bool = True, kernel: KernelManager | None = None
) -> NotebookNode:
    """Run every cell in place, with a progress bar.

    Args:
        notebook: the notebook; its outputs are replaced.
        folder: the working folder of the kernel.
        title: the title of the progress bar.
        strict: whether a claim that does not hold is an error.
        kernel: runs the cells and stays open, with all that earlier notebooks left in it; if it runs already, it keeps
            its folder and strictness. A clean kernel of its own if None.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
        RuntimeError: there is an error in the output or state of a widget, or text on stderr.
    """
    code_cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=code_cells, desc=title, unit="cell") as bar:
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=CELL_TIMEOUT,
            startup_timeout=CELL_TIMEOUT,
            kernel_name="python3",
            extra_arguments=[ERRORS_ONLY],
            resources={"metadata": {"path": str(folder)}},
            on_cell_complete=lambda cell, cell_index: bar.update(cell.cell_type == "code"),
        )
        client.execute(env=os.environ | {STRICT: "1" if strict else "0"})
    errors = list(find_errors(notebook))
    if errors:
        raise RuntimeError(f"{title}: errors that no cell raised: " + "; ".join(errors))
    return notebook


def find_errors(notebook: NotebookNode) -> Iterator[str]:
    """Find errors in outputs and in the state of widgets, which nbclient does not raise."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"{output.ename}: {output.evalue}"
            if output.output_type == "stream" and output.name == "stderr" and not _is_progress_bar(output):
                yield f"written to stderr: {output.text.strip()[:200]}"
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for traits in (model.get("state", {}) for model in state.values()):
        for output in traits.get("outputs", []):
            if output.get("output_type") == "error":
                yield f"{output['ename']}: {output['evalue']}"
        if traits.get("is_error"):  # a StatusLine
            yield traits["value"]
        if isinstance(traits.get("status"), dict) and traits["status"].get("isError"):  # a CommandView
            yield traits["status"]["text"]


def _is_progress_bar(output: NotebookNode) -> bool:
    """Return whether an output is a progress bar and nothing else."""
    return output.output_type == "stream" and not re.sub(r"[^\r\n]*\d+%\|[^\r\n]*", "", output.text).strip()


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Remove what differs between runs, in place: widget state, times, kernel versions; number the cells 1 to n."""
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    count = 0
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02d}"
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode(tags=tags) if tags else NotebookNode()
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if not _is_progress_bar(output)]
        for place, output in enumerate(cell.outputs):
            output.pop("execution_count", None)
            if output.output_type == "execute_result":
                output.execution_count = count
            if output.output_type != "stream":
                output.metadata = _alt_texts(output)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])
            if "text/plain" in output.get("data", {}):
                output.data["text/plain"] = re.sub(r" at 0x[0-9a-f]+>", ">", output.data["text/plain"])
            if "text/html" in output.get("data", {}):
                html = output.data["text/html"]
                output.data["text/html"] = STYLED_ID.sub(rf"\g<1>T_{100 * count + place:05d}", html)
            if "data" in output and WIDGET_VIEW in output.data:
                output.data.pop(WIDGET_VIEW)  # the model of the view ends with the kernel
                output.data["text/plain"] = WIDGET
    return notebook


def _alt_texts(output: NotebookNode) -> NotebookNode:
    """Return the metadata of an output that are stored: the alternative text of each picture."""
    kept = {kind: {"alt": about["alt"]} for kind, about in output.metadata.items() if "alt" in about}
    return nbformat.from_dict(kept)


def shrink(png: str) -> str:
    """Reduce a picture (base64) to at most ``COLOURS`` colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png  # stored so before
    picture = picture.convert("RGB")
    buffer = io.BytesIO()
    # maximum coverage, because the median cut gives colour bars visible steps
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def save_picture(notebook: NotebookNode, path: Path) -> None:
    """Write the picture of the cell tagged "picture" to a PNG file, for the README."""
    for cell in notebook.cells:
        if "picture" in cell.metadata.get("tags", []):
            pictures = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(pictures[0]))


def read_solutions(path: Path) -> list[str]:
    """Read the code of the solutions of a notebook's exercises, in their order, from the folder of solutions."""
    text = (SOLUTIONS / f"{path.stem}.md").read_text(encoding="utf-8")
    return re.findall(r"^## Exercise \d+\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)


def add_solutions(notebook: NotebookNode, solutions: list[str]) -> NotebookNode:
    """Return a copy with the solution of each exercise and its check at the end.

    The notebook thus runs as shipped first, as it does for a student, and then with the exercises solved.

    Raises:
        ValueError: there are more exercises than solutions, or fewer.
    """
    solved = nbformat.from_dict(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    places = [i for i, cell in enumerate(code) if "exercise" in cell.metadata.get("tags", [])]
    if len(places) != len(solutions):
        raise ValueError(f"solutions: {len(solutions)} for {len(places)} exercises; add one for each to {SOLUTIONS}")
    for place, solution in zip(places, solutions, strict=True):
        solved.cells += map(nbformat.v4.new_code_cell, (solution, code[place + 1].source))
    return solved


def execute_file(path: Path) -> None:
    """Execute a notebook and store its outputs, and its picture for the README."""
    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path.parent, path.name)
    nbformat.write(normalise(notebook), path)
    save_picture(notebook, PICTURES / f"{path.name.split('_')[0]}.png")
    print(
        f"{path.name}: {time.perf_counter() - started:.0f} s, {path.stat().st_size / 1000:.0f} kB",
        file=sys.stderr,
    )


def normalise_file(path: Path) -> None:
    """Strip from a stored notebook what differs from run to run, without running it."""
    nbformat.write(normalise(nbformat.read(path, as_version=4)), path)


def main() -> None:
    """Execute the notebooks named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.execute", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks; all by default")
    parser.add_argument("--normalise", action="store_true", help="only strip what differs from run to run")
    options = parser.parse_args()
    for path in options.paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        (normalise_file if options.normalise else execute_file)(path)


if __name__ == "__main__":
    main()

"""Collect the figures of the executed notebooks: for the site's index of figures and for the front page's cards."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PLACE = "<!-- the figures of all notebooks -->"  # where docs/figures.md wants the index
SMALL = (400, 240)  # width and height in pixels that a small picture has at most
COLOURS = 64  # of a small picture
MARKUP = re.compile(r"[\\`*_\[\]<>$&#]")  # what Markdown would read as more than a letter
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class StoredFigure:
    """A figure as it is stored in a notebook."""

    notebook: Path
    number: int  # in its notebook, from 1
    section: str  # title of the section that it stands in
    description: str  # its alternative text
    png: bytes

    @property
    def anchor(self) -> str:
        """The name of its place on the notebook's page."""
        return name_anchor(self.notebook, self.number)

    def picture(self) -> Image.Image:
        """Its picture, in colours of 24 bits."""
        return Image.open(io.BytesIO(self.png)).convert("RGB")


def name_anchor(notebook: Path, number: int) -> str:
    """Name the place of a notebook's figure on its page."""
    return f"figure-{notebook.name.split('_')[0]}-{number}"


def stored_pictures(cell: dict) -> list[dict]:
    """Collect the outputs of a cell that hold a picture."""
    return [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


def read_figures(notebook: Path) -> Iterator[StoredFigure]:
    """Yield the figures of a notebook in their order."""
    section, number = "", 0
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "markdown":
            section = (HEADING.findall("".join(cell["source"])) or [section])[-1]
        for output in stored_pictures(cell):
            number += 1
            png = base64.b64decode("".join(output["data"]["image/png"]))
            yield StoredFigure(notebook, number, section, output["metadata"]["image/png"]["alt"], png)


def mark_figures(cells: list[dict], notebook: Path) -> list[dict]:
    """Return a notebook's cells with a place to link to before each cell that draws figures."""
    marked, number = [], 0
    for cell in cells:
        anchors = [name_anchor(notebook, number + i) for i in range(1, len(stored_pictures(cell)) + 1)]
        marked += [
            {"cell_type": "markdown", "id": anchor, "metadata": {}, "source": f"({anchor})="} for anchor in anchors
        ]
        marked.append(cell)
        number += len(anchors)
    return marked


def list_figures(text: str, folder: Path) -> str:
    """Put every figure of every notebook, small and with a link, where a document wants the index.

    Args:
        text: of ``docs/figures.md``.
        folder: for the small pictures; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return text.replace(PLACE, "\n".join(list_notebook(notebook, folder) for notebook in notebooks))


def list_notebook(notebook: Path, folder: Path) -> str:
    """List the figures of a notebook in Markdown, and save a small picture of each in a folder."""
    items = []
    for figure in read_figures(notebook):
        path = folder / f"small_{figure.anchor}.png"
        picture = figure.picture()
        picture.thumbnail(SMALL, Image.Resampling.LANCZOS)
        picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        name = f"Figure {figure.number} of notebook {notebook.name.split('_')[0]}"
        address = os.path.relpath(path, ROOT / "docs")
        description = MARKUP.sub(r"\\\g<0>", figure.description)
        items.append(f"- [![{name}]({address})](#{figure.anchor})\n  **{figure.section}**\n  {description}")
    heading = [
        f"## {read_title(notebook)}",
        "",
        f"[Open notebook {notebook.name[:2]}](../notebooks/{notebook.name})",
        "",
    ]
    return "\n".join([*heading, "```{container} figure-index", *items, "```", ""])


def read_title(notebook: Path) -> str:
    """Read a notebook's title."""
    cells = json.loads(notebook.read_text())["cells"]
    return re.search(r"^# (.+)$", "".join(cells[0]["source"]), re.MULTILINE)[1]

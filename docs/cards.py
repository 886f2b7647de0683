"""Write the front page's cards: a piece of a figure, the title, the question and the minutes of each notebook."""

from __future__ import annotations

import html
import re
from pathlib import Path

from figure_index import read_figures, read_title

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"\| \[\w+\.ipynb]\(notebooks/(\w+)\.ipynb\) \| (.+?) \| (\d+) \| !\[(.+?)]\(.+?\) \|")
# The piece that a card shows: how the figure's description begins, and left, top, right and bottom in pixels. It is
# at most 530 pixels wide: a whole figure is up to 1,000 wide, and its words could not be read on a card.
PIECES = {
    "01": ("Level curves of waves, and two walks", (62, 24, 373, 268)),
    "02": ("Six images along a walk", (24, 0, 470, 302)),
    "03": ("Both walks in the plane", (0, 0, 466, 311)),
    "04": ("Log-odds of he against she", (0, 34, 440, 314)),
    "05": ("Bars of words: neuron", (0, 0, 270, 200)),
    "06": ("Jaccard similarity per layer", (0, 0, 410, 251)),
    "07": ("The change of a prediction over the length of a move", (0, 0, 529, 281)),
    "08": ("Accuracy over the layers kept", (0, 0, 383, 281)),
    "09": ("Distance from the start over steps", (0, 0, 529, 281)),
    "10": ("Change of the reading per layer", (0, 0, 462, 251)),
    "11": ("A map of heads by the relation", (0, 0, 432, 241)),
    "12": ("Bars of words: the LoRA", (0, 0, 496, 309)),
}


def write_cards(folder: Path) -> str:
    """Write a card per notebook from the README's table, and its picture into a folder."""
    cards = []
    for name, question, minutes, _ in ROW.findall((ROOT / "README.md").read_text()):
        notebook = ROOT / "notebooks" / f"{name}.ipynb"
        width, height, description = save_piece(notebook, folder / f"{name[:2]}.png")
        emphasised = re.sub(r"[*](.+?)[*]", r"<em>\1</em>", html.escape(question))
        cards.append(
            f'<li><img src="_static/live/{name[:2]}.png" alt="Part of a figure: {html.escape(description)}"'
            f' loading="lazy" width="{width}" height="{height}">'
            f'<div><h3><a href="notebooks/{name}.html">{html.escape(read_title(notebook))}</a></h3>'
            f'<p>{emphasised}</p><p class="minutes">{minutes} minutes</p></div></li>'
        )
    return "\n".join(cards)


def save_piece(notebook: Path, path: Path) -> tuple[int, int, str]:
    """Save the piece of a notebook's figure that its card shows; return its size and the figure's description.

    Raises:
        ValueError: no figure has such a description, several have, or the piece does not lie in it.
    """
    beginning, box = PIECES[notebook.name[:2]]
    found = [figure for figure in read_figures(notebook) if figure.description.startswith(beginning)]
    sizes = [figure.picture().size for figure in found]
    if len(found) != 1 or box[2] > sizes[0][0] or box[3] > sizes[0][1]:
        raise ValueError(
            f"{beginning!r}, {box}: {notebook.name} has such figures of {sizes}; choose another in cards.py"
        )
    piece = found[0].picture().crop(box)
    piece.quantize(64).save(path, optimize=True)
    return *piece.size, found[0].description

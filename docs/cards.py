"""Write the front page's cards: a piece of a figure, the title, the question and the minutes of each notebook."""

from __future__ import annotations

import html
import re
from pathlib import Path

from figure_index import read_figures, read_title

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"\| \[\w+\.ipynb]\(notebooks/(\w+)\.ipynb\) \| (.+?) \| (\d+) \| !\[(.+?)]\(.+?\) \|")
# The piece that a card shows: the figure's number in its notebook, and left, top, right and bottom in pixels. A piece
# is at most 530 pixels wide: a whole figure is up to 1,000 wide, and its words could not be read on a card.
PIECES = {
    "01": (4, (62, 66, 383, 274)),
    "02": (5, (24, 0, 470, 302)),
    "03": (5, (0, 0, 466, 311)),
    "04": (5, (0, 34, 440, 314)),
    "05": (1, (0, 0, 270, 200)),
    "06": (2, (0, 0, 410, 251)),
    "07": (1, (0, 0, 529, 281)),
    "08": (4, (0, 0, 383, 281)),
    "09": (1, (0, 0, 529, 281)),
    "10": (8, (0, 0, 529, 251)),
    "11": (2, (0, 0, 432, 241)),
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
    """Save the piece of a notebook's figure that its card shows; return its size and the figure's description."""
    number, box = PIECES[notebook.name[:2]]
    figure = list(read_figures(notebook))[number - 1]
    piece = figure.picture().crop(box)
    piece.quantize(64).save(path, optimize=True)
    return *piece.size, figure.description

"""The style sheet that every view shares: its colours on a light and on a dark page.

``theme.css`` holds all of it but the colours of the algorithms, which are those of the figures.
"""

from pathlib import Path

from helpers.figures.style import THEME_COLOURS


def write_algorithm_colours() -> str:
    """Write the CSS variables ``--tm-algorithm-NAME``, with NAME in small letters and hyphens, of every algorithm."""
    names = {algorithm.lower().replace("_", "-"): colours for algorithm, colours in THEME_COLOURS.items()}
    lines = (f"  --tm-algorithm-{name}: light-dark({light}, {dark});" for name, (light, dark) in names.items())
    return "\n".join([':where([class^="tm-"], [class*=" tm-"]) {', *lines, "}\n"])


THEME = (Path(__file__).parent / "theme.css").read_text(encoding="utf-8") + write_algorithm_colours()

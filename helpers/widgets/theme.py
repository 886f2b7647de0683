"""The style sheet that every view shares: its colours on a light and on a dark page.

``theme.css`` holds all of it but the colours of the algorithms and of what is drawn, which are those of the figures.
"""

from pathlib import Path

from helpers.figures.style import ROLE_COLOURS, THEME_COLOURS


def write_shared_colours() -> str:
    """Write the CSS variables ``--tm-algorithm-NAME``, with NAME in small letters and hyphens, and ``--tm-ROLE``."""
    names = {f"algorithm-{name.lower().replace('_', '-')}": colours for name, colours in THEME_COLOURS.items()}
    lines = (f"  --tm-{name}: light-dark({light}, {dark});" for name, (light, dark) in (names | ROLE_COLOURS).items())
    return "\n".join([':where([class^="tm-"], [class*=" tm-"]) {', *lines, "}\n"])


THEME = (Path(__file__).parent / "theme.css").read_text(encoding="utf-8") + write_shared_colours()

"""Run the examples of the gallery, and keep the figure that each one makes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = re.compile(r"```python\n(.+?)```\n\n<!-- figure: (.+?) -->", re.DOTALL)


def read_examples(text: str) -> list[tuple[str, str]]:
    """Read the examples from the gallery's text: the code of each, and a sentence on what its figure shows."""
    return EXAMPLE.findall(text)


def run_example(code: str) -> Figure:
    """Run an example by itself and return its figure."""
    names: dict[str, object] = {"__name__": "gallery"}
    exec(compile(code, "docs/gallery.md", "exec"), names)  # the project's own text
    return names["figure"]


def show_figures(text: str, folder: Path) -> str:
    """Run the examples, save their figures in a folder, and put each in the place where the text names it.

    Args:
        text: of ``docs/gallery.md``.
        folder: for the figures; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def pictures() -> Iterator[str]:
        for number, (code, description) in enumerate(read_examples(text), 1):
            path = folder / f"gallery_{number}.png"
            run_example(code).savefig(path, bbox_inches="tight")
            yield f"![{description}]({os.path.relpath(path, ROOT / 'docs')})"

    made = pictures()
    return re.sub("<!-- figure: .+? -->", lambda _: next(made), text)

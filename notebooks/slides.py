"""Slides of each session of the course, from the notebooks' own cells: ``python -m notebooks.slides``.

Nothing is run. A deck shows the prose, the figures, the tables and the claims of a session's sections, and no code. It
needs no network: MathJax is copied beside the decks.
"""

from __future__ import annotations

import argparse
import html
import importlib.resources
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.filters import markdown2html
from nbformat import NotebookNode

from notebooks.execute import NOTEBOOKS

COURSE = NOTEBOOKS.parent / "docs" / "course.toml"
PLANS = ("four", "seven")
MATHJAX = importlib.resources.files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js"
EXERCISE = re.compile(r"\*\*Exercise (\d+)\*\* \(.*?(\d+) minutes.*?\)")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>MathJax = {{tex: {{inlineMath: [["$", "$"]]}}}}</script>
<script defer src="tex-svg.js"></script>
<style>
body {{ font: 1.5rem/1.4 system-ui, sans-serif; margin: 0; color: #1c1c1c; background: white }}
section {{ box-sizing: border-box; min-height: 100vh; padding: 3vh 7vw; border-bottom: 1px solid #bbb }}
h1 {{ font-size: 2.6rem }} h2 {{ font-size: 2rem; color: #005b8f; margin: 0 0 1rem }}
img {{ max-width: 100%; max-height: 75vh }} pre {{ font-size: 1.15rem; white-space: pre-wrap }}
table {{ border-collapse: collapse; font-size: 1.1rem }} td, th {{ padding: .2rem .7rem; border: 1px solid #ccc }}
a.anchor-link {{ display: none }} summary {{ cursor: pointer; font-weight: bold }}
@media print {{ section {{ page-break-after: always; border: 0 }} }}
</style></head><body>
{slides}
<script>
const slides = [...document.querySelectorAll("section")];
addEventListener("keydown", event => {{
  const step = {{ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}}[event.key];
  if (!step) return;
  const here = slides.findLastIndex(slide => slide.getBoundingClientRect().top < 10);
  slides[Math.min(Math.max(here + step, 0), slides.length - 1)].scrollIntoView();
  event.preventDefault();
}});
</script></body></html>
"""


def read_course(path: Path = COURSE) -> dict[str, Any]:
    """Read the minutes of the sections, and the sessions of each plan."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_notebook(number: str) -> NotebookNode:
    """Read the notebook of a number such as "01"."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return nbformat.read(path, as_version=4)


def split_sections(notebook: NotebookNode) -> dict[str, list[str | NotebookNode]]:
    """Return the contents of each numbered section: texts in Markdown, and code cells."""
    sections: dict[str, list[str | NotebookNode]] = {"": []}
    number = ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            sections[number].append(cell)
            continue
        for text in re.split(r"^(?=## \d+ · )", cell.source, flags=re.MULTILINE):
            if heading := re.match(r"## (\d+) · ", text):
                number = heading.group(1)
                sections[number] = []
            if text.strip():
                sections[number].append(text)
    return sections


def read_exercises(notebook: NotebookNode) -> dict[str, int]:
    """Return the minutes of each numbered exercise, as its text gives them."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {number: int(minutes) for number, minutes in EXERCISE.findall(prose)}


def count_minutes(course: dict[str, Any], session: dict[str, Any]) -> tuple[int, int]:
    """Return the minutes of a session's sections and those of its exercises."""
    read = (name.split(".") for name in session["sections"])
    tried = (name.split(".") for name in session["exercises"])
    return (
        sum(course["minutes"][number][section] for number, section in read),
        sum(read_exercises(read_notebook(number))[exercise] for number, exercise in tried),
    )


def show_output(output: NotebookNode) -> str:
    """Return an output as HTML: a picture, a table or a claim; an empty text for others."""
    data = output.get("data", {})
    if "image/png" in data:
        alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
        return f'<img alt="{alt}" src="data:image/png;base64,{data["image/png"].strip()}">'
    shown: str = data.get("text/html", "")
    return re.sub(r"<(style|script).*?</\1>", "", shown, flags=re.DOTALL)


def create_slides(contents: list[str | NotebookNode]) -> Iterator[str]:
    """Yield the slides of one section: one per text, and one for the outputs of the cells after it."""
    shown: list[str] = []
    for content in [*contents, ""]:
        if isinstance(content, NotebookNode):
            shown += filter(None, map(show_output, content.outputs))
            continue
        if shown:
            yield "\n".join(shown)
            shown = []
        if content:
            yield markdown2html(content)


def create_deck(course: dict[str, Any], session: dict[str, Any]) -> str:
    """Return the page of a session's slides."""
    read, tried = count_minutes(course, session)
    about = f"<p>Sections {', '.join(session['sections'])}: {read} minutes. Exercises: {tried} minutes.</p>"
    slides = [f"<h1>{html.escape(session['title'])}</h1>{about}<p>Arrow keys change the slide.</p>"]
    for name in session["sections"]:
        number, section = name.split(".")
        slides += create_slides(split_sections(read_notebook(number))[section])
    body = "\n".join(f"<section>{slide}</section>" for slide in slides)
    return PAGE.format(title=html.escape(session["title"]), slides=body)


def write_slides(folder: Path) -> list[Path]:
    """Write the deck of each session of each plan, and MathJax, into a folder; return the paths of the decks."""
    folder.mkdir(parents=True, exist_ok=True)
    with importlib.resources.as_file(MATHJAX) as source:
        shutil.copyfile(source, folder / "tex-svg.js")
    course, paths = read_course(), []
    for plan in PLANS:
        for i, session in enumerate(course[plan], start=1):
            paths.append(folder / f"{plan}-{i}.html")
            paths[-1].write_text(create_deck(course, session), encoding="utf-8")
    return paths


def summarise_plan(course: dict[str, Any], plan: str) -> str:
    """Return the sessions of a plan as rows of a table in Markdown, with their minutes."""
    rows = ["| session | sections | minutes | exercises | minutes | in all |", "|---|---|---|---|---|---|"]
    for i, session in enumerate(course[plan], start=1):
        read, tried = count_minutes(course, session)
        places = [f"{number}: {_list_places(session, number)}" for number in _list_notebooks(session["sections"])]
        cells = [f"{i} · {session['title']}", "; ".join(places), read, ", ".join(session["exercises"]), tried]
        rows.append("| " + " | ".join(map(str, [*cells, read + tried + course["fixed_minutes"]])) + " |")
    return "\n".join(rows)


def _list_notebooks(names: list[str]) -> list[str]:
    """Return the notebooks of some sections, each once, in their order."""
    return list(dict.fromkeys(name.split(".")[0] for name in names))


def _list_places(session: dict[str, Any], number: str) -> str:
    """Return the numbers of a session's sections in one notebook."""
    return ", ".join(name.split(".")[1] for name in session["sections"] if name.startswith(f"{number}."))


def main() -> None:
    """Write the slides of all sessions, and print the tables of the teaching plan."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.slides", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/slides"), help="where to write the decks")
    for path in write_slides(parser.parse_args().folder):
        print(path)
    for plan in PLANS:
        print(f"\n{summarise_plan(read_course(), plan)}")


if __name__ == "__main__":
    main()

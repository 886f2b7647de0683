"""Put the notebooks' widgets on the site, where they play what ``python -m notebooks.record`` has stored.

The views are the package's own files, and those of ``docs/stored`` stand in for the kernel. All of them become one
script, because a page that is opened from disk may load no modules; each session is a script of its own, which its page
loads when the widget comes in sight.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

from helpers.widgets.theme import THEME
from helpers.widgets.views import FOLDER
from notebooks.execute import SESSIONS

ROOT = Path(__file__).resolve().parents[1]
DRAWINGS = ["dom", "output_bars", "drift_plot"]  # what the front page uses
PARTS = [*DRAWINGS, "patch_grid", "token_strip", "plane", "stages", "inputs", "words", "take_away"]
VIEWS = ["walker", "directions", "picture", "score_bars", "parameter_map"]  # each exports {render}
PLAYERS = ["player", "walks", "plane_walk", "figures", "readings"]  # of docs/stored
VIEW = Template("views.$name = (() => {\n$script\n})();")


def write_widgets(site: Path) -> None:
    """Write into a built site: all widgets, their bars and plot alone for the front page, and the stored sessions."""
    folder = site / "_static" / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    for name, script, parts in (
        ("widgets", join_widgets(), [*PARTS, *VIEWS]),
        ("drawings", enclose(map(read_part, DRAWINGS), ["drawOutputBars", "drawDriftPlot", "writeNumber"]), DRAWINGS),
    ):
        (folder.parent / f"{name}.js").write_text(script, encoding="utf-8")
        (folder.parent / f"{name}.css").write_text(join_styles(parts), encoding="utf-8")
    for path in SESSIONS.glob("*.json"):
        script = f'tmWidgets.play("{path.stem}", {path.read_text(encoding="utf-8").strip()});\n'
        (folder / f"{path.stem}.js").write_text(script, encoding="utf-8")


def join_widgets() -> str:
    """Join all scripts into one, which sets ``tmWidgets``."""
    views = [VIEW.substitute(name=name, script=read_part(name)) for name in VIEWS]
    players = [read_script(ROOT / "docs" / "stored" / f"{name}.js") for name in PLAYERS]
    return enclose([*map(read_part, PARTS), "const views = {};", *views, *players], ["play"])


def enclose(scripts: Iterable[str], exports: list[str]) -> str:
    """Write a script that runs others in a scope of their own, and sets ``tmWidgets`` to some of their functions."""
    body = "\n".join(scripts)
    return f"const tmWidgets = (() => {{\n{body}\nreturn {{ {', '.join(exports)} }};\n}})();\n"


def join_styles(names: list[str]) -> str:
    """Join the theme, the styles of these scripts of the widgets, and that of the place of a session."""
    styles = [FOLDER / f"{name}.css" for name in names] + [ROOT / "docs" / "stored" / "stored.css"]
    return THEME + "".join(path.read_text(encoding="utf-8") for path in styles if path.is_file())


def read_part(name: str) -> str:
    """Read a script of the package's widgets."""
    return read_script(FOLDER / f"{name}.js")


def read_script(path: Path) -> str:
    """Read a module as a part of one script: without imports and exports; a default export becomes what it returns."""
    text = re.sub(r"^import .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = re.sub(r"^export default ", "return ", text, flags=re.MULTILINE)
    return re.sub(r"^export (?=function|const)", "", text, flags=re.MULTILINE)


def show_session(name: str, notebook: str, still: str) -> str:
    """Write the place of a stored session in a notebook's page as Markdown, before the still picture."""
    if not (SESSIONS / f"{name}.json").is_file():
        return still
    place = f'<div class="tm-session" data-session="{name}" data-notebook="../_sources/{notebook}.ipynb"></div>'
    return f'{place}\n\n<div class="tm-still">\n\n{still}\n\n</div>'

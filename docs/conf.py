"""How the site is made of the notebooks and documents: ``make site``.

Notebooks are not run, but shown with their stored outputs; only the gallery's short examples are run. Nothing is
fetched from elsewhere when a page is read: MathJax comes with the site, and widgets play what was stored of them.
"""

import importlib
import importlib.resources
import json
import re
import sys
from pathlib import Path
from types import FunctionType

from docutils import nodes

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

from figure_index import list_figures, mark_figures  # noqa: E402
from gallery import show_figures  # noqa: E402
from glossary_links import link_glossary  # noqa: E402
from launch import REPOSITORY  # noqa: E402
from live import write_front_page  # noqa: E402
from stored import show_session, write_widgets  # noqa: E402

from notebooks.execute import WIDGET  # noqa: E402

project = "Transformer Manifolds"
author = "The Transformer Manifolds authors"
html_title = project
html_favicon = "icon.svg"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "notebooks/*.ipynb",
    "docs/*.md",
    "docs/api/*.md",
    "docs/handouts/*.md",
    "data/README.md",
    "tests/benchmarks/*.md",
]
CHAPTERS = {
    "Notebooks": sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")),
    "What we found out": ["docs/findings.md", "docs/figures.md"],
    "To use it for your own models": ["docs/gallery.md"],
    "To teach from them": [
        "docs/teaching_plan.md",
        "docs/lecture.md",
        "docs/glossary.md",
        *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/handouts").glob("*.md")),
    ],
    "Interface of the package": sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/api").glob("*.md")),
    "Behind them": [
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "data/README.md",
        *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "benchmarks").glob("*.md")),
    ],
}

autodoc_default_options = {"members": True, "imported-members": True, "no-value": True}
autodoc_preserve_defaults = True
autodoc_member_order = "groupwise"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_image_options = {"alt": "Figure drawn by the code above it; the text below it says what it shows."}

html_domain_indices = False
html_use_index = False
html_theme = "sphinx_book_theme"
html_static_path = [
    "site.css",
    "copy.js",
    str(importlib.resources.files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js"),
]
mathjax_path = "tex-svg.js"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_js_files = ["copy.js"]
html_theme_options = {"navbar_persistent": []}
if REPOSITORY:  # buttons that need the public address, see docs/launch.py
    html_theme_options |= {
        "repository_url": REPOSITORY,
        "repository_branch": "main",
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }

NOTE = "*This is a widget: it moves where the notebook runs. Its still picture follows below.*"


def prepare_source(app, docname: str, source: list[str]) -> None:
    """Give the front page the notebooks' titles and the list of all pages, and notebooks pictures for their widgets."""
    if docname == root_doc:
        source[0] = re.sub(r"\[\w+\.ipynb\]\(", "[](", source[0])  # a link without a text shows the page's title
        source[0] += "\n```{toctree}\n:hidden:\n\nRead me <self>\n```\n" + "".join(
            f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(paths) + "\n```\n"
            for caption, paths in CHAPTERS.items()
        )
    if docname == "docs/gallery":
        source[0] = show_figures(source[0], Path(app.doctreedir) / "gallery")
    if docname == "docs/figures":
        source[0] = list_figures(source[0], Path(app.doctreedir) / "figures")
    if docname.startswith("docs/api/"):
        source[0] += describe_constants(docname.removeprefix("docs/api/"))
    if docname.startswith("notebooks/"):
        notebook = json.loads(source[0])
        for index, cell in enumerate(cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
            replace_widget(cell, docname, index)
            describe_pictures(cell)
        notebook["cells"] = mark_figures(notebook["cells"], Path(docname))
        source[0] = json.dumps(notebook)


def describe_constants(package: str) -> str:
    """Describe the public constants of a package by the comments beside their definitions, as reStructuredText."""
    module = importlib.import_module(f"helpers.{package}")
    names = [name for name in module.__all__ if not isinstance(getattr(module, name), (type, FunctionType))]
    folder = ROOT / "helpers" / package
    sources = folder.glob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    text = "\n".join(source.read_text() for source in sources)
    comments = dict(re.findall(r"^([A-Z]\w+)(?:: [^=\n]+)? = [^#\n]+# (.+)$", text, re.MULTILINE))
    entries = [f".. py:data:: {name}\n\n   {comments[name]}.\n" for name in names]
    return (
        "\n".join(["\n```{eval-rst}", f".. py:currentmodule:: helpers.{package}\n", *entries, "```\n"]) if names else ""
    )


def replace_widget(cell: dict, docname: str, index: int) -> None:
    """Put a widget's stored session, its picture, if the README shows one, and a note where its text is stored."""
    for output in cell.get("outputs", []):
        if "".join(output.get("data", {}).get("text/plain", "")).startswith(WIDGET):
            number = docname.removeprefix("notebooks/").split("_")[0]
            pictures = [picture for name, picture in widget_pictures().items() if f"{name}(" in "".join(cell["source"])]
            output["data"] = {
                "text/markdown": show_session(f"{number}-{index}", docname, "\n\n".join([*pictures, NOTE]))
            }


def describe_pictures(cell: dict) -> None:
    """Give the pictures of a cell the alternative text that is stored with them."""
    stored = [output.get("metadata", {}).get("image/png", {}) for output in cell.get("outputs", [])]
    texts = [about["alt"] for about in stored if "alt" in about]
    if texts:
        cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(texts)}}


def widget_pictures() -> dict[str, str]:
    """Collect the README's pictures of widgets by the widget's class, as Markdown for a notebook."""
    shown = re.findall(r"!\[([^]]*)\]\(data/pictures/(\w+)\.png\)\s*\| `(\w+)`", (ROOT / "README.md").read_text())
    return {name: f"![{alt}](../data/pictures/{picture}.png)" for alt, picture, name in shown}


def add_front_page(app, exception: Exception | None) -> None:
    """Let the site's folder open on the page with the live model, and its widgets play."""
    if exception is None:
        write_widgets(Path(app.outdir))
        write_front_page(Path(app.outdir))


def link_film(app, doctree, docname: str) -> None:
    """Let the README's moving picture lead to the page where it was taken."""
    for picture in doctree.findall(nodes.image) if docname == root_doc else []:
        if picture["uri"].endswith(".gif"):
            picture.parent["refuri"] = "index.html"


def link_front_page(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Let the title of each page lead to the front page, and a notebook's page load the widgets."""
    context["theme_logo_link"] = context["pathto"]("index.html", 1)
    if pagename.startswith("notebooks/"):
        app.add_js_file("widgets.js", loading_method="defer")
        app.add_css_file("widgets.css")


def setup(app) -> None:
    """Connect all this to Sphinx."""
    app.connect("source-read", prepare_source)
    app.connect("doctree-resolved", link_film)
    app.connect("doctree-resolved", link_glossary)
    app.connect("html-page-context", link_front_page)
    app.connect("build-finished", add_front_page)

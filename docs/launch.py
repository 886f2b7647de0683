"""Write the README's links that open the notebooks in Binder and Colab: ``python docs/launch.py``.

Both services read the public repository, whose address stands in one place, ``repository-code`` in CITATION.cff.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = re.search(r"^repository-code: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1]
BEGIN, END = "<!-- written by docs/launch.py -->", "<!-- end -->"


def badges(notebook: str, repository: str) -> str:
    """Give a notebook's row of the table: its number and a badge for each service."""
    owner_and_name = "/".join(repository.split("/")[-2:])
    binder = f"https://mybinder.org/v2/gh/{owner_and_name}/main?urlpath=lab/tree/notebooks/{notebook}"
    colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/{notebook}"
    number = notebook.split("_")[0]
    return (
        f"| {number} | [![Open notebook {number} in Binder](data/pictures/binder.svg)]({binder})"
        f" | [![Open notebook {number} in Colab](data/pictures/colab.svg)]({colab}) |"
    )


def section(repository: str = REPOSITORY) -> str:
    """Give what stands between the two marks in the README."""
    rows = [badges(path.name, repository) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    folder = repository.split("/")[-1]
    first_cell = f"```\n!git clone --depth 1 {repository}\n%pip install --quiet --editable ./{folder}\n```"
    return "\n".join(
        [BEGIN, "", "| notebook | Binder | Colab |", "|---|---|---|", *rows, "",
         "Binder installs everything by itself, from `environment.yml`. In Colab, run this in a new first cell and",
         "restart the session when it is done:", "", first_cell, "", END]
    )  # fmt: skip


def with_section(readme: str) -> str:
    """Put the section in its place in the README's text."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: section(), readme, flags=re.DOTALL)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_section(path.read_text()))

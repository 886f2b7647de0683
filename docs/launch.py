"""Write the links that need the project's public address, and check the links that leave the project.

``python docs/launch.py https://github.com/someone/name`` writes the address into CITATION.cff, and the links that open
the notebooks in Binder and Colab into README.md; until then there are none. With a second address, that of the site,
the README's moving picture leads to the site's live page, and until then to a notebook. Without an address the command
writes the README's links again from CITATION.cff. ``python docs/launch.py --check`` asks for every link of the
documents and notebooks that leaves the project, and lists those that do not answer.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENTRY = re.compile(r"^repository-code: (\S+)\n", re.MULTILINE)  # the one place that holds the address
SITE_ENTRY = re.compile(r"^url: (\S+)\n", re.MULTILINE)  # the one place that holds the site's address
ADDRESS = re.compile(r"https://[^/\s]+/[^/\s]+/[^/\s]+")  # of a repository: host, owner and name
LICENCE = re.compile(r"^license: .*\n", re.MULTILINE)  # the line of CITATION.cff after which addresses are written
FILM = re.compile(r"(?<=\(data/pictures/live\.gif\)\]\()[^)]+")  # where the README's moving picture leads
WALK = "notebooks/02_vit__walk_inside_a_class.ipynb"  # the notebook that makes the same walk
LINK = re.compile(r"https?://[^\s)\]>\"'`}|]+")
BEGIN, END = "<!-- written by docs/launch.py -->", "<!-- end -->"
TIMEOUT = 20  # seconds to wait for an answer


def read_address(citation: str, entry: re.Pattern = ENTRY) -> str | None:
    """Read the public address, or by another entry the site's, from CITATION.cff's text; None if not known yet."""
    found = entry.search(citation)
    return found[1] if found else None


REPOSITORY = read_address((ROOT / "CITATION.cff").read_text())


def write_address(citation: str, address: str, site: str | None = None) -> str:
    """Return the text of CITATION.cff with the address of the repository, and with that of the site if it is known.

    Raises:
        ValueError: an address is not that of a repository, or not that of a site.
    """
    address = address.rstrip("/").removesuffix(".git")
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"address={address!r}: wanted one of a repository, such as https://github.com/someone/name")
    if site is not None and not LINK.fullmatch(site):
        raise ValueError(f"site={site!r}: wanted the address of the built site, such as https://someone.github.io/name")
    site = site or read_address(citation, SITE_ENTRY)
    entries = f"repository-code: {address}\n" + (f"url: {site.rstrip('/')}/\n" if site else "")
    without = ENTRY.sub("", SITE_ENTRY.sub("", citation))
    return LICENCE.sub(lambda line: line[0] + entries, without, count=1)


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


def section(repository: str | None) -> str:
    """Give what stands between the two marks in the README: nothing where Colab and Binder cannot read the project."""
    if repository is None or not repository.startswith("https://github.com/"):
        return f"{BEGIN}\n{END}"
    rows = [badges(path.name, repository) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    folder = repository.split("/")[-1]
    first_cell = f"```\n!git clone --depth 1 {repository}\n%pip install --quiet --editable ./{folder}\n```"
    return "\n".join(
        [BEGIN, "", "| notebook | Binder | Colab |", "|---|---|---|", *rows, "",
         "Binder installs everything by itself, from `environment.yml`. In Colab, run this in a new first cell and",
         "restart the session when it is done:", "", first_cell, "", END]
    )  # fmt: skip


def with_links(readme: str, citation: str) -> str:
    """Put the section in its place in the README's text, and let the moving picture lead to the site."""
    written = section(read_address(citation))
    readme = re.sub(f"{BEGIN}.*{END}", lambda _: written, readme, flags=re.DOTALL)
    return FILM.sub(lambda _: read_address(citation, SITE_ENTRY) or WALK, readme)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the documents of the project, and the text of its notebooks, by their paths."""
    for pattern in ("*.md", "CITATION.cff", "docs/*.md", "docs/*/*.md", "docs/live/page.html", "data/README.md"):
        for path in sorted(ROOT.glob(pattern)):
            yield path, path.read_text()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        yield path, "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def external_links() -> dict[str, list[str]]:
    """Collect the links that leave the project: address -> the files that have it."""
    links: dict[str, list[str]] = {}
    for path, text in texts():
        for link in sorted({link.rstrip(".,;:*") for link in LINK.findall(text)}):
            links.setdefault(link, []).append(path.relative_to(ROOT).as_posix())
    return links


def find_problem(link: str) -> str | None:
    """Ask for a link; return what is wrong with the answer, or None."""
    request = urllib.request.Request(link, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return None if answer.status == 200 else f"status {answer.status}"
    except (OSError, ValueError) as error:  # what urllib raises for links that cannot be opened
        return str(error)


def check_links() -> int:
    """Ask for every external link, print those that do not answer, and return how many they are."""
    links = external_links()
    problems = {link: problem for link in links if (problem := find_problem(link))}
    for link, problem in problems.items():
        print(f"{link}: {problem} (in {', '.join(links[link])})")
    print(f"{len(links)} external links, {len(problems)} do not answer")
    return len(problems)


def main(arguments: list[str]) -> int:
    """Write the links, or check them; see the text at the top of this file."""
    if arguments == ["--check"]:
        return min(1, check_links())
    citation, readme = ROOT / "CITATION.cff", ROOT / "README.md"
    if arguments:
        citation.write_text(write_address(citation.read_text(), *arguments))
    readme.write_text(with_links(readme.read_text(), citation.read_text()))
    for what, entry in (("public address", ENTRY), ("site", SITE_ENTRY)):
        print(f"{what}: {read_address(citation.read_text(), entry) or 'not known yet'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

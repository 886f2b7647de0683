"""Every public name has its place on a page of the interface, and the examples there are true."""

import doctest
import importlib
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
PACKAGES = {
    path.stem
    for path in (ROOT / "helpers").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").is_file()) and not path.stem.startswith("__")
}
by_name = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def test_every_package_has_a_page():
    assert {path.stem for path in PAGES} == PACKAGES


@by_name
def test_the_example_of_a_page_is_true(path):
    text = path.read_text().split("```python")[1].split("```")[0]
    example = doctest.DocTestParser().get_doctest(text, {}, path.stem, str(path), 0)
    assert len(example.examples) >= 2
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.failed == 0, path.stem


@pytest.mark.xdist_group("browser")  # where the site is built already
@by_name
def test_every_public_name_is_on_its_page_with_a_description(path, site):
    module = importlib.import_module(f"helpers.{path.stem}")
    soup = BeautifulSoup((site / "docs" / "api" / f"{path.stem}.html").read_text(), "html.parser")
    for name in module.__all__:
        entry = soup.find(id=f"helpers.{path.stem}.{name}")
        assert entry, f"{name} is not on the page of {path.stem}"
        assert len(entry.find_next_sibling("dd").get_text()) > 15, f"{name} has no description"

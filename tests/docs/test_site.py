"""The built site, read from its folder: links lead somewhere, nothing comes from elsewhere, outputs are as stored."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}
STRAIGHT = str.maketrans("“”‘’", "\"\"''")  # Sphinx curls quotation marks

pytestmark = pytest.mark.xdist_group("browser")  # where the site is built already
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, parsed: path -> soup."""
    paths = [path for path in sorted(site.rglob("*.html")) if path.parent.name != "_static"]  # the theme's templates
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in paths}


@pytest.fixture
def page(site, pages):
    """A notebook's page: page(path of the notebook)."""
    return lambda path: pages[site / "notebooks" / f"{path.stem}.html"]


def cells(path):
    return json.loads(path.read_text())["cells"]


def test_every_notebook_and_document_has_a_page(site, pages):
    wanted = {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    wanted |= {"index", "docs/teaching_plan", "docs/glossary", "data/README", "tests/benchmarks/results"}
    assert {site / f"{name}.html" for name in wanted} <= pages.keys()
    front = pages[site / "index.html"]
    assert front.h1.get_text().startswith("Transformer Manifolds")
    for path in NOTEBOOKS:
        assert front.find("a", href=f"notebooks/{path.stem}.html"), path.name


def test_links_lead_somewhere(site, pages):
    """Files are there, and so are the places in them; links that leave the site are plain links to https."""
    count, places = 0, {path: {each["id"] for each in soup.find_all(id=True)} for path, soup in pages.items()}
    for path, soup in pages.items():
        for tag in soup.find_all(href=True) + soup.find_all(src=True):
            link = urlsplit(tag.get("href") or tag.get("src"))
            if link.scheme or link.netloc:
                assert (tag.name, link.scheme) == ("a", "https") or link.scheme == "data", (
                    f"{path.name}: {link.geturl()}"
                )
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            assert target.is_file() and target.is_relative_to(site), f"{path.name}: {link.geturl()}"
            if link.fragment and target.suffix == ".html":
                assert unquote(link.fragment) in places[target], f"{path.name}: {link.geturl()}"
            count += 1
    assert count > 500


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, soup in pages.items():
        for name, attribute in LOADED.items():
            for tag in soup.find_all(name, **{attribute: True}):
                assert not re.match(r"(https?:)?//", tag[attribute]), f"{path.name}: {tag}"
        for script in soup.find_all("script", src=False):
            assert not re.search(r"https?://|import\(", script.get_text()), f"{path.name}: {script}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"""(url\(|@import)\s*["']?(https?:)?//""", sheet.read_text()), sheet.name


def test_no_page_knows_the_machine_it_was_built_on(pages):
    for path, soup in pages.items():
        assert str(ROOT) not in str(soup), path.name


@by_name
def test_pictures_are_the_stored_ones(path, page, site):
    """Nothing was run when the site was built."""
    stored = [
        o["data"]["image/png"] for c in cells(path) for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    shown = [site / "notebooks" / tag["src"] for tag in page(path).select(".cell_output img")]
    assert {base64.b64decode("".join(picture)) for picture in stored} <= {picture.read_bytes() for picture in shown}
    assert len(stored) >= 5


@by_name
def test_pictures_have_the_alternative_text_that_is_stored_with_them(path, page):
    stored = [o["metadata"].get("image/png", {}) for c in cells(path) for o in c.get("outputs", []) if "data" in o]
    texts = {about["alt"] for about in stored if "alt" in about}
    assert texts <= {tag["alt"] for tag in page(path).select(".cell_output img")}


@by_name
def test_printed_results_are_the_stored_ones(path, page):
    shown = page(path).article.get_text()
    for cell in cells(path):
        for output in cell.get("outputs", []):
            assert "".join(output.get("text", "")) in shown


@by_name
def test_a_still_picture_stands_for_a_widget(path, page):
    text = page(path).article.get_text()
    assert not re.search(r"Run this cell|Error displaying widget|Walker\(\)|Browser\(\)|Explorer\(\)", text)
    assert "widget-view" not in str(page(path)) and "widget-state" not in str(page(path))
    notes = page(path).find_all("em", string=re.compile("This is a widget"))
    assert notes
    for note in notes:
        cell = note.find_parent("div", class_="cell")
        shown = cell, *cell.find_all_next("div", class_="cell", limit=1)
        assert any(each.find("img") for each in shown), "a picture of the README, or of the next cell, stands for it"


@pytest.mark.parametrize(
    ("number", "words"),
    [("01", "plane walker"), ("02", "class walker"), ("03", "sentence walker"), ("05", "parameter browser")],
)
def test_the_widget_itself_is_shown_as_the_readme_shows_it(number, words, page):
    (path,) = (path for path in NOTEBOOKS if path.name.startswith(f"{number}_"))
    assert [tag for tag in page(path).select(".cell_output img") if words in tag["alt"]]


def test_pictures_say_what_is_on_them(pages):
    for path, soup in pages.items():
        for tag in soup.article.find_all("img") if soup.article else []:
            assert len(tag.get("alt", "")) >= 20 and ".png" not in tag["alt"], f"{path.name}: {tag}"


def test_the_gallery_shows_a_figure_for_each_of_its_short_examples(site, pages):
    """The build has run them, and fails where one of them does."""
    text = (ROOT / "docs" / "gallery.md").read_text()
    examples, figures = re.findall(r"```python\n(.+?)```", text, re.DOTALL), re.findall("<!-- figure: (.+?) -->", text)
    assert len(examples) == len(figures) == 5
    assert all(len(re.findall(r"^.+$", code, re.MULTILINE)) < 15 for code in examples)
    shown = pages[site / "docs" / "gallery.html"].article.find_all("img")
    assert [tag["alt"] for tag in shown] == figures


@by_name
def test_the_index_leads_to_every_figure(path, page, pages, site):
    """Each small picture stands above the description of the figure that stands at the place to which it leads."""
    index, anchors = pages[site / "docs" / "figures.html"], page(path).select("[id^=figure-]")
    (link,) = index.article.select(f"a[href$='{path.stem}.html']")
    section = link.find_parent("section")
    assert index.select_one(f"nav a[href='#{section['id']}']").get_text(strip=True)  # in the page's contents
    items = section.select(".figure-index li")
    stored = [o["metadata"]["image/png"]["alt"] for c in cells(path) for o in c.get("outputs", []) if is_picture(o)]
    assert [item.a["href"].split("#")[1] for item in items] == [anchor["id"] for anchor in anchors]
    for item, anchor, description in zip(items, anchors, stored, strict=True):
        shown = item.get_text().translate(STRAIGHT)
        assert " ".join(shown.split()).endswith(" ".join(description.translate(STRAIGHT).split()))
        figure = next(tag for tag in anchor.find_all_next("img") if tag.find_parent("div", "cell_output"))
        assert figure["alt"] == description


def is_picture(output):
    return "image/png" in output.get("data", {})


def test_cards_show_pieces_of_figures_that_are_not_made_small(site, pages):
    """A picture wider than 530 pixels could not be read on a card; an edge outside of a figure would be black."""
    pictures = pages[site / "index.html"].select(".cards img")
    assert len(pictures) == len(NOTEBOOKS)
    for tag in pictures:
        with Image.open(site / tag["src"]) as stored:
            picture = stored.convert("RGB")
        assert picture.size == (int(tag["width"]), int(tag["height"])) and 250 <= picture.width <= 530
        corners = [(x, y) for x in (0, picture.width - 1) for y in (0, picture.height - 1)]
        assert sum(picture.getpixel(corner) == (0, 0, 0) for corner in corners) == 0, tag["src"]


def test_the_glossary_and_the_interface_lead_to_each_other(site, pages):
    """Each name in the code leads to its description, where a link leads back to the term."""
    glossary, count = pages[site / "docs" / "glossary.html"], 0
    for row in glossary.select("tbody tr"):
        codes = row.select("td:last-child code")
        links = [code.find_parent("a")["href"].split("#") for code in codes]
        for page_name, place in links:
            described = pages[site / "docs" / page_name].find(id=place).find_parent("dl")
            assert described.select(f".in-glossary a[href$='#{row.td['id']}']"), f"{row.td.get_text()}: {place}"
        count += len(links)
    assert count > 60


def test_notebooks_lead_to_the_terms_that_they_introduce_and_terms_to_the_notebooks(site, pages):
    glossary, links = pages[site / "docs" / "glossary.html"], []
    for path in NOTEBOOKS:
        leading = pages[site / "notebooks" / f"{path.stem}.html"].article.select("a[href*='glossary.html#term-']")
        for place in [link["href"].split("#")[1] for link in leading]:
            assert glossary.find(id=place).select(f"a[href*='{path.stem}.html#']"), f"{path.name}: {place}"
            links.append(place)
    assert len(links) == len(glossary.select("td a[href*='/notebooks/']")) >= 20
    assert "term-kernel" in links


@by_name
def test_answers_fold_and_no_page_has_a_solution(path, page):
    stored = "".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == "markdown")
    folds = page(path).article.find_all("details")
    assert len(folds) == stored.count("<summary>") >= 3
    may_be_skipped = r"(?!Solution).+ \(\d minutes?; may be skipped at a first reading\)"
    assert all(re.fullmatch(rf"Answer|Hint|{may_be_skipped}", each.summary.get_text()) for each in folds)
    assert not [each for each in folds if each.has_attr("open")]


@by_name
def test_formulas_are_marked_for_mathjax(path, page):
    prose = "".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == "markdown")
    formulas = re.findall(r"\$\$.+?\$\$|\$.+?\$", re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.DOTALL), re.DOTALL)
    assert len(page(path).article.select(".math")) == len(formulas) > 0

"""The built site in a real Chromium, as wide as on a desk and on a phone: nothing foreign, nothing broken or cut."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.xdist_group("browser")  # one browser and one built site for all

MEASURE = """async () => {
  await window.MathJax?.startup.promise;
  const pictures = [...document.images];
  pictures.forEach((picture) => (picture.loading = 'eager'));
  await Promise.all(pictures.map((picture) => picture.decode()));
  const formulas = [...document.querySelectorAll('article .math')];
  const cut = (each) => {  // wider than the page, and in no box that scrolls
    for (let box = each; box; box = box.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) return false;
    return each.getBoundingClientRect().right > innerWidth + 1;
  };
  return {
    overflow: document.scrollingElement.scrollWidth - innerWidth,
    empty: pictures.filter((picture) => !picture.naturalWidth).length,
    raw: formulas.filter((each) => !each.querySelector('mjx-container svg')).length,
    scrolled: [...document.querySelectorAll('div.highlight pre')]
      .filter((each) => each.scrollWidth > each.clientWidth).length,
    wrong: document.querySelectorAll('mjx-merror, [data-mml-node="merror"]').length,
    cut: [...document.querySelectorAll('article :is(table, pre, img, svg, p)')].filter(cut)
      .map((each) => each.outerHTML.slice(0, 200)),
  };
}"""
WELL = {"overflow": 0, "empty": 0, "raw": 0, "scrolled": 0, "wrong": 0, "cut": []}


def test_every_page_is_whole_at_either_width(page, site, address):
    """The fixture `page` fails on a request that leaves this machine and on an error in the console."""
    names = {path.relative_to(site).as_posix() for path in site.rglob("*.html") if "_static" not in path.parts}
    pages = sorted(names - {"search.html", "genindex.html"})
    assert len([name for name in pages if name.startswith("notebooks/")]) >= 6
    for name in pages:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            if width == 390:  # formulas break their lines where they are loaded
                page.goto(f"{address}/{name}")
            assert page.evaluate(MEASURE) == WELL, (name, width)


def test_an_answer_unfolds_when_clicked(page, address):
    page.goto(f"{address}/notebooks/01_geometry__what_a_function_cannot_see.html")
    answer = page.locator("details", has=page.locator("summary", has_text="Answer")).first
    assert not answer.locator("p").last.is_visible()
    answer.locator("summary").click()
    assert answer.locator("p").last.is_visible()


def test_words_are_found_without_a_server_behind_the_search(page, address):
    page.goto(f"{address}/search.html?q=pullback")
    expect(page.locator("#search-results li a", has_text="What can a function not see")).to_have_count(1)


def test_a_button_copies_the_code_beside_it(page, address):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}/docs/gallery.html")
    page.evaluate("() => (window.setTimeout = () => 0)")  # what the button says stays until it is seen
    block = page.locator("div.highlight").first
    block.hover()
    block.get_by_role("button", name="Copy").click()
    block.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied.startswith("from helpers import walk_class") and copied.splitlines()[-1].startswith("figure = ")


@pytest.mark.parametrize("name", ["walk_class", "PullbackMetric", "tabulate_means"])
def test_the_search_finds_names_in_code(name, page, address):
    page.goto(f"{address}/search.html?q={name}")
    page.locator(f"#search-results a[href*='docs/api/'][href*='.{name}']").first.wait_for()

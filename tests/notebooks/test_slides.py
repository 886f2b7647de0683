"""The course fits its hours, and its slides need no network."""

import re

import nbformat
import pytest

from notebooks.slides import COURSE as COURSE_FILE
from notebooks.slides import (
    PLANS,
    count_minutes,
    create_deck,
    create_slides,
    read_course,
    read_exercises,
    read_notebook,
    split_sections,
    summarise_plan,
    write_slides,
)

COURSE = read_course()
SESSIONS = [pytest.param(session, id=f"{plan}-{i}") for plan in PLANS for i, session in enumerate(COURSE[plan], 1)]
FOREIGN = r"""(?:src\s*=|<link[^>]*href\s*=|url\(|@import)\s*["']?\s*(?:https?:)?//"""


@pytest.mark.parametrize("session", SESSIONS)
def test_no_session_is_over_its_time(session):
    assert sum(count_minutes(COURSE, session)) + COURSE["fixed_minutes"] <= COURSE["session_minutes"]


@pytest.mark.parametrize("number", COURSE["minutes"])
def test_every_section_but_exercises_and_takeaways_has_its_minutes(number):
    sections = split_sections(read_notebook(number))
    named = {name for name, texts in sections.items() if name and not re.search("Exercises|Takeaways", str(texts[0]))}
    assert named == set(COURSE["minutes"][number])
    first_reading = {name for name in named if "may be skipped" not in str(sections[name][0]).splitlines()[0]}
    assert sum(COURSE["minutes"][number][name] for name in first_reading) <= 45


@pytest.mark.parametrize("plan", PLANS)
def test_the_teaching_plan_has_the_table_of_each_course(plan):
    text = (COURSE_FILE.parent / "teaching_plan.md").read_text()
    assert summarise_plan(COURSE, plan) in text, "run `make slides` and copy its tables"


def test_every_handout_fits_a_page_and_is_in_the_teaching_plan():
    text = (COURSE_FILE.parent / "teaching_plan.md").read_text()
    handouts = sorted((COURSE_FILE.parent / "handouts").glob("*.md"))
    assert len(handouts) == len(COURSE["seven"])
    for handout in handouts:
        assert f"(handouts/{handout.name})" in text
        assert len(handout.read_text().split()) <= 450, f"{handout.name} is longer than a page"
        assert "://" not in handout.read_text()


def test_seven_sessions_hold_every_notebook():
    assert {name.split(".")[0] for session in COURSE["seven"] for name in session["sections"]} == set(COURSE["minutes"])


def test_decks_hold_every_section_and_name_no_foreign_host(tmp_path):
    paths = write_slides(tmp_path)
    assert len(paths) == len(SESSIONS)
    assert (tmp_path / "tex-svg.js").stat().st_size > 1_000_000
    for path in paths:
        page = path.read_text()
        assert not re.search(FOREIGN, page)
        assert "<summary>Solution</summary>" not in page
        assert page.count("<img") >= 3
    session = COURSE["four"][0]
    headings = re.findall(r"<h2[^>]*>(\d+) &#183; ", create_deck(COURSE, session))
    assert headings == [name.split(".")[1] for name in session["sections"]]
    assert re.search(FOREIGN, '<script src="https://example.org/x.js">'), "what the test looks for is found"


def test_a_slide_shows_pictures_and_claims_and_no_code():
    picture = nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "a < b"}})
    claim = nbformat.v4.new_output("display_data", {"text/html": "<style>p {}</style><p>It holds.</p>"})
    text = nbformat.v4.new_output("stream", text="printed")
    cells = [
        nbformat.v4.new_code_cell("x = 1", outputs=[picture]),
        nbformat.v4.new_code_cell("y", outputs=[claim, text]),
    ]
    slides = list(create_slides(["Some *text*.", *cells, "More."]))
    assert len(slides) == 3 and "<em>text</em>" in slides[0]
    assert slides[1] == '<img alt="a &lt; b" src="data:image/png;base64,AAAA">\n<p>It holds.</p>'


def test_a_text_with_two_sections_is_split():
    source = "The end of one.\n\n## 2 · Two\n\nText."
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("## 1 · One\n\n**Exercise 1** (write; easy, 5 minutes). Try."),
            nbformat.v4.new_markdown_cell(source),
        ]
    )
    sections = split_sections(notebook)
    assert sections["1"][1].strip() == "The end of one." and sections["2"] == ["## 2 · Two\n\nText."]
    assert read_exercises(notebook) == {"1": 5}

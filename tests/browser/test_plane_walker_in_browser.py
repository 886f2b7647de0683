"""The plane walker as a hand would use it, in JupyterLab and a real browser."""

import pytest

pytestmark = pytest.mark.xdist_group("browser")  # one server and one browser for all

SETUP = """
from helpers.adapters.toy import paraboloid, saddle, waves
from helpers.widgets import PlaneWalker
walker = PlaneWalker({"paraboloid": paraboloid, "saddle": saddle, "waves": waves})
walker
"""


@pytest.fixture
def walker(open_notebook, hand):
    return hand(open_notebook(SETUP))


def test_it_answers_at_once(walker, report, take_picture):
    report("step to screen, PlaneWalker", walker.median_of_steps(), wanted=0.5)
    take_picture(walker, "plane_walker")
    report("slider to screen, PlaneWalker", walker.median_of_slides(), wanted=0.2)
    assert walker.point() == 0
    assert walker.widget.locator(".tm-line.tm-naive").get_attribute("d").count("L") == 0


def test_the_keyboard_sets_the_start(walker):
    plane = walker.widget.get_by_role("application")
    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "ArrowDown"):
        walker.page.keyboard.press(key)
    assert "x = 1.19, y = 0.50" in walker.widget.locator(".tm-where").inner_text()
    assert walker.ask("print(walker.view.start)") == "[1.0, 0.5]", "the cross only aims"
    walker.page.keyboard.press("Enter")
    walker.page.wait_for_function(
        "box => box.getAttribute('cx') > 230", arg=plane.locator(".tm-start").element_handle()
    )
    assert walker.ask("print(walker.view.start)") == "[1.19, 0.5]"
    walker.press("step")
    walker.wait_for_point(1)
    assert walker.ask("print(walker.path.points[0].tolist())") == "[1.19, 0.5]"


def test_a_walk_that_has_no_way_says_so(open_notebook, hand):
    setup = SETUP.replace("walker = ", "from helpers.adapters import ToyAdapter\nwalker = ")
    hills = setup.replace('"waves": waves', '"hills": ToyAdapter.load("three-hills").log_probabilities')
    walker = hand(open_notebook(hills))
    walker.choose("function", "hills")
    walker.press("step")
    walker.wait_for_text("the kernel is trivial")

"""The style that all figures share: one colour per algorithm, and no side effects on matplotlib."""

import matplotlib.pyplot as plt
import pytest

from helpers.figures.style import (
    ALGORITHM_COLOURS,
    COLOURS,
    DASHES,
    OTHER_COLOURS,
    create_panels,
    describe,
    get_axes,
    style_walks,
    styled,
)
from helpers.figures.sweeps import ALGORITHMS
from helpers.sweep import MAIN


def test_every_algorithm_has_one_colour_of_its_own():
    assert set(ALGORITHM_COLOURS) == {
        "SiMEC", "SiMExp", "corrected", "walk_class", "leave_class", "naive", "random", "baseline",
        "released SiMEC", "released SiMExp", "baseline up", "baseline down",
    }  # fmt: skip
    assert ALGORITHM_COLOURS["corrected"] == ALGORITHM_COLOURS["walk_class"], "two names of one algorithm"
    assert ALGORITHM_COLOURS["baseline"] == ALGORITHM_COLOURS["baseline up"], "an earlier sweep had one baseline"
    assert len(set(ALGORITHM_COLOURS.values())) == len(ALGORITHM_COLOURS) - 2
    assert not set(ALGORITHM_COLOURS.values()) & set(OTHER_COLOURS)
    assert {*ALGORITHMS, *MAIN} <= set(ALGORITHM_COLOURS), "a sweep's figures find a colour for each of its algorithms"


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("SiMEC", "SiMEC"), ("simexp", "SiMExp"), ("naive, step 0.4", "naive"), ("walk_class", "corrected")],
)
def test_a_walk_has_the_colour_of_the_algorithm_that_its_name_begins_with(name, algorithm):
    assert style_walks([name])[name] == {"color": ALGORITHM_COLOURS[algorithm], "linestyle": "-"}


def test_walks_of_one_algorithm_differ_by_their_line_style():
    styles = style_walks(["SiMEC, step 0.4", "SiMEC, step 0.2", "corrected"])
    assert [style["linestyle"] for style in styles.values()] == [DASHES[0], DASHES[1], DASHES[0]]
    assert styles["SiMEC, step 0.2"]["color"] == ALGORITHM_COLOURS["SiMEC"]


def test_walks_without_an_algorithm_get_other_colours():
    styles = style_walks(["the way out", "the way back"])
    assert [style["color"] for style in styles.values()] == OTHER_COLOURS[:2]


def test_a_styled_function_closes_its_figure_and_leaves_matplotlib_as_it_was():
    @styled
    def draw():
        assert not plt.rcParams["axes.spines.top"]
        return plt.figure()

    before = dict(plt.rcParams)
    fig = draw()
    assert dict(plt.rcParams) == before
    assert not plt.fignum_exists(fig.number)


def test_an_error_leaves_no_figure_open_but_those_of_before():
    @styled
    def draw():
        plt.figure()
        raise ValueError("bad values")

    kept = plt.figure()
    with pytest.raises(ValueError, match="bad values"):
        draw()
    assert plt.get_fignums() == [kept.number]
    plt.close(kept)


def test_given_axes_are_used_and_others_are_created():
    fig, ax = plt.subplots()
    assert get_axes(ax, (1, 1)) == (fig, ax)
    new, other = get_axes(None, (3, 2))
    assert new is not fig and other is not ax
    assert tuple(new.get_size_inches()) == (3, 2)
    plt.close("all")


def test_panels_share_their_vertical_scale_unless_told_otherwise():
    _, (left, right) = create_panels("ab", (4, 2))
    left.set_ylim(0, 7)
    assert right.get_ylim() == (0, 7)
    _, (left, right) = create_panels("ab", (4, 2), sharey=False)
    left.set_ylim(0, 7)
    assert right.get_ylim() != (0, 7)
    plt.close("all")


def test_the_palette_is_seaborns_for_colour_blind_readers():
    assert COLOURS.as_hex()[:4] == ["#0173b2", "#de8f05", "#029e73", "#d55e00"]


def test_a_described_figure_shows_its_picture_and_its_text():
    fig, ax = plt.subplots()
    ax.plot([0, 1])
    plt.close(fig)
    data, about = describe(fig, "A line that rises.")._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == "A line that rises."
    assert about == {"image/png": {"alt": "A line that rises."}}

"""The menu in a notebook's cell of parameters, and copies of the notebook with other values."""

import nbformat
import pytest

from notebooks.parameters import INJECTED, read_menu, set_parameters

SOURCE = """seed = 0  # try 0 to 3
eta = 10  # try 1, 10; the paper tries both
start = (1.0, 0.5)  # try (0.0, 0.0), (1.0, 0.5)
text = "A delight."
# try text = "Not a 'delight', alas."
device, twice = "cpu", 2 * 7  # not on the menu"""


def notebook(source=SOURCE):
    cells = [
        nbformat.v4.new_code_cell("import math"),
        nbformat.v4.new_code_cell(source),
        nbformat.v4.new_code_cell("1"),
    ]
    cells[1].metadata["tags"] = ["parameters"]
    return nbformat.v4.new_notebook(cells=cells)


def test_the_menu_is_read_from_the_comments_and_leaves_the_present_value_out():
    assert read_menu(notebook()) == {
        "seed": [1, 2, 3],
        "eta": [1],
        "start": [(0.0, 0.0)],
        "text": ["Not a 'delight', alas."],
    }


def test_values_are_set_in_a_cell_of_their_own_in_a_copy():
    original = notebook()
    changed = set_parameters(original, {"seed": 7, "text": "it's"})
    assert len(original.cells) == 3
    assert [cell.source for cell in changed.cells[1:3]] == [SOURCE, 'seed = 7\ntext = "it\'s"']
    assert changed.cells[2].metadata.tags == [INJECTED]
    assert set_parameters(original, {"twice": 3}).cells[2].source == "twice = 3"


def test_what_cannot_be_read_or_set_is_named():
    with pytest.raises(ValueError, match=r"menu 'one of these'"):
        read_menu(notebook("seed = 0  # try one of these"))
    with pytest.raises(ValueError, match=r"\['sead'\] are no parameters .* 'seed'"):
        set_parameters(notebook(), {"sead": 1})
    with pytest.raises(ValueError, match="has 0 cells tagged 'parameters'"):
        read_menu(nbformat.v4.new_notebook())


@pytest.mark.parametrize(
    "source",
    [
        "models = (\n    1,\n    2,\n)  # try (2, 1)",
        "seed = 0\n# try 1 to 9",
        "seed = 0  #try 1",
        "seed=0  # try 1",
        "a, b = 0, 1  # Try 1",
        'text = "A"\n# try text "B"',
    ],
)
def test_a_menu_that_would_vanish_silently_is_an_error(source):
    """A formatter may break a long line, so that its comment no longer follows "name = value"."""
    with pytest.raises(ValueError, match=r"menu '.*[tT]ry.*': must be 'name = value  # try others'"):
        read_menu(notebook(source))

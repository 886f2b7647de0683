"""The sentence walker driven as its buttons drive it; tests/browser does the same in a real browser."""

import pytest

from helpers.widgets import SentenceWalker

TEXT = "The story is slow, but the two leads are a delight."


@pytest.fixture
def walker(bert):
    return SentenceWalker(bert, TEXT)


def press(walker, name, times=1):
    for _ in range(times):
        walker.buttons[name].click()


def test_stepping_walks_inside_the_class_and_shows_tokens(walker, bert):
    assert walker.view.tokens == bert.tokens(TEXT)
    assert walker.view.fixed == [0, len(walker.view.tokens) - 1]
    assert max(walker.view.shades) == pytest.approx(1.0)
    assert walker.view.shades[0] == 0
    press(walker, "step", 4)
    assert walker.path.drift.max() <= 1e-4
    assert len(walker.path) == 4
    assert "point 4 of 4" in walker.status.value


def test_the_slider_shows_stored_points(walker):
    press(walker, "step", 3)
    walker._adapter = None  # the model cannot be used
    for index in (0, 3, 1):
        walker.slider.value = index
        assert f"point {index} of 3" in walker.status.value
    assert max(walker.view.shades) == pytest.approx(1.0)


def test_only_chosen_tokens_move(walker):
    walker.view.selected = [2, 4]
    press(walker, "step", 3)
    moved = (walker.path.points[-1] - walker.path.points[0]).abs().sum(1).nonzero().flatten()
    assert moved.tolist() == [2, 4]
    press(walker, "no tokens")
    press(walker, "step")
    assert "click at least one" in walker.status.value


def test_a_changed_token_is_marked(walker, bert):
    place = walker.view.tokens.index("story")
    point = bert.encode(TEXT)
    point[place] = bert.vocabulary_at(place)[bert.tokenizer.convert_tokens_to_ids("film")]
    traits = walker._compute_view_traits(point)
    assert traits["tokens"][place] == "film"
    assert [i for i, changed in enumerate(traits["changed"]) if changed] == [place]


def test_a_masked_word_model_is_walked_with_the_words_of_its_start(masked_bert):
    walker = SentenceWalker(masked_bert, "The nurse said that [MASK] was late.")
    assert len(walker.bars.names) == 11
    assert walker.view.tokens.index("[MASK]") in walker.view.fixed
    press(walker, "step", 3)
    assert walker.path.outputs.shape == (4, 11)
    assert walker.path.drift.max() <= 1e-4
    assert max(walker.view.shades) == pytest.approx(1.0)
    assert [walker.view.shades[index] for index in walker.view.fixed] == [0.0] * len(walker.view.fixed)

"""The content filter knows words in any case, with a plural s and with a tokenizer's marks."""

from helpers.resources import is_offensive


def test_the_offensive_list():
    assert is_offensive("SHIT")
    assert is_offensive("Ġbitch")
    assert is_offensive("##whores")
    assert not is_offensive("class")
    assert not is_offensive("film")

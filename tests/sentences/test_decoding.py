"""Reading back: exact where nothing moved, honest about its own mistakes, and about the gap to the text."""

import pytest
import torch

from helpers import leave_class, walk_class
from helpers.adapters import BertAdapter
from helpers.sentences.decoding import read_by_cosine, read_by_head

TEXT = "A warm and funny film, with two fine actors."


@pytest.fixture(scope="module")
def walk(bert):
    f = bert.output_map(bert.encode(TEXT))
    return f, walk_class(f, f.start, travel=float(f.start.norm()))


def test_the_start_reads_as_the_text(bert, masked_bert, walk):
    f, path = walk
    reading = read_by_cosine(bert, TEXT, f, path, count=3)
    assert reading.recovered == 1.0
    assert reading.tokens[0] == reading.unwalked
    assert reading.changed[0] == 0
    assert reading.gaps[0] < 1e-4
    assert torch.equal(reading.from_embedding, path.outputs[path.evenly(3)])
    by_head = read_by_head(bert, TEXT, f, path, masked_bert, count=3)
    assert by_head.recovered >= 0.8
    assert (by_head.changed[0] == 0) == (by_head.recovered == 1.0)


def test_a_word_that_was_walked_to_is_read(bert):
    x = bert.encode(TEXT)
    place = bert.tokens(TEXT).index("film")
    f = bert.output_map(x, parts=[place])
    other = bert.vocabulary_at(place)[bert.tokenizer.convert_tokens_to_ids("movie")][None]
    path = walk_class(f, f.start, travel=50.0, towards=other)
    reading = read_by_cosine(bert, TEXT, f, path, count=4)
    assert reading.tokens[-1][place] == "movie"
    assert reading.changed[-1] == 1
    assert path.drift.max() <= 1e-4
    assert "<b>movie</b>" in reading._repr_html_()


def test_texts_are_run_afresh(bert, walk):
    f, _ = walk
    path = leave_class(f, f.start)
    reading = read_by_cosine(bert, TEXT, f, path, count=2)
    said = bert.predict(bert.encode(bert.tokenizer.convert_tokens_to_string(reading.tokens[-1][1:-1])))
    assert torch.allclose(reading.from_text[-1].exp(), said, atol=1e-4)
    assert reading.gaps[-1] == pytest.approx(float((said - path.outputs[-1].exp()).abs().sum() / 2), abs=1e-4)


def test_a_walk_over_another_text_is_named(bert, walk):
    f, path = walk
    with pytest.raises(ValueError, match="is not the text"):
        read_by_cosine(bert, "A cold and dull film, with two bad actors.", f, path)
    one = bert.output_map(bert.encode(TEXT), parts=[2])
    with pytest.raises(ValueError, match="the map takes"):
        read_by_cosine(bert, TEXT, one, path)


def test_a_decoder_that_cannot_read_is_named(bert, masked_bert, walk, tmp_path):
    f, path = walk
    with pytest.raises(ValueError, match="no masked-word head"):
        read_by_head(bert, TEXT, f, path, bert)
    other = BertAdapter("other", masked_bert.model, masked_bert.tokenizer)
    other.embed = lambda ids: masked_bert.embed(ids) + 1
    with pytest.raises(ValueError, match="embeddings are not those of"):
        read_by_head(bert, TEXT, f, path, other)

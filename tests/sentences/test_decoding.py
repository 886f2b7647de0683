"""Decoded walks: exact where nothing moved, with the decoder's own errors and the gap to the decoded text."""

import pytest
import torch

from helpers import leave_class, walk_class
from helpers.adapters import BertAdapter
from helpers.sentences import decode_by_embedding, decode_by_head

TEXT = "A warm and funny film, with two fine actors."


@pytest.fixture(scope="module")
def walk(bert):
    f = bert.output_map(bert.encode(TEXT))
    return f, walk_class(f, f.start, travel=float(f.start.norm()))


def test_the_start_decodes_as_the_text(bert, masked_bert, walk):
    f, path = walk
    decoded = decode_by_embedding(bert, f, path, count=3)
    assert decoded.recovery_rate == 1.0
    assert decoded.tokens[0] == decoded.original_tokens == bert.tokens(TEXT)
    assert decoded.change_counts[0] == 0
    assert decoded.gaps[0] < 1e-4
    assert torch.equal(decoded.walk_outputs, path.outputs[path.evenly(3)])
    by_head = decode_by_head(bert, f, path, masked_bert, count=3)
    assert by_head.recovery_rate >= 0.8
    assert by_head.change_counts[0] == round((1 - by_head.recovery_rate) * len(f.parts))


def test_a_word_that_was_walked_to_is_decoded(bert):
    x = bert.encode(TEXT)
    position = bert.tokens(TEXT).index("film")
    f = bert.output_map(x, parts=[position])
    other = bert.vocabulary_at(position)[bert.tokenizer.convert_tokens_to_ids("movie")][None]
    path = walk_class(f, f.start, travel=50.0, towards=other)
    decoded = decode_by_embedding(bert, f, path, count=4)
    assert decoded.tokens[-1][position] == "movie"
    assert decoded.change_counts[-1] == 1
    assert path.drift.max() <= 1e-4
    assert "<b>movie</b>" in decoded._repr_html_()


def test_decoded_texts_are_run_through_the_model(bert, walk):
    f, _ = walk
    path = leave_class(f, f.start)
    decoded = decode_by_embedding(bert, f, path, count=2)
    text = bert.tokenizer.convert_tokens_to_string(decoded.tokens[-1][1:-1])
    probabilities = bert.predict(bert.encode(text))
    assert torch.allclose(decoded.text_outputs[-1].exp(), probabilities, atol=1e-4)
    gap = float((probabilities - path.outputs[-1].exp()).abs().sum() / 2)
    assert decoded.gaps[-1] == pytest.approx(gap, abs=1e-4)


def test_a_walk_on_another_map_is_named(bert, walk):
    f, path = walk
    other = bert.output_map(bert.encode("A cold and dull film, with two bad actors."))
    assert other.start.shape == f.start.shape
    with pytest.raises(ValueError, match="path: was walked on another map"):
        decode_by_embedding(bert, other, path)
    one = bert.output_map(bert.encode(TEXT), parts=[2])
    with pytest.raises(ValueError, match="the map takes"):
        decode_by_embedding(bert, one, path)


def test_a_map_at_a_moved_point_is_named(bert):
    moved = bert.output_map(bert.encode(TEXT) + 0.01, parts=[2])
    path = walk_class(moved, moved.start, travel=1.0)
    with pytest.raises(ValueError, match="it is not the point of a text"):
        decode_by_embedding(bert, moved, path)


def test_a_decoder_that_cannot_decode_is_named(bert, masked_bert, walk):
    f, path = walk
    with pytest.raises(ValueError, match="no masked-word head"):
        decode_by_head(bert, f, path, bert)
    other = BertAdapter("other", masked_bert.model, masked_bert.tokenizer)
    other.embed = lambda ids: masked_bert.embed(ids) + 1
    with pytest.raises(ValueError, match="embeddings are not those of"):
        decode_by_head(bert, f, path, other)

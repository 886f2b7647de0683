"""Vectors and matrices read as items: equal to the dense products with the embeddings."""

from dataclasses import replace

import pytest
import torch

from helpers.vocabulary import Reading, clean_rows, embedding_space, top_pairs, top_tokens
from helpers.weights import FactoredMatrix

EVERYTHING = Reading(clean=False, ascii_only=False, words_only=False, least_count=0, offensive=True)


def test_a_plain_reading_is_the_product_with_the_embeddings(w):
    vector = w.W_out(1)[3]
    scores = w.W_E @ vector
    table = top_tokens(w, vector, 7, EVERYTHING)
    assert torch.allclose(table.scores, scores.topk(7).values)
    assert torch.equal(table.ids, scores.topk(7).indices)
    opposite = top_tokens(w, -vector, 1, EVERYTHING)
    assert opposite.ids[0] == scores.argmin()


def test_an_items_own_embedding_reads_as_the_item(w):
    space = embedding_space(w)
    for word in ("film", "terrible", "Paris"):
        assert top_tokens(w, space.rows[space.find(word)], 1).tokens == [word]


def test_cleaning_leaves_unit_rows_without_mean_or_frequency():
    g = torch.Generator().manual_seed(0)
    frequency = torch.randn(300, generator=g, dtype=torch.float64)
    rows = torch.randn(300, 10, generator=g, dtype=torch.float64) + 5 + frequency[:, None] * torch.arange(10)
    clean = clean_rows(rows, frequency)
    assert torch.allclose(clean.norm(dim=1), torch.ones(300).double())
    before = torch.corrcoef(torch.cat([frequency[None], rows.T]))[0, 1:].abs().max()
    after = torch.corrcoef(torch.cat([frequency[None], clean.T]))[0, 1:].abs().max()
    assert before > 0.9 > 0.2 > after


def test_the_pseudo_inverse_undoes_the_projection(w):
    rows = embedding_space(w, EVERYTHING).rows
    inverse = embedding_space(w, replace(EVERYTHING, pseudo_inverse=True)).rows
    assert torch.allclose(rows.T @ inverse, torch.eye(w.d_model), atol=1e-3)


def test_pairs_are_the_largest_entries_of_the_heads_whole_table(w):
    space = embedding_space(w)
    matrix = w.W_OV(3, 5)
    table = top_pairs(w, matrix, 50)
    dense = space.rows @ matrix.to_dense() @ space.rows.T
    names = [name.lower() for name in space.names]
    ids = torch.tensor([names.index(name) for name in names])
    best = dense.masked_fill(ids[:, None] == ids, -torch.inf).flatten().topk(50).values
    assert torch.allclose(table.scores, best, rtol=1e-4)
    assert all(left.lower() != right.lower() for left, right in zip(table.lefts, table.rights, strict=True))
    assert float(dense[space.find(table.lefts[0]), space.find(table.rights[0])]) == pytest.approx(
        float(best[0]), rel=1e-4
    )


def test_what_cannot_be_read_is_named(w):
    with pytest.raises(ValueError, match=r"vector: has shape \(3,\), wanted \(192,\)"):
        top_tokens(w, torch.zeros(3))
    with pytest.raises(ValueError, match="k=0"):
        top_tokens(w, w.W_out(0)[0], 0)
    with pytest.raises(ValueError, match=r"matrix: has shape \(3, 3\)"):
        top_pairs(w, FactoredMatrix(torch.zeros(3, 1), torch.zeros(3, 1)))

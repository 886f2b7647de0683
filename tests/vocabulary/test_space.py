"""Vectors and matrices read as items: equal to the dense products with the embeddings."""

from dataclasses import replace

import pytest
import torch

from helpers.vocabulary import Reading, clean_rows, embedding_space, top_pairs, top_tokens
from helpers.weights import FactoredMatrix, load_weights

EVERYTHING = Reading(clean=False, ascii_only=False, words_only=False, least_count=0, offensive=True)


def test_a_plain_reading_is_the_product_with_the_embeddings(w):
    vector = w.W_out(1)[3]
    scores = vector @ w.W_U
    table = top_tokens(w, vector, 7, EVERYTHING)
    assert torch.allclose(table.scores, scores.topk(7).values)
    assert torch.equal(table.ids, scores.topk(7).indices)
    opposite = top_tokens(w, -vector, 1, EVERYTHING)
    assert opposite.ids[0] == scores.argmin()
    key = w.W_in(1)[:, 3]
    assert torch.allclose(top_tokens(w, key, 7, EVERYTHING, side="in").scores, (w.W_E @ key).topk(7).values)


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
    rows, inverts = embedding_space(w, EVERYTHING).rows, replace(EVERYTHING, pseudo_inverse=True)
    inverse = embedding_space(w, inverts, side="in").rows
    seen = torch.eye(w.d_model) - 1 / w.d_model  # all but the direction that no norm lets through
    assert torch.allclose(rows.T @ inverse, seen, atol=1e-3)
    assert torch.equal(embedding_space(w, inverts).rows, rows)


@pytest.mark.parametrize("name", ["W_OV", "W_QK"])
def test_pairs_are_the_largest_entries_of_the_heads_whole_table(w, name):
    matrix = getattr(w, name)(3, 5)
    space, right = (embedding_space(w, side=side) for side in matrix.sides)
    table = top_pairs(w, matrix, 50)
    dense = space.rows @ matrix.to_dense() @ right.rows.T
    names = [name.lower() for name in space.names]
    ids = torch.tensor([names.index(name) for name in names])
    best = dense.masked_fill(ids[:, None] == ids, -torch.inf).flatten().topk(50).values
    assert torch.allclose(table.scores, best, rtol=1e-4)
    assert all(left.lower() != right.lower() for left, right in zip(table.lefts, table.rights, strict=True))
    assert float(dense[space.find(table.lefts[0]), space.find(table.rights[0])]) == pytest.approx(
        float(best[0]), rel=1e-4
    )


def test_a_vit_is_read_as_classes():
    vit = load_weights("vit-digits", fold=True)
    table = top_tokens(vit, vit.W_out(3)[0], 10)
    assert sorted(table.tokens) == [str(digit) for digit in range(10)]
    with pytest.raises(ValueError, match="use W_U, side='out'"):
        top_tokens(vit, vit.W_in(0)[:, 0], 3, side="in")


def test_what_cannot_be_read_is_named(w):
    with pytest.raises(ValueError, match="side='both'"):
        embedding_space(w, side="both")
    with pytest.raises(ValueError, match=r"vector: has shape \(3,\), wanted \(192,\)"):
        top_tokens(w, torch.zeros(3))
    with pytest.raises(ValueError, match="k=0"):
        top_tokens(w, w.W_out(0)[0], 0)
    with pytest.raises(ValueError, match=r"matrix: has shape \(3, 3\)"):
        top_pairs(w, FactoredMatrix(torch.zeros(3, 1), torch.zeros(3, 1)))

"""Vectors and matrices read as items: equal to the dense products with the embeddings."""

from dataclasses import replace

import pytest
import torch

from helpers.adapters import GPT2Adapter
from helpers.vocabulary import (
    EmbeddingSpace,
    Reading,
    clean_rows,
    copying_score,
    embed_through_first_mlp,
    embedding_space,
    embedding_spaces,
    top_pairs,
    top_tokens,
)
from helpers.weights import FactoredMatrix, load_weights

EVERYTHING = Reading.paper()


def random_space(names, width, seed=0):
    """Random embeddings for items of given names."""
    rows = torch.randn(len(names), width, generator=torch.Generator().manual_seed(seed))
    return EmbeddingSpace(rows=rows, ids=torch.arange(len(names)), names=list(names), note="random")


def random_head(left, right, rank, seed=1):
    """Random factors."""
    g = torch.Generator().manual_seed(seed)
    return FactoredMatrix(torch.randn(left, rank, generator=g), torch.randn(right, rank, generator=g))


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


def test_pairs_of_the_same_item_are_listed_on_request():
    space = random_space(["cat", "Cat", "dog", "bird"], 4)
    dense = space.rows @ (matrix := random_head(4, 4, 2)).to_dense() @ space.rows.T
    table = space.top_pairs(matrix, 16, same_items=True)
    assert torch.allclose(table.scores, dense.flatten().sort(descending=True).values, atol=1e-5)
    assert {*zip(table.lefts, table.rights, strict=True)} == {(a, b) for a in space.names for b in space.names}
    assert len(space.top_pairs(matrix, 10)) == 10
    with pytest.raises(ValueError, match="k=11: must be a whole number between 1 and 10"):
        space.top_pairs(matrix, 11)


def test_columns_are_read_in_a_space_of_their_own():
    left, right = random_space(["cat", "dog", "bird"], 4), random_space(["Dog", "fish"], 5, seed=2)
    dense = left.rows @ (matrix := random_head(4, 5, 3)).to_dense() @ right.rows.T
    table = left.top_pairs(matrix, 5, right)
    values = {(a, b): float(dense[i, j]) for i, a in enumerate(left.names) for j, b in enumerate(right.names)}
    del values["dog", "Dog"]
    assert list(zip(table.lefts, table.rights, strict=True)) == sorted(values, key=values.get, reverse=True)
    assert table.scores.tolist() == pytest.approx(sorted(values.values(), reverse=True), abs=1e-5)


def test_a_dense_matrix_and_half_precision_are_read_as_the_factored_one():
    space, matrix = random_space([f"w{i}" for i in range(60)], 8), random_head(8, 8, 3)
    table = space.top_pairs(matrix, 50)
    dense = space.top_pairs(matrix.to_dense(), 50)
    assert (dense.lefts, dense.rights) == (table.lefts, table.rights)
    assert space.copying_score(matrix.to_dense()) == pytest.approx(space.copying_score(matrix), abs=1e-6)
    half = FactoredMatrix(matrix.left.bfloat16(), matrix.right.bfloat16())
    single = FactoredMatrix(half.left.float(), half.right.float())
    assert torch.equal(space.top_pairs(half, 50).scores, space.top_pairs(single, 50).scores)
    vector = torch.randn(8).bfloat16()
    assert torch.equal(space.top_tokens(vector).scores, space.top_tokens(vector.float()).scores)


def test_the_copying_score_is_that_of_the_whole_tables_eigenvalues(w):
    space = random_space([f"w{i}" for i in range(30)], 8)
    matrix = random_head(8, 8, 3)
    eigenvalues = torch.linalg.eigvals((space.rows @ matrix.to_dense() @ space.rows.T).double())
    expected = float(eigenvalues.real.sum() / eigenvalues.abs().sum())
    assert space.copying_score(matrix) == pytest.approx(expected, abs=1e-5)
    assert space.copying_score(FactoredMatrix(matrix.left, matrix.left)) == pytest.approx(1)
    assert space.copying_score(FactoredMatrix(matrix.left, -matrix.left)) == pytest.approx(-1)
    left, right = embedding_spaces(w, w.W_OV(3, 5))
    assert (left.side, right.side) == ("in", "out")
    assert copying_score(w, w.W_OV(3, 5)) == left.copying_score(w.W_OV(3, 5), right)
    with pytest.raises(ValueError, match="right: lists 29 items, wanted the same 30"):
        space.copying_score(matrix, random_space(space.names[1:], 8))


@pytest.mark.parametrize(
    ("word", "similar"), [("Funny ", "funny"), ("funy", "funny"), ("vunny", "funny"), ("NESS", "…ness")]
)
def test_similar_items_are_named(w, word, similar):
    space = embedding_space(w, Reading(words_only=False))
    with pytest.raises(ValueError, match=f"word={word!r}: is none of the .* similar items: .*'{similar}'"):
        space.find(word)


def test_what_is_zero_or_not_finite_cannot_be_read(w):
    zero, nothing = torch.zeros(w.d_model), torch.full((w.d_model,), torch.nan)
    for values, message in ((zero, "is zero everywhere"), (nothing, "has values that are not finite")):
        with pytest.raises(ValueError, match=f"vector: {message}"):
            top_tokens(w, values)
        with pytest.raises(ValueError, match=f"matrix: {message}"):
            top_pairs(w, FactoredMatrix(torch.ones(w.d_model, 1), values[:, None]))


def test_what_cannot_be_read_is_named(w):
    with pytest.raises(ValueError, match="side='both'"):
        embedding_space(w, side="both")
    vector = w.W_out(0)[0]
    assert top_tokens(w, vector.numpy(), 5).tokens == top_tokens(w, vector.tolist(), 5).tokens
    with pytest.raises(ValueError, match=r"vector: has shape \(3,\), wanted \(192,\)"):
        top_tokens(w, torch.zeros(3))
    for k in (0, 2.5):
        with pytest.raises(ValueError, match=f"k={k}: must be a whole number between 1 and 5,251"):
            top_tokens(w, w.W_out(0)[0], k)
    with pytest.raises(ValueError, match="word=None: is none of the 5,251 items"):
        embedding_space(w).find(None)
    with pytest.raises(ValueError, match=r"matrix: has shape \(3, 3\)"):
        top_pairs(w, FactoredMatrix(torch.zeros(3, 1), torch.zeros(3, 1)))
    with pytest.raises(ValueError, match=r"matrix: has shape \(3, 3\)"):
        top_pairs(w, torch.ones(3, 3))


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("side", ["in", "out"])
def test_embeddings_that_are_not_finite_cannot_be_read(w, clean, side):
    table, item = w.embedding.clone(), w.item_names.index("funny")
    table[item, 3] = torch.nan
    broken = replace(w, embedding=table, unembedding=table)
    with pytest.raises(ValueError, match="w: embeddings of 1 items are not finite, such as that of 'funny'"):
        embedding_space(broken, Reading(clean=clean), side)
    assert len(embedding_space(broken, Reading(clean=clean, items=frozenset({"film", "dog"})), side)) >= 2


def test_a_dense_matrix_is_read_as_w_ov_is(w):
    head = w.W_OV(3, 5)
    assert top_pairs(w, head.to_dense(), 5).lefts == top_pairs(w, head, 5).lefts
    query = w.W_QK(3, 5)
    as_values = FactoredMatrix(query.left, query.right, ("in", "out"))
    assert top_pairs(w, query.to_dense(), 5).rights == top_pairs(w, as_values, 5).rights


def test_embeddings_through_the_first_mlp_are_what_the_model_computes_and_read_keys_above_it():
    """The state of one token after the first MLP, attention aside; and which words trigger the keys of layer 1."""
    w, gpt2 = load_weights("gpt2-reviews", fold=True), GPT2Adapter.load("gpt2-reviews")
    space = embed_through_first_mlp(w, Reading(clean=False))
    row, block = space.find("actor"), gpt2.model.transformer.h[0]
    embedding = gpt2.model.transformer.wte.weight[space.ids[row]]
    state = embedding + block.mlp(block.ln_2(embedding))
    assert torch.allclose(space.rows[row], state - state.mean(), atol=1e-4)
    cleaned = embed_through_first_mlp(w)
    assert torch.allclose(cleaned.rows.norm(dim=1), torch.ones(len(cleaned))) and "first MLP" in cleaned.note
    read = gpt2.model.transformer.h[1].mlp.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0][0]))
    states, text = [], "The actors in this film are good, but the story is very bad and the music is not much better."
    gpt2.model(input_ids=torch.tensor([gpt2.token_ids(text)]))
    read.remove()
    words = [(i, cleaned.find(name)) for i, name in enumerate(gpt2.tokens(text)) if name in cleaned.names]
    active = gpt2.model.transformer.h[1].mlp.c_fc(states[0])[[i for i, _ in words]]
    rows = [row for _, row in words]
    through, plain = (each.rows[rows] @ w.W_in(1) for each in (cleaned, embedding_space(w, side="in")))
    agreements = [
        torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(scores.T, active.T, strict=True)]).mean()
        for scores in (through, plain)
    ]
    assert agreements[0] > 0.6 > 0.3 > abs(agreements[1])


def test_a_map_has_the_items_of_a_sign_and_keeps_distances_that_lie_in_a_plane():
    rows = torch.tensor([[1.0, 3, 2], [2, -3, 2], [-3, 3, 2], [-4, -3, 2], [0, 7, 2]]).double()
    space = EmbeddingSpace(rows, torch.arange(5), list("abcde"), "a plane")
    for sign, order in {"absolute": [3, 2, 1, 0], "highest": [1, 0, 4, 2], "lowest": [3, 2, 4, 0]}.items():
        shown = space.map_tokens(torch.tensor([1.0, 0, 0]), 4, sign)
        assert shown.table.ids.tolist() == order and shown.table.scores.tolist() == rows[order, 0].tolist()
        assert shown.table.tokens == ["abcde"[i] for i in order]
        assert torch.allclose(torch.cdist(shown.places, shown.places), torch.cdist(rows[order], rows[order]))
        assert shown.share == pytest.approx(1)
        assert (shown.places.max(0).values + 1e-9 >= shown.places.abs().max(0).values).all(), "right, up"


def test_the_plane_of_a_map_holds_the_two_largest_variances():
    axes = torch.diag(torch.tensor([1.0, 2.0, 3.0])).double()
    space = EmbeddingSpace(torch.cat([axes, -axes]), torch.arange(6), list("abcABC"), "axes")
    shown = space.map_tokens(torch.tensor([3.0, 2, 1]), 6, "highest")
    places = dict(zip(shown.table.tokens, shown.places.tolist(), strict=True))
    assert sorted(map(abs, places["c"] + places["b"])) == pytest.approx([0, 0, 2, 3])
    assert places["a"] == pytest.approx([0, 0]) and max(shown.places[:, 0]) == pytest.approx(3)
    assert shown.share == pytest.approx((4 + 9) / (1 + 4 + 9))
    for name, arguments in {"k=1": (1, "highest"), "sign='up': must be one of highest, lowest": (3, "up")}.items():
        with pytest.raises(ValueError, match=name):
            space.map_tokens(torch.ones(3), *arguments)

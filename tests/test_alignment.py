"""Layers matched over a shared vocabulary: exact for a rotated copy, beside controls for two trained models."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.alignment import (
    FREQUENT_ITEMS,
    LayerAlignment,
    align_layers,
    mean_best_correlation,
    mean_correlation,
    shared_coordinates,
    shared_strings,
    shared_vocabulary,
)
from helpers.vocabulary import EmbeddingSpace, embedding_space, match_items
from helpers.weights import KINDS, LayerWeights, Weights, load_weights

ORDER = (2, 0, 3, 1)  # layer i of the copy is layer ORDER[i] of the model


@pytest.fixture(scope="module")
def pair():
    return load_weights("gpt2-reviews"), load_weights("gpt2-reviews-b")


def rotated(w: Weights, seed: int) -> Weights:
    """The same model seen from other axes of the residual stream, its layers in another order."""
    noise = torch.randn(w.d_model, w.d_model, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turn = torch.linalg.qr(noise)[0].to(w.W_E)

    def turned(layer: LayerWeights) -> LayerWeights:
        parts = {kind: getattr(layer, kind).float() for kind in w.kinds}
        return LayerWeights(**{k: turn.T @ p if KINDS[k] == "in" else p @ turn for k, p in parts.items()})

    embedding = w.W_E @ turn
    layers = tuple(turned(w.layers[i]) for i in ORDER)
    return replace(w, embedding=embedding, unembedding=embedding, layers=layers)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "W_gate"])
@pytest.mark.parametrize("reading", [FREQUENT_ITEMS, replace(FREQUENT_ITEMS, clean=True)], ids=["centred", "cleaned"])
def test_kernels_give_the_correlations_of_the_long_vectors(pair, kind, reading):
    long = []
    for w, layer in zip(pair, (1, 2), strict=True):
        projected = w.vectors(kind, layer).detach().double() @ embedding_space(w, reading).rows.double().T
        long.append(projected - projected.mean(1, keepdim=True))
    expected = torch.corrcoef(torch.cat(long))[: len(long[0]), len(long[0]) :]
    correlations = shared_vocabulary(*pair, reading).correlate(pair[0].vectors(kind, 1), pair[1].vectors(kind, 2))
    assert (correlations - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["gpt2-reviews", "bert-reviews"])
def test_a_rotated_copy_with_its_layers_moved_is_recognised_and_its_raw_vectors_are_not(name):
    w = load_weights(name)
    copy = rotated(w, seed=0)
    space, raw = shared_vocabulary(w, copy), shared_coordinates(w, copy)
    truth = {(layer, place) for place, layer in enumerate(ORDER)}
    for kind in w.kinds:
        alignment = align_layers(w, copy, kind, space, mean_best_correlation)
        assert set(alignment.matching) == truth
        raw_alignment = align_layers(w, copy, kind, raw, mean_best_correlation)
        for layer, place in truth:
            vectors = w.vectors(kind, layer), copy.vectors(kind, place)
            assert torch.allclose(space.correlate(*vectors).diag(), torch.ones(1), atol=1e-5)
            assert alignment.scores[layer, place] == pytest.approx(1, abs=1e-5)
            assert raw.correlate(*vectors).diag().abs().mean() < 0.1
        assert raw_alignment.margin < 0.05 * alignment.margin


@given(st.integers(0, 2**31), st.floats(0.1, 10))
@settings(max_examples=15, deadline=None)
def test_neither_axes_nor_lengths_nor_a_common_shift_of_the_embeddings_matter(seed, scale):
    g = torch.Generator().manual_seed(seed)
    rows, vectors = torch.randn(30, 5, generator=g), torch.randn(7, 5, generator=g)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=g))[0]
    layer = LayerWeights(*[torch.zeros(1, 5, 5)] * 4, W_in=vectors.T, W_out=vectors)
    a = Weights("a", TOKENS, rows, (layer,), rows)
    other, moved = replace(layer, W_in=scale * (vectors @ turn).T), rows @ turn + torch.randn(5, generator=g)
    b = Weights("b", TOKENS, moved, (other,), moved)
    correlations = shared_vocabulary(a, b).correlate(a.vectors("W_in", 0), b.vectors("W_in", 0))
    assert torch.allclose(correlations.diag(), torch.ones(7), atol=1e-4)
    assert correlations.abs().max() < 1 + 1e-4


class Tokens:
    """A vocabulary of thirty words."""

    all_special_tokens = ()

    def get_vocab(self):
        return {f"word{i}": i for i in range(30)}

    def convert_ids_to_tokens(self, ids):
        return [f"word{i}" for i in ids]


TOKENS = Tokens()


def test_two_trained_models_match_layer_by_layer_over_words_and_not_over_coordinates(pair):
    space, raw = shared_vocabulary(*pair), shared_coordinates(*pair)
    controls = [shared_vocabulary(*pair, shuffle=torch.Generator().manual_seed(seed)) for seed in range(5)]
    for kind in pair[0].kinds:
        alignment = align_layers(*pair, kind, space, mean_best_correlation)
        assert alignment.on_diagonal == 1
        assert alignment.margin > align_layers(*pair, kind, raw, mean_best_correlation).margin
        margins = [align_layers(*pair, kind, control, mean_best_correlation).margin for control in controls]
        assert alignment.margin > max(margins)


def test_random_vectors_of_each_layer_are_drawn_for_a_control(pair):
    generator = torch.Generator().manual_seed(0)
    real, random = (align_layers(*pair, "W_out", random=each) for each in (None, generator))
    assert not torch.equal(random.scores, real.scores)
    assert random.matching == real.matching, "the covariance of each layer is enough"
    alike = [[replace(layer, W_out=layer.W_out.mean(0).expand(9, -1)) for layer in w.layers] for w in pair]
    alike = [replace(w, layers=tuple(layers)) for w, layers in zip(pair, alike, strict=True)]
    real, random = (align_layers(*alike, "W_out", random=each) for each in (None, generator))
    assert torch.allclose(random.scores, real.scores, atol=1e-5), "vectors without covariance are their mean"


def test_items_that_one_model_did_not_see_often_are_left_out_of_both(pair):
    a, b = pair
    everything = replace(b, counts=None)
    assert len(embedding_space(everything, FREQUENT_ITEMS)) > len(embedding_space(a, FREQUENT_ITEMS))
    expected = shared_vocabulary(a, b).cross
    assert torch.allclose(shared_vocabulary(a, everything).cross, expected, atol=1e-6)
    assert torch.allclose(shared_vocabulary(everything, a).cross, expected.T, atol=1e-6)


def test_a_kind_is_read_by_its_own_side(pair):
    folded = [w.fold_norms() for w in pair]
    spaces = {side: shared_vocabulary(*folded, side=side) for side in ("in", "out")}
    for kind in ("W_in", "W_O"):
        scores = {side: align_layers(*folded, kind, space).scores for side, space in spaces.items()}
        assert torch.equal(align_layers(*folded, kind).scores, scores[KINDS[kind]])
        assert not torch.allclose(scores["in"], scores["out"], rtol=1e-2)


def test_models_of_different_vocabularies_are_refused(pair):
    with pytest.raises(ValueError, match=r"bert-reviews has 8,192 items, \d+ of them gpt2-reviews's with the same num"):
        align_layers(pair[0], load_weights("bert-reviews"), "W_in")
    with pytest.raises(ValueError, match="must be one of W_in"):
        align_layers(*pair, "W_up")
    with pytest.raises(ValueError, match="vit-digits has 10 items, 0 of them"):
        shared_vocabulary(pair[0], load_weights("vit-digits"))
    with pytest.raises(ValueError, match=r"vectors: have shape \(512, 128\), wanted \(n, 192\)"):
        align_layers(*pair, "W_in", shared_vocabulary(*pair[::-1]))


def test_two_models_of_images_are_compared_over_their_classes():
    digits, mnist = load_weights("vit-digits"), load_weights("vit-mnist")
    space = shared_vocabulary(digits, mnist)
    a, b = digits.W_out(3), mnist.W_out(3)
    scores = torch.cat([a @ digits.W_U, b @ mnist.W_U])
    expected = torch.corrcoef(scores)[: len(a), len(a) :]
    assert torch.allclose(space.correlate(a, b), expected, atol=1e-3)


def test_matching_margin_and_share_by_hand():
    crossed = LayerAlignment("W_in", torch.tensor([[0.2, 0.9], [0.8, 0.5]]), "")
    assert crossed.matching == ((0, 1), (1, 0)) and crossed.on_diagonal == 0
    assert crossed.margin == pytest.approx((0.9 + 0.8 - 0.2 - 0.5) / 2)
    greedy = LayerAlignment("W_in", torch.tensor([[0.9, 0.8], [0.8, 0.1]]), "")
    assert greedy.matching == ((0, 1), (1, 0)), "the best single pair is not in the best matching"
    assert LayerAlignment("W_in", torch.ones(3, 3), "").margin == 0
    wide = LayerAlignment("W_in", torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.2, 0.8]]), "")
    assert wide.matching == ((0, 2), (1, 0)) and wide.margin == pytest.approx((0.7 + 0.6 - 0.2 - 0.8) / 2)


def test_statistics_by_hand():
    correlations = torch.tensor([[1.0, -0.5], [0.0, 0.5]])
    assert mean_correlation(correlations) == pytest.approx(0.5)
    assert mean_best_correlation(correlations) == pytest.approx(((1 + 0.5) + (1 + 0.5)) / 4)


def test_an_alignment_shows_its_scores_and_how_they_were_found(pair):
    shown = align_layers(*pair, "W_in")._repr_html_()
    assert "mean correlation" in shown and "embeddings centred" in shown and "A 3" in shown


def test_layer_means_are_removed_from_the_logarithms():
    levels = torch.arange(1.0, 5)
    product = LayerAlignment("W_in", torch.outer(levels, levels), "")
    assert product.on_diagonal == 1
    assert product.remove_layer_means().scores.abs().max() < 1e-5
    scores = LayerAlignment("W_in", torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "").remove_layer_means().scores
    assert torch.allclose(scores, torch.tensor([[-0.5, 0.5], [0.5, -0.5]]) * torch.log(torch.tensor(2.0)))


def test_names_from_outside_are_escaped_in_html(pair):
    strange = replace(pair[0], name="<b>x</b>")
    html = align_layers(strange, pair[1], "W_in", shared_coordinates(*pair))._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in html and "<b>" not in html


def test_spaces_with_other_items_are_compared_over_the_strings_that_both_have():
    a = EmbeddingSpace(torch.randn(5, 2), torch.arange(5), ["The", "the", "cat", "dog", "one"], "")
    b = EmbeddingSpace(torch.randn(4, 3), torch.arange(4), ["DOG", "the", "fish", "Cat"], "")
    rows_a, rows_b = match_items(a, b)
    assert torch.equal(rows_a, a.rows[[0, 2, 3]]) and torch.equal(rows_b, b.rows[[1, 3, 0]])
    turned = replace(a, rows=a.rows @ torch.tensor([[0.0, 2], [-2, 0]]) + 1)
    vectors = torch.randn(4, 2)
    space = shared_strings(a, turned)
    assert torch.allclose(space.correlate(vectors, vectors @ torch.tensor([[0.0, 1], [-1, 0]])).diag(), torch.ones(4))
    assert space.note == "4 shared strings"
    shuffled = shared_strings(a, turned, torch.Generator().manual_seed(0))
    assert shuffled.note == "4 shared strings, B's shuffled" and not torch.allclose(shuffled.cross, space.cross)
    with pytest.raises(ValueError, match="b: shares 1 names of 2 items"):
        shared_strings(a, replace(b, rows=b.rows[:2], names=["DOG", "fish"], ids=b.ids[:2]))

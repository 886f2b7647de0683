"""Scores of all heads: heads that were made to copy, to suppress, to carry a relation, to look back or to compose."""

from dataclasses import replace

import pytest
import torch

from helpers import measures
from helpers.vocabulary import Reading, embedding_space
from helpers.weights import load_weights
from helpers.weights.certificate import _attention_pattern as attention_pattern
from tests.adapters.families import make_model

PAIRS = {"man": "men", "actor": "actors", "film": "films", "girl": "girls", "boy": "boys", "movie": "movies"}
PAIRS |= {"story": "stories", "kid": "kids", "scene": "scenes", "thing": "things", "song": "songs", "book": "books"}


@pytest.fixture(scope="module")
def w():
    """A GPT-2 of two layers without norms, whose heads are random but for those that a test replaces."""
    w = load_weights("gpt2-reviews")
    generator = torch.Generator().manual_seed(0)
    random = {kind: torch.randn(6, 192, 32, generator=generator) for kind in ("W_Q", "W_K", "W_V")}
    without = {name: None for name in ("attention_norm", "mlp_norm", "b_Q", "b_K", "b_V", "b_O")}
    layer = replace(w.layers[0], **random, **without, W_O=torch.randn(6, 32, 192, generator=generator))
    return replace(w, layers=(layer, layer), final_norm=None)


def set_head(w, layer, head, **matrices):
    """Return weights with other matrices of one head."""
    stored = w.layers[layer]
    changed = {kind: getattr(stored, kind).clone() for kind in matrices}
    for kind, matrix in matrices.items():
        changed[kind][head] = matrix
    layers = list(w.layers)
    layers[layer] = replace(stored, **changed)
    return replace(w, layers=tuple(layers))


def basis(seed=1):
    return torch.linalg.qr(torch.randn(192, 32, generator=torch.Generator().manual_seed(seed)))[0]


def test_a_head_that_copies_stands_out_and_so_does_one_that_suppresses(w):
    p = basis()
    made = set_head(set_head(w, 0, 1, W_V=p, W_O=p.T), 1, 4, W_V=p, W_O=-p.T)
    copying = measures.score_copying(made)
    assert (copying.holm < 0.05).nonzero().tolist() == [[0, 1], [1, 4]]
    assert copying.scores[0, 1] > 10 and copying.scores[1, 4] == pytest.approx(-copying.scores[0, 1], rel=1e-5)
    assert copying.table.iloc[0][["layer", "head"]].tolist() == [0, 1]
    assert abs(copying.controls).max() < 5 and len(copying.controls) == 12
    assert "copying: 2 of 12 heads" in repr(copying) and "<table" in copying._repr_html_()


def test_the_score_is_that_of_the_whole_table_under_rotations(w):
    """A closed form against the table of all pairs, its diagonal, and the spread of 400 random rotations."""
    words = "the film was a good story about an old man and his friends"
    reading = Reading(items=frozenset(words.split(" ")))
    reads, writes = embedding_space(w, reading, "in").rows, embedding_space(w, reading).rows
    head = w.W_OV(0, 2)
    reads, writes = reads - reads.mean(0), writes - writes.mean(0)
    rotations = torch.linalg.qr(torch.randn(400, 32, 32, generator=torch.Generator().manual_seed(0)))[0]
    traces = torch.stack([(reads @ head.left @ q @ head.right.T @ writes.T).trace() for q in rotations])
    own = (reads @ head.left @ head.right.T @ writes.T).trace()
    assert measures.score_copying(w, reading).scores[0, 2] == pytest.approx(float(own / traces.std()), rel=0.15)


def test_a_relation_needs_the_pairs_and_more_than_copying(w):
    reads, writes = embedding_space(w, side="in"), embedding_space(w)
    first = torch.stack([reads.rows[reads.find(word)] for word in PAIRS])
    second = torch.stack([writes.rows[writes.find(word)] for word in PAIRS.values()])
    value, output = torch.zeros(192, 32), torch.zeros(32, 192)
    value[:, : len(PAIRS)], output[: len(PAIRS)] = torch.linalg.pinv(first), second
    p = basis()
    made = set_head(set_head(w, 1, 3, W_V=value, W_O=output), 0, 1, W_V=p, W_O=p.T)
    relation = measures.score_relation(made, PAIRS)
    assert (relation.holm < 0.05).nonzero().tolist() == [[1, 3]]
    assert relation.parts["p, pairs"][0, 1] < 0.01 and relation.parts["p, copying"][0, 1] > 0.9, "a head that copies"
    shuffled = dict(zip(PAIRS, [*list(PAIRS.values())[1:], "men"], strict=True))
    assert measures.score_relation(made, shuffled).holm[1, 3] > 0.05
    assert abs(relation.controls.mean()) < 1


def test_p_values_of_pairings_are_those_of_all_pairings():
    """Three pairs have six pairings: the best has p = 1/6, up to the number of draws."""
    table = torch.tensor([[[5.0, 0, 0], [0, 3, 0], [0, 0, 1]], [[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]])
    scores, p, _ = measures.heads._test_pairing(table, torch.Generator().manual_seed(0))
    assert p.tolist() == pytest.approx([1 / 6, 1], abs=0.01)
    sums = torch.tensor([sum(float(table[0, i, j]) for i, j in enumerate(order)) for order in ORDERS])
    assert float(scores[0]) == pytest.approx(float((9 - sums.mean()) / sums.std(correction=0)), rel=1e-5)


ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def test_a_head_that_looks_one_position_back_is_found(w):
    speeds = torch.arange(1, 17).sqrt()  # no two positions are alike
    angles = torch.arange(128)[:, None] * speeds
    positions = torch.zeros(128, 192)
    positions[:, :32] = 6 * torch.stack([angles.cos(), angles.sin()], 2).flatten(1)
    back = torch.block_diag(*[torch.tensor([[s.cos(), -s.sin()], [s.sin(), s.cos()]]) for s in speeds])
    key, query = torch.zeros(192, 32), torch.zeros(192, 32)
    key[:32], query[:32] = torch.eye(32), back
    quiet = replace(w, positions=positions, layers=tuple(replace(one, W_Q=one.W_Q / 30) for one in w.layers))
    found = measures.score_previous_token(set_head(quiet, 1, 2, W_Q=query, W_K=key))
    assert found.scores[1, 2] > 0.95 and found.scores.flatten().sort().values[-2] < 0.3
    assert found.holm[1, 2] < 0.05 and found.table.iloc[0][["layer", "head"]].tolist() == [1, 2]


def test_a_head_whose_keys_are_what_a_lower_head_writes_is_found(w):
    p = basis()
    made = set_head(set_head(w, 0, 0, W_V=p, W_O=basis(2).T), 1, 5, W_Q=p, W_K=basis(2))
    found = measures.score_induction(made, (0, 0))
    assert (found.holm < 0.05).nonzero().tolist() == [[1, 5]]
    assert found.scores[0].abs().max() == 0 and len(found.controls) == 6


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "GPT2LMHeadModel"])
def test_attention_to_positions_is_the_models_own(tmp_path, name):
    """With rotary heads that share keys, with scores that are scaled, and with biases: as the model's layers attend."""
    w = load_weights(make_model(name, tmp_path, max_position_embeddings=64))
    states = w.W_E.mean(0).expand(64, -1) if w.W_pos is None else w.W_pos[:64]
    patterns = [attention_pattern(w, 1, head, states) for head in range(w.n_heads)]
    own = torch.stack([pattern.diagonal(-1).mean() for pattern in patterns])
    for each in (w, w.fold_norms()):
        assert torch.allclose(measures.score_previous_token(each).scores[1], own, atol=1e-5)
    assert measures.score_copying(w).p.shape == measures.score_induction(w, (0, 0)).p.shape == (w.n_layers, w.n_heads)


def test_one_pair_cannot_be_shuffled(w):
    with pytest.raises(ValueError, match="pairs: has 1, wanted two or more"):
        measures.score_relation(w, {"man": "men"})


def test_upper_heads_attend_to_what_they_are_given(w):
    """A head of the upper layer carries a relation of vectors that are no embeddings; the lowest layer reads those."""
    space = embedding_space(w, side="in")
    turned = replace(space, rows=space.rows.roll(1, 1))
    first = torch.stack([turned.rows[turned.find(word)] for word in PAIRS])
    second = torch.stack([embedding_space(w).rows[space.find(word)] for word in PAIRS.values()])
    value, output = torch.zeros(192, 32), torch.zeros(32, 192)
    value[:, : len(PAIRS)], output[: len(PAIRS)] = torch.linalg.pinv(first), second
    made = set_head(set_head(w, 1, 3, W_V=value, W_O=output), 0, 3, W_V=value, W_O=output)
    assert (measures.score_relation(made, PAIRS, upper=turned).holm < 0.05).nonzero().tolist() == [[1, 3]]
    p = basis()
    copies = set_head(set_head(w, 1, 2, W_V=p.roll(1, 0), W_O=p.T), 0, 2, W_V=p.roll(1, 0), W_O=p.T)
    assert (measures.score_copying(copies, upper=turned).holm < 0.05).nonzero().tolist() == [[1, 2]]
    plain = measures.score_relation(w, PAIRS)
    assert torch.equal(measures.score_relation(w, PAIRS, upper=space).scores, plain.scores)

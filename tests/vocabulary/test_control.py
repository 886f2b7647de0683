"""P-values of tables: uniform for random parameters, small for planted ones, and the rates that follow from them."""

import pytest
import torch
from scipy.stats import kstest

from helpers.vocabulary import EmbeddingSpace, LayerControl, embedding_space, read_parameter, top_pairs, top_tokens
from helpers.weights import FactoredMatrix

ITEMS, WIDTH = 300, 12


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def space():
    rows = torch.randn(ITEMS, WIDTH, generator=generator(5)) * torch.linspace(0.5, 2, ITEMS)[:, None]
    return EmbeddingSpace(rows=rows, ids=torch.arange(ITEMS), names=[f"w{i}" for i in range(ITEMS)], note="random")


def random_layer(count, seed):
    """Draw vectors with a mean and unequal variances, from one distribution."""
    g = generator(seed)
    mixing = torch.randn(WIDTH, WIDTH, generator=g)
    return torch.randn(count, WIDTH, generator=g) @ mixing + torch.randn(WIDTH, generator=g)


@pytest.mark.parametrize("rank", [0, 9])
def test_p_values_of_random_vectors_are_uniform(space, rank):
    control = LayerControl.of_vectors(space, random_layer(2000, 1), generator(), 10, 5000)
    assert kstest(control.p[:, rank], "uniform").pvalue > 0.01
    assert float(control.fdr.min()) > 0.1


def test_p_values_of_random_heads_are_uniform(space):
    heads = [random_head(seed) for seed in range(100)]
    p = LayerControl.of_heads(space, heads, generator(), 1).p[:, 0]
    assert set((p * 20).round().int().tolist()) == set(range(1, 21))
    assert kstest(p - torch.rand(len(p), generator=generator(3)).double() / 20, "uniform").pvalue > 0.01


def random_head(seed):
    """A head whose two factors have unequal columns, with a random rotation between them."""
    g = generator(seed)
    left, right = (torch.randn(WIDTH, 4, generator=g) * torch.tensor([1.0, 2, 4, 8]) for _ in range(2))
    q, r = torch.linalg.qr(torch.randn(4, 4, generator=g))
    return FactoredMatrix(left @ (q * r.diagonal().sign()), right)


def test_planted_vectors_are_discovered_and_no_others(space):
    vectors = random_layer(400, 2)
    vectors[:5] = 30 * space.rows[:5] / space.rows[:5].norm(dim=1, keepdim=True)
    spiked = EmbeddingSpace(
        rows=space.rows / space.rows.norm(dim=1, keepdim=True), ids=space.ids, names=space.names, note=""
    )
    control = LayerControl.of_vectors(spiked, vectors, generator(), 1, 20_000)
    assert float(control.p[:5].max()) < 1e-3
    assert (control.fdr[:, 0] < 0.05).nonzero()[:, 0].tolist() == list(range(5))


def test_a_planted_pairing_is_discovered():
    axes = torch.eye(WIDTH)
    items = EmbeddingSpace(rows=axes, ids=torch.arange(WIDTH), names=[f"w{i}" for i in range(WIDTH)], note="axes")
    head = FactoredMatrix(axes[:, :6], axes[:, 6:])  # w6 for w0, w7 for w1, and so on; a rotation mixes them
    assert float(LayerControl.of_heads(items, [head], generator(), 1).p) == pytest.approx(0.05)


def test_p_values_and_rates_follow_from_their_definitions(space):
    vectors = random_layer(30, 3)
    control = LayerControl.of_vectors(space, vectors, generator(), 2, 50)
    mixtures = torch.randn(50, 30, generator=generator())
    mean = vectors.mean(0)
    null = mean + torch.nn.functional.normalize(mixtures) @ (vectors - mean)
    scores = [(rows @ space.rows.T).topk(2).values / rows.norm(dim=1, keepdim=True) for rows in (vectors, null)]
    p = torch.tensor([[1 + (scores[1][:, j] >= own[j]).sum() for j in range(2)] for own in scores[0]]) / 51
    assert torch.allclose(control.p, p.double())
    ranked, order = control.p[:, 0].sort()
    rates = ranked * 30 / torch.arange(1, 31)
    expected = torch.stack([rates[i:].min() for i in range(30)])
    assert torch.allclose(control.fdr[order, 0], expected.clamp(max=1))


def test_a_heads_p_value_compares_scores_divided_by_norms(space):
    head, g = random_head(0), generator(4)
    p = LayerControl.of_heads(space, [head], generator(4), 1, 30).p
    rotations = [torch.linalg.qr(torch.randn(4, 4, generator=g)) for _ in range(30)]
    heads = [head.left @ (q * r.diagonal().sign()) @ head.right.T for q, r in rotations]
    tables = [(space.rows @ m @ space.rows.T).fill_diagonal_(-torch.inf) / m.norm() for m in (head.to_dense(), *heads)]
    assert float(p) == sum(bool(table.max() >= tables[0].max()) for table in tables) / 31


def test_a_place_in_the_model_reads_as_its_vector_or_matrix(w):
    table = read_parameter(w, "W_out", 3, 507, 8)
    plain = top_tokens(w, w.vectors("W_out", 3)[507], 8)
    assert table.tokens == plain.tokens
    assert list(table.table) == ["token", "score", "p", "fdr"]
    assert float(table.fdr.max()) < 0.1, "fantastic, outstanding, superb"
    assert table.note.startswith(plain.note)
    assert "20,000 random vectors with the mean and covariance of the layer's 768" in table.note
    key = read_parameter(w, "W_in", 0, 5, 8)
    assert key.tokens == top_tokens(w, w.vectors("W_in", 0)[5], 8, side="in").tokens
    pairs = read_parameter(w, "W_OV", 0, 1, 3)
    assert pairs.lefts == top_pairs(w, w.W_OV(0, 1), 3).lefts
    assert list(pairs.table) == ["left", "right", "score", "p", "fdr"]
    assert list(top_pairs(w, w.W_OV(0, 1), 3).table) == ["left", "right", "score"]


def test_what_has_no_control_is_named(w):
    space = embedding_space(w)
    with pytest.raises(ValueError, match="index=768: must be between 0 and 767"):
        read_parameter(w, "W_in", 0, 768)
    with pytest.raises(ValueError, match="index=-1"):
        read_parameter(w, "W_QK", 0, -1)
    with pytest.raises(ValueError, match="kind='W_gate'"):
        read_parameter(w, "W_gate", 0, 0)
    with pytest.raises(ValueError, match="vectors: 0 are not finite and 0 are not zero, wanted 0, and 2 or more"):
        LayerControl.of_vectors(space, torch.zeros(3, w.d_model), generator())
    with pytest.raises(ValueError, match="vectors: 1 are not finite"):
        LayerControl.of_vectors(space, torch.ones(3, w.d_model) * torch.tensor([[1], [2], [torch.nan]]), generator())
    control = LayerControl.of_vectors(space, w.vectors("W_in", 0), generator(), 5, 100)
    with pytest.raises(ValueError, match="table: has 4 rows, wanted k=5"):
        control.annotate(top_tokens(w, w.vectors("W_in", 0)[0], 4), 0)


def test_vectors_and_heads_of_zeros_leave_the_p_values_of_the_others(space):
    vectors = random_layer(30, 3)
    without = LayerControl.of_vectors(space, vectors, generator(), 2, 50)
    beside = LayerControl.of_vectors(space, torch.cat([torch.zeros(1, WIDTH), vectors]), generator(), 2, 50)
    assert torch.equal(beside.p[1:], without.p) and (beside.p[0] == 1).all()
    head = random_head(0)
    zero = FactoredMatrix(torch.zeros(WIDTH, 4), head.right)
    p = LayerControl.of_heads(space, [head, zero], generator(), 2).p
    assert torch.equal(p[:1], LayerControl.of_heads(space, [head], generator(), 2).p) and (p[1] == 1).all()

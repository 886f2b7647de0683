"""The papers' measures against closed forms, and their controls against controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import measures
from helpers.adapters import GPT2Adapter
from helpers.vocabulary import Reading, embedding_space
from helpers.weights import RELATED_KINDS, load_weights


def test_jaccard_of_known_sets():
    a, b = torch.tensor([[0, 1, 2], [0, 1, 2], [0, 1, 2]]), torch.tensor([[0, 1, 2], [2, 3, 4], [3, 4, 5]])
    assert measures.jaccard(a, b, 6).tolist() == pytest.approx([1.0, 0.2, 0.0])


def test_recall_counts_the_union_of_active_parameters():
    states = torch.tensor([[0, 1, 2, 3]])
    active = torch.tensor([[[0, 9, 8, 7], [1, 0, 9, 8]]])
    assert measures.top_item_recall(states, active, 10).tolist() == [0.5]


def test_top_items_go_by_absolute_score():
    rows = torch.eye(4)
    assert measures.top_items(torch.tensor([[1.0, -3.0, 2.0, 0.0]]), rows, 2).tolist() == [[1, 2]]


def test_keeping_everything_with_the_pseudo_inverse_keeps_the_geometry():
    g = torch.Generator().manual_seed(0)
    vectors, rows = torch.randn(20, 6, generator=g), torch.randn(50, 6, generator=g)
    inverse = torch.linalg.pinv(rows).T
    assert measures.compare_inner_products(vectors, rows, inverse, 50) == pytest.approx(1.0, abs=1e-5)
    assert measures.compare_inner_products(vectors, rows, inverse, 5) < 0.9
    assert torch.equal(measures.keep_largest(torch.tensor([[1.0, -3.0, 2.0]]), 2), torch.tensor([[0.0, -3.0, 2.0]]))


def test_an_interval_covers_the_mean_of_noise_and_narrows():
    g = torch.Generator().manual_seed(0)
    mean, low, high = measures.mean_interval(torch.randn(400, generator=g))
    assert low < 0 < high
    assert low < mean < high
    assert high - low == pytest.approx(2 * 1.96 / 400**0.5, rel=0.1)


def test_an_interval_takes_any_numbers_and_is_written_in_one_format():
    values = [0.25, 0.5, 0.5, 0.75]
    interval = measures.mean_interval(torch.tensor(values))
    assert interval == measures.mean_interval(values) == measures.mean_interval(pd.Series(values, index=list("abcd")))
    assert f"{interval:.0%}" == f"50%, 95% interval {interval.low:.0%} to {interval.high:.0%}"
    assert f"{measures.mean_interval([2.0]):.1f}" == "2.0, 95% interval nan to nan"


@pytest.mark.parametrize("name", ["gpt2-reviews", "gpt2-reviews-b"])
def test_partners_share_more_than_shuffled_ones_in_all_layers_but_one(name):
    w = load_weights(name, fold=True)
    for kinds in ("feed-forward (key, value)", "W_V, W_O"):
        table = measures.compare_partners(w, RELATED_KINDS[kinds])
        assert (table["low"] > 0).sum() >= w.n_layers - 1
        assert ((table["low"] < table["difference"]) & (table["difference"] < table["high"])).all()


def test_partners_whose_lists_overlap_are_listed_one_by_one():
    w, kinds = load_weights("gpt2-reviews", fold=True), RELATED_KINDS["feed-forward (key, value)"]
    table = measures.list_related_partners(w, kinds, 0.2)
    spaces = [embedding_space(w, side=side) for side in ("in", "out")]
    items = lambda i, layer: measures.top_items(w.vectors(kinds[i], layer), spaces[i].rows, 100)  # noqa: E731
    similarities = [measures.jaccard(items(0, i), items(1, i), len(spaces[0])).tolist() for i in range(w.n_layers)]
    listed = list(zip(table["layer"], table["index"], strict=True))
    above = {(layer, i) for layer, values in enumerate(similarities) for i, value in enumerate(values) if value > 0.2}
    assert set(listed) == above
    assert table["jaccard"].to_list() == sorted((similarities[layer][i] for layer, i in listed), reverse=True)
    layer, index, names = table.loc[0, ["layer", "index", "shared"]]
    scores = [space.rows @ w.vectors(kind, layer)[index] for space, kind in zip(spaces, kinds, strict=True)]
    shared = set.intersection(*({spaces[0].names[i] for i in each.abs().topk(100).indices} for each in scores))
    products = {name: float((scores[0] * scores[1]).abs()[spaces[0].find(name)]) for name in shared}
    assert names.split(", ") == sorted(shared, key=products.get, reverse=True)


def test_what_has_no_partners_or_too_few_items_is_named():
    w = load_weights("gpt2-reviews", fold=True)
    with pytest.raises(ValueError, match=r"kinds=\('W_in', 'W_Q'\): have 768 and 192 vectors in a layer"):
        measures.compare_partners(w, ("W_in", "W_Q"))
    with pytest.raises(ValueError, match=r"seed=1\.5: must be a whole number"):
        measures.compare_partners(w, ("W_in", "W_out"), seed=1.5)
    with pytest.raises(ValueError, match="k=6: must be a whole number between 1 and 5"):
        measures.top_items(torch.ones(2, 3), torch.ones(5, 3), 6)


def test_a_key_is_read_by_the_input_embeddings_and_a_value_by_the_unembedding():
    w = load_weights("gpt2-reviews", fold=True)
    table = measures.compare_partners(w, ("W_in", "W_out"), k=10)
    keys, values = (measures.top_items(w.vectors(kind, 2), embedding_space(w, side=side).rows, 10)
                    for kind, side in (("W_in", "in"), ("W_out", "out")))  # fmt: skip
    assert table["value"][2] == pytest.approx(float(measures.jaccard(keys, values, 8192).double().mean()))


def test_shuffled_partners_are_no_better_than_shuffled_ones():
    """The control of the control: with the pairing destroyed beforehand, no layer stands out."""
    w = load_weights("gpt2-reviews")
    mixed = w.layers[3].W_out[torch.randperm(w.d_mlp, generator=torch.Generator().manual_seed(1))]
    layers = (*w.layers[:3], replace(w.layers[3], W_out=mixed))
    table = measures.compare_partners(replace(w, layers=layers).fold_norms(), ("W_in", "W_out"))
    assert table["low"][2] > 0
    assert table["low"][3] < 0 < table["high"][3]


def test_active_values_say_what_the_state_says():
    gpt2, w = GPT2Adapter.load("gpt2-reviews"), load_weights("gpt2-reviews", fold=True)
    traces = [gpt2.trace(text) for text in ("A warm and funny film.", "The plot makes no sense at all.")]
    table = measures.compare_active_parameters(w, traces, "W_out")
    assert list(table["layer"]) == [0, 1, 2, 3]
    assert table["low"][3] > 0
    alone = [measures.compare_active_parameters(w, [trace], "W_out") for trace in traces]
    of_texts = sum(one["value"] for one in alone) / 2
    np.testing.assert_allclose(table["value"], of_texts)  # texts of different lengths count the same
    with pytest.raises(ValueError, match="kind='W_Q'"):
        measures.compare_active_parameters(w, traces, "W_Q")
    with pytest.raises(ValueError, match="traces: have states 192 wide, wanted 128, from runs of gpt2-reviews-b"):
        measures.compare_active_parameters(load_weights("gpt2-reviews-b"), traces, "W_in")
    with pytest.raises(ValueError, match="traces: have 0 tokens"):
        measures.compare_active_parameters(w, [], "W_in")
    with pytest.raises(ValueError, match="bert-reviews has no final norm"):
        measures.compare_active_parameters(load_weights("bert-reviews"), traces, "W_out")


@torch.no_grad()
def test_the_papers_reading_of_states_is_the_models_own_final_norm():
    gpt2, w = GPT2Adapter.load("gpt2-reviews"), load_weights("gpt2-reviews")
    trace, body = gpt2.trace("A warm and funny film."), gpt2.model.transformer
    table = measures.compare_active_parameters(w, [trace], "W_out", reading=Reading.paper())
    said = (body.ln_f(trace.states[3]) @ body.wte.weight.T).topk(50).indices
    items = (body.h[3].mlp.c_proj.weight @ body.wte.weight.T).topk(50).indices
    active = items[trace.neurons[3].abs().topk(5).indices].flatten(1)
    shares = [np.isin(*pair).mean() for pair in zip(said.numpy(), active.numpy(), strict=True)]
    assert table["value"][3] == pytest.approx(np.mean(shares))
    assert table["value"][3] > table["control"][3]


def test_top_items_go_by_signed_scores_on_request():
    assert measures.top_items(torch.tensor([[1.0, -3.0, 2.0, 0.0]]), torch.eye(4), 2, signed=True).tolist() == [[2, 0]]

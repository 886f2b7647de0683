"""Rank and kernel by layer: known ranks, parts that no output depends on any more, and the figure."""

import itertools

import pytest
import torch

from helpers import PullbackMetric, walk_class
from helpers.adapters import GPT2Adapter
from helpers.figures import draw_layer_chain, draw_ranks_by_layer, draw_residual_stream
from helpers.measures import rank_by_layer

TEXT = "a warm and funny film, with two fine actors."


def test_ranks_are_at_most_the_free_outputs_and_the_first_is_that_of_the_map(vit, digits):
    ranks = rank_by_layer(vit, digits.images[17])
    x = vit.encode(digits.images[17])
    assert ranks.layers == tuple(range(vit.n_layers + 1))
    assert ranks.ranks[0] == PullbackMetric.at(vit.output_map(x), x).rank == 9, "ten log-probabilities that sum to one"
    assert set(ranks.ranks) == {9}
    assert ranks.sizes[0] == x.numel() and ranks.sizes[1] == x.numel() + vit.d_model, "[CLS] moves from layer 1 on"
    assert (ranks.table["kernel"] + ranks.table["rank"] == ranks.table["coordinates"]).all()


def test_every_word_is_distinguished_where_that_is_asked_for():
    gpt2 = GPT2Adapter.load("gpt2-reviews")
    many, few = (rank_by_layer(gpt2, "a warm", target=target, layers=[gpt2.n_layers]) for target in ("all", None))
    assert few.ranks == (10,) and many.ranks[0] > 100
    with pytest.raises(ValueError, match="layers: is empty"):
        rank_by_layer(gpt2, "a warm", layers=[])
    with pytest.raises(ValueError, match="raw: is a point"):
        rank_by_layer(gpt2, gpt2.encode("a warm"))


def test_only_the_pooled_token_matters_after_the_last_block(bert, vit, digits):
    assert rank_by_layer(bert, TEXT).table["parts that matter"].tolist()[-1] == 1
    norms = rank_by_layer(vit, digits.images[17], layers=[0, vit.n_layers]).part_norms
    assert (norms[0] > 0).all()
    assert norms[1].nonzero().flatten().tolist() == [0]


def test_the_figure_names_layers_ranks_and_kernels(bert):
    ranks = rank_by_layer(bert, TEXT)
    (ax,) = draw_ranks_by_layer(ranks).axes
    labels = [tick.get_text().split("\n") for tick in ax.get_xticklabels()]
    assert [label[0] for label in labels] == [str(layer) for layer in ranks.layers]
    assert [label[1] for label in labels] == [str(rank) for rank in ranks.ranks]


def test_the_chain_names_its_blocks_and_the_rank_and_kernel_between_them(bert):
    ranks = rank_by_layer(bert, TEXT, layers=[0, 1, bert.n_layers])
    texts = [text.get_text() for text in draw_layer_chain(ranks, ("text", "classes")).axes[0].texts]
    assert [text for text in texts if "block" in text] == ["block 1", f"blocks\n2 to {bert.n_layers}"]
    states = [text.split("\n")[1:] for text in texts if text.startswith("layer ")]
    assert states == [[f"{n:,}", f"{r}", f"{n - r:,}"] for n, r in zip(ranks.sizes, ranks.ranks, strict=True)]
    part = rank_by_layer(bert, TEXT, layers=[1])
    assert "text\nto block 1" in [t.get_text() for t in draw_layer_chain(part, ("text", "classes")).axes[0].texts]


def test_each_arrow_of_the_chain_runs_from_the_edge_of_one_box_to_that_of_the_next(bert):
    texts = draw_layer_chain(rank_by_layer(bert, TEXT, layers=[0, bert.n_layers])).axes[0].texts
    boxes = [text.get_bbox_patch() for text in texts if text.get_bbox_patch()]
    arrows = [text.arrow_patch for text in texts if not text.get_text()]
    assert [(arrow.patchA, arrow.patchB) for arrow in arrows] == list(itertools.pairwise(boxes))


def test_what_reads_from_the_residual_stream_is_read_through_e_prime():
    texts = [text.get_text() for text in draw_residual_stream().axes[0].texts]
    beside = list(itertools.pairwise(texts))  # the letter at an arrow, then what the arrow joins
    assert [t.count("W_") for letter, t in beside if letter == "$E'$"] == [2, 1, 1], "W_Q and W_K; W_V; W_in"
    assert sum(letter == "$E$" for letter in texts) == 4, "embedding, W_O, W_out and the unembedding"


def test_a_walk_holds_a_hidden_state_and_with_it_the_classes(bert):
    x = bert.encode(TEXT)
    f = bert.hidden_map(x, until=bert.n_layers, rows=[0])
    assert "state at layer" in repr(f) and len(f.names) == bert.d_model
    path = walk_class(f, f.start, travel=0.2 * float(f.start.norm()))
    assert len(path) and path.drift.max() <= 1e-4
    state = bert.hidden_map(x, until=bert.n_layers, rows=[0])(path.points[-1])
    assert torch.allclose(state, bert.encode(TEXT, layer=bert.n_layers)[0], atol=1.1e-4)
    before, after = bert.predict(x), bert.predict(f.complete(path.points[-1]))
    assert torch.allclose(before, after, atol=1e-3)

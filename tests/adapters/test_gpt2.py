"""GPT-2 as a map from word embeddings to the next word."""

import pytest
import torch

from helpers import FisherRao, PullbackMetric, jacobian
from helpers.adapters import GPT2Adapter
from helpers.geometry.low_rank import SoftmaxFisherRao, mean_block_metric
from helpers.sentences import equivalent_sentences, equivalent_words, predict_substitutions

TEXT = "The acting was superb and the story is very"


@pytest.fixture(scope="module")
def gpt2():
    return GPT2Adapter.load("gpt2-reviews")


def test_it_is_causal(gpt2):
    point = gpt2.encode(TEXT)
    trace, shorter = gpt2.trace(TEXT), gpt2.trace("The acting was")
    assert torch.allclose(trace.states[:, :3], shorter.states, atol=1e-5)
    moved = point.clone()
    moved[0, :3] += 0.5
    assert not torch.allclose(gpt2.log_probabilities(moved), gpt2.log_probabilities(point), atol=1e-3)


def test_a_trace_holds_what_the_layers_add(gpt2):
    trace = gpt2.trace(TEXT)
    block = gpt2.model.transformer.h[2]
    added = block.attn.c_proj(trace.subheads[2]) + block.mlp.c_proj(trace.neurons[2])
    assert torch.allclose(trace.states[1] + added, trace.states[2], atol=1e-4)
    final = gpt2.model.transformer.ln_f(trace.states[-1][-1])
    assert torch.allclose(final, gpt2.final_state(gpt2.encode(TEXT)), atol=1e-5)
    assert not gpt2.model.transformer.h[0]._forward_hooks


def test_no_prediction_sees_the_all_ones_direction(gpt2):
    """Layer norms subtract the mean, so it is in the kernel at every token, for every text."""
    point = gpt2.encode(TEXT)
    metric = PullbackMetric.at(gpt2.final_state, point, SoftmaxFisherRao(gpt2.model.lm_head.weight))
    ones = torch.ones_like(point)
    assert metric.norm(ones) < 1e-5 * metric.singular_values[0] * ones.norm()
    far = point + 3 * ones
    assert torch.allclose(gpt2.log_probabilities(far), gpt2.log_probabilities(point), atol=1e-3)


def test_the_softmax_metric_is_that_of_all_words(gpt2):
    point = gpt2.encode("The film is")
    through_state = PullbackMetric.at(gpt2.final_state, point, SoftmaxFisherRao(gpt2.model.lm_head.weight))
    outputs, rows = jacobian(gpt2.log_probabilities, point)
    every_word = PullbackMetric.from_jacobian(point, outputs, rows, FisherRao())
    v = torch.randn(point.shape, generator=torch.Generator().manual_seed(0))
    assert float(through_state.norm(v)) == pytest.approx(float(every_word.norm(v)), rel=1e-3)


def test_the_mean_metric_is_the_mean_of_the_parts_blocks(gpt2):
    points = [gpt2.encode(text) for text in ("The film is", "I did not")]
    weigh = SoftmaxFisherRao(gpt2.model.lm_head.weight)
    mean = mean_block_metric(gpt2.final_state, points, weigh)
    blocks = [
        PullbackMetric.at(gpt2.final_state, point, weigh).block(part).dense()
        for point in points
        for part in range(len(point))
    ]
    assert torch.allclose(mean, torch.stack(blocks).mean(0), atol=1e-6 * float(mean.abs().max()))
    with pytest.raises(ValueError, match="points"):
        mean_block_metric(gpt2.final_state, [], weigh)


def test_words_that_it_would_not_miss_are_verified(gpt2):
    substitutions = predict_substitutions(gpt2, TEXT)
    words = equivalent_words(substitutions)
    assert len(words) > 10
    assert (words["verified"] <= 0.02).all()
    word = words[words["token"] == "superb"].iloc[0]["word"]
    f = gpt2.output_map(gpt2.encode(TEXT), target=list(substitutions.f.names[:-1]))
    reworded = gpt2.output_map(gpt2.encode(TEXT.replace("superb", word)), target=list(substitutions.f.names[:-1]))
    change = (f(f.start).exp() - reworded(reworded.start).exp()).abs().sum() / 2
    assert float(change) == pytest.approx(float(words[words["word"] == word].iloc[0]["verified"]), abs=1e-4)
    assert word.upper() in " ".join(equivalent_sentences(substitutions, max_substitutions=1, beam=40)["sentence"])


def test_names_tell_words_from_pieces(gpt2):
    assert gpt2.tokens(" unwatchable film")[-1] == "film"
    assert gpt2.tokens("film")[0] == "…film", "no space before it"
    assert gpt2.decode(gpt2.encode(TEXT)) == TEXT
    whole = gpt2.whole_words()
    assert "film" in whole.values()
    assert all(word.isalpha() for word in whole.values())
    start, rest = gpt2.token_ids(" unwatchable")[:2]
    assert not gpt2.continues(start)
    assert gpt2.continues(rest)
    assert not gpt2.continues(gpt2.token_ids("film.")[-1]), "a full stop does not continue a word"


def test_what_it_cannot_take_is_named(gpt2):
    with pytest.raises(ValueError, match=r"is a 'bert' model with head .* wanted 'gpt2' with one of GPT2LMHeadModel"):
        GPT2Adapter.load("bert-reviews")
    with pytest.raises(ValueError, match="takes at most 128"):
        gpt2.encode("film " * 200)

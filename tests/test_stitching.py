"""Stitched classifiers: exact where a base is the donor in disguise, measured beside random kernels where not."""

import copy

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

from helpers.datasets import read_sentences
from helpers.resources import load_pretrained
from helpers.stitching import (
    CONTEXT,
    MeanStateClassifier,
    embedding_kernel,
    last_tokens,
    load_body,
    load_classifier,
    random_kernel,
    stitch,
    stitching_table,
)

LONG = "The nurse said that she was late, and the doctor laughed. " * 30


@pytest.fixture(scope="module")
def donor():
    return load_classifier("gpt2-sentiment")


@pytest.fixture(scope="module")
def base():
    return load_body("gpt2-reviews-b")


@pytest.fixture(scope="module")
def sentences():
    table = read_sentences("review")
    tokenizer = load_pretrained(AutoTokenizer, "gpt2-sentiment")
    return last_tokens(tokenizer, table["text"]), torch.tensor(table["label"].astype(int))


def test_the_mean_state_classifier_is_the_papers():
    torch.manual_seed(0)
    tokenizer = load_pretrained(AutoTokenizer, "gpt2-sentiment")
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2, pad_token_id=0)
    stored = GPT2ForSequenceClassification(config).eval()
    ids, mask = last_tokens(tokenizer, ["A fine film.", LONG])
    assert mask.sum(1).tolist()[1] == CONTEXT
    states = stored.transformer(input_ids=ids[:1, : int(mask[0].sum())], output_hidden_states=True)
    expected = stored.score(stored.transformer.h[-1](states.hidden_states[-2]).mean(1))
    assert torch.allclose(MeanStateClassifier(stored).eval()(ids, mask)[:1], expected, atol=1e-5)


@pytest.mark.parametrize("keep", range(5))
def test_a_classifier_stitched_onto_itself_is_itself(donor, sentences, keep):
    (ids, mask), _ = sentences
    whole = stitch(donor, donor.body, keep=keep, transplant=4 - keep)
    assert torch.allclose(whole.kernel, torch.eye(192), atol=1e-5)
    assert torch.allclose(whole(ids[:8], mask[:8]), donor(ids[:8], mask[:8]), atol=1e-3)


def shuffle_coordinates(body: torch.nn.Module, order: torch.Tensor) -> torch.nn.Module:
    """The same body with the coordinates of its residual stream in another order, which layer norm does not mind."""
    moved = copy.deepcopy(body)
    width = len(order)
    for name, parameter in moved.named_parameters():
        writes = name.endswith(("c_proj.weight", "c_proj.bias")) or "wte" in name or "wpe" in name
        if writes or "ln_" in name:
            parameter.data = parameter.data[..., order]
        elif name.endswith("weight"):
            assert len(parameter) == width
            parameter.data = parameter.data[order]
    return moved


@pytest.mark.parametrize(("keep", "transplant"), [(0, 4), (2, 2), (3, 1), (4, 0)])
def test_the_kernel_undoes_another_order_of_the_coordinates(donor, sentences, keep, transplant):
    (ids, mask), _ = sentences
    order = torch.randperm(192, generator=torch.Generator().manual_seed(0))
    hidden = shuffle_coordinates(donor.body, order)
    stitched, same = stitch(donor, hidden, keep, transplant), stitch(donor, hidden, keep, transplant, torch.eye(192))
    expected = donor(ids[:8], mask[:8])
    assert torch.allclose(stitched(ids[:8], mask[:8]), expected, atol=1e-3)
    assert not torch.allclose(same(ids[:8], mask[:8]), expected, atol=1)


def test_the_kernel_is_that_of_the_pseudo_inverse(donor, base):
    rows_a, rows_b = donor.body.wte.weight.double(), base.wte.weight.double()
    assert torch.allclose(embedding_kernel(donor, base).double(), rows_b.T @ torch.linalg.pinv(rows_a.T), atol=1e-5)


def test_with_words_shuffled_the_kernel_is_that_of_the_rows_in_another_order(donor, base):
    order = torch.randperm(8192, generator=torch.Generator().manual_seed(1))
    rows_a, rows_b = donor.body.wte.weight.double(), base.wte.weight.double()[order]
    shuffled = embedding_kernel(donor, base, torch.Generator().manual_seed(1)).double()
    assert torch.allclose(shuffled, rows_b.T @ torch.linalg.pinv(rows_a.T), atol=1e-5)
    assert not torch.allclose(shuffled, embedding_kernel(donor, base).double(), atol=1e-2)


def test_a_random_kernel_has_the_same_shape_and_norm_and_is_drawn_from_its_generator(donor, base):
    kernel = embedding_kernel(donor, base)
    one, again, other = (random_kernel(kernel, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == kernel.shape == (128, 192)
    assert one.norm() == pytest.approx(float(kernel.norm()), rel=1e-4)
    assert torch.equal(one, again) and not torch.allclose(one, other)


def test_impossible_stitches_are_refused(donor, base):
    with pytest.raises(ValueError, match="keep=5: must be between 0 and 4"):
        stitch(donor, base, keep=5, transplant=0)
    with pytest.raises(ValueError, match="transplant=-1: must be between 0 and 4"):
        stitch(donor, base, keep=0, transplant=-1)
    with pytest.raises(ValueError, match=r"kernel: has shape \(192, 128\), wanted \(128, 192\)"):
        stitch(donor, base, keep=0, transplant=0, kernel=embedding_kernel(donor, base).T)
    shorter = copy.deepcopy(base)
    shorter.wte = torch.nn.Embedding(100, 128)
    with pytest.raises(ValueError, match="has 100 vocabulary items, the classifier 8,192"):
        stitch(donor, shorter, keep=0, transplant=0)


@torch.no_grad()
def test_the_table_is_what_each_stitched_classifier_says_by_itself(donor, base, sentences):
    (ids, mask), labels = sentences
    few = torch.arange(60, 140)
    found = stitching_table(donor, base, (ids[few], mask[few]), labels[few], seeds=[3], shuffles=[4])
    kernel = embedding_kernel(donor, base)
    twin = random_kernel(kernel, torch.Generator().manual_seed(3))
    mixed = embedding_kernel(donor, base, torch.Generator().manual_seed(4))
    for keep, transplant in [(0, 4), (1, 1), (4, 0)]:
        for accuracies, each in ((found.accuracy, kernel), (found.random[0], twin), (found.shuffled[0], mixed)):
            said = stitch(donor, base, keep, transplant, each)(ids[few], mask[few]).argmax(1)
            assert accuracies[keep, transplant] == pytest.approx(float((said == labels[few]).double().mean()))
    assert found.area.shape == found.random_area[0].shape == found.shuffled_area[0].shape == (5, 5)
    odds = stitch(donor, base, 4, 0)(ids[few], mask[few]).diff(dim=1)[:, 0]
    positive, negative = odds[labels[few] == 1], odds[labels[few] == 0]
    assert found.area[4, 0] == pytest.approx(float((positive[:, None] > negative).double().mean()), abs=2e-3)
    upper_half = odds.argsort().argsort() >= len(few) // 2
    assert found.at_median[4, 0] == pytest.approx(float((upper_half == labels[few]).double().mean()))
    assert found.donor < found.donor_area <= 1
    better = found.accuracy > torch.maximum(found.random[0], found.shuffled[0])
    assert torch.equal(found.beats_twins, better)
    assert found.donor == float((donor(ids[few], mask[few]).argmax(1) == labels[few]).double().mean())
    assert found.chance == max(float(labels[few].double().mean()), 1 - float(labels[few].double().mean()))
    low, high = found.interval(0.75)
    assert 0.6 < low < 0.75 < high < 0.85
    assert "80 texts" in found._repr_html_() and "keep 4" in found._repr_html_()


@torch.no_grad()
def test_sentiment_crosses_to_a_model_that_never_saw_it(donor, base, sentences):
    (ids, mask), labels = sentences
    kernel = embedding_kernel(donor, base)
    right = lambda k: float((stitch(donor, base, 4, 0, k)(ids, mask).argmax(1) == labels).double().mean())  # noqa: E731
    twins = [right(random_kernel(kernel, torch.Generator().manual_seed(seed))) for seed in range(10)]
    assert right(kernel) > max(twins) and right(kernel) > 0.6

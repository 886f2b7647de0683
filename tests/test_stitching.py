"""Stitched classifiers: exact where the base is the donor in other coordinates, beside random kernels elsewhere."""

import copy

import pytest
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

from helpers.adapters import load_adapter
from helpers.datasets import read_sentences
from helpers.measures import area_under_curve
from helpers.resources import load_model, load_pretrained, load_tokenizer
from helpers.stitching import (
    CONTEXT,
    MeanStateClassifier,
    apply_kernel,
    apply_kernel_as_released,
    embedding_kernel,
    hidden_states,
    last_tokens,
    load_body,
    load_classifier,
    random_kernel,
    stitch,
    stitching_table,
    subtract_layers,
)
from helpers.weights import load_weights
from helpers.weights.reference import layer_states
from tests.adapters.families import make_model

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
    expected = []
    for row, length in enumerate(mask.sum(1).tolist()):
        states = stored.transformer(input_ids=ids[row : row + 1, :length], output_hidden_states=True)
        expected.append(stored.score(stored.transformer.h[-1](states.hidden_states[-2]).mean(1)))
    assert torch.allclose(MeanStateClassifier(stored).eval()(ids, mask), torch.cat(expected), atol=1e-5)


@torch.no_grad()
def test_the_model_of_a_classifier_is_not_changed():
    model = load_model(GPT2ForSequenceClassification, "gpt2-sentiment")
    ids, mask = last_tokens(load_pretrained(AutoTokenizer, "gpt2-sentiment"), ["A warm and funny film."])
    before, norm = model(ids, attention_mask=mask).logits, model.transformer.ln_f
    MeanStateClassifier(model)(ids, mask)
    assert model.transformer.ln_f is norm and isinstance(norm, torch.nn.LayerNorm)
    assert torch.equal(model(ids, attention_mask=mask).logits, before)


def test_a_classifier_that_does_not_average_states_is_refused(tmp_path):
    with pytest.raises(ValueError, match="use helpers.stitching.load_classifier".replace(".", r"\.")):
        load_adapter("gpt2-sentiment")
    config = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="classifies by the state of its last token"):
        load_classifier(tmp_path)


def test_dropout_of_a_model_in_training_reaches_its_embeddings():
    config = GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, embd_pdrop=1.0)
    body = MeanStateClassifier(GPT2ForSequenceClassification(config)).train().body
    ids = torch.arange(4)[None]
    assert (hidden_states(body, ids, torch.ones_like(ids), 0)[0] == 0).all()


@pytest.mark.parametrize("keep", range(5))
def test_a_classifier_stitched_onto_itself_is_itself(donor, sentences, keep):
    (ids, mask), _ = sentences
    whole = stitch(donor, donor.body, keep=keep, transplant=4 - keep)
    assert torch.allclose(whole.kernel, torch.eye(192), atol=1e-5)
    assert torch.allclose(whole(ids[:8], mask[:8]), donor(ids[:8], mask[:8]), atol=1e-3)


def shuffle_coordinates(body: torch.nn.Module, order: torch.Tensor) -> torch.nn.Module:
    """The same body with the coordinates of its residual stream in another order; layer norms do not depend on it."""
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


@torch.no_grad()
@pytest.mark.parametrize(("keep", "transplant"), [(0, 4), (2, 1), (4, 0)])
def test_the_released_transfer_is_what_the_library_computes(donor, base, sentences, keep, transplant):
    (ids, mask), _ = sentences
    ids, mask = ids[:8], mask[:8]
    lower, upper = copy.deepcopy(base), copy.deepcopy(donor.body)
    lower.h, upper.h, upper.ln_f = lower.h[:keep], upper.h[4 - transplant :], torch.nn.Identity()
    states = lower(ids, attention_mask=mask).last_hidden_state @ embedding_kernel(donor, base)
    expected = donor.classify(upper(inputs_embeds=states, attention_mask=mask).last_hidden_state, mask)
    released = stitch(donor, base, keep, transplant, transfer=apply_kernel_as_released)(ids, mask)
    assert torch.allclose(released, expected, atol=1e-3)
    assert not torch.allclose(stitch(donor, base, keep, transplant)(ids, mask), expected, atol=0.01)


@torch.no_grad()
def test_without_a_final_norm_and_positions_both_transfers_are_the_kernel(donor, base, sentences):
    (ids, mask), _ = sentences
    plain, plain_base = copy.deepcopy(donor), copy.deepcopy(base)
    plain.body.wpe.weight.zero_()
    plain_base.ln_f = torch.nn.Identity()
    released = stitch(plain, plain_base, 2, 2, transfer=apply_kernel_as_released)
    assert torch.allclose(released(ids[:8], mask[:8]), stitch(plain, plain_base, 2, 2)(ids[:8], mask[:8]))


def test_a_classifier_with_fewer_positions_than_the_base_is_refused_where_its_positions_are_added(donor, base):
    short = copy.deepcopy(donor)
    short.body.wpe = torch.nn.Embedding(4, 192)
    ids = torch.ones(1, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="ids: have 5 tokens, wanted 4 at most"):
        stitch(short, base, 1, 1, transfer=apply_kernel_as_released)(ids, ids)


@torch.no_grad()
def test_layers_minus_themselves_do_nothing_and_minus_zero_stay(donor, base, sentences):
    (ids, mask), _ = sentences
    nothing = stitch(subtract_layers(donor, donor.body), base, keep=2, transplant=4)
    assert torch.allclose(nothing(ids[:8], mask[:8]), stitch(donor, base, 2, 0)(ids[:8], mask[:8]), atol=1e-5)
    zero = copy.deepcopy(donor.body)
    for parameter in zero.parameters():
        parameter.zero_()
    assert torch.equal(subtract_layers(donor, zero)(ids[:8], mask[:8]), donor(ids[:8], mask[:8]))


@torch.no_grad()
def test_what_finetuning_added_is_zero_below_its_layers_and_leaves_the_donor_as_it_is(donor, base):
    before = {name: value.clone() for name, value in donor.state_dict().items()}
    added = subtract_layers(donor, load_body("gpt2-reviews"))
    weights = [layer.mlp.c_fc.weight.abs().max() for layer in added.body.h]
    assert [float(w) > 0 for w in weights] == [False, False, True, True]
    assert torch.equal(added.body.h[3].ln_1.weight, donor.body.h[3].ln_1.weight)
    assert all(torch.equal(value, before[name]) for name, value in donor.state_dict().items())
    with pytest.raises(ValueError, match="pretrained: layers have other shapes"):
        subtract_layers(donor, base)


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
    with pytest.raises(ValueError, match="keep=5: must be a whole number between 0 and 4"):
        stitch(donor, base, keep=5, transplant=0)
    with pytest.raises(ValueError, match="transplant=-1: must be a whole number between 0 and 4"):
        stitch(donor, base, keep=0, transplant=-1)
    with pytest.raises(ValueError, match=r"kernel: has shape \(192, 128\), wanted \(128, 192\)"):
        stitch(donor, base, keep=0, transplant=0, kernel=embedding_kernel(donor, base).T)
    in_float64 = stitch(donor, base, 0, 0, embedding_kernel(donor, base).double())
    assert torch.equal(in_float64.kernel, embedding_kernel(donor, base))
    shorter = copy.deepcopy(base)
    shorter.wte = torch.nn.Embedding(100, 128)
    with pytest.raises(ValueError, match="its 100 vocabulary items are not the classifier's 8,192"):
        stitch(donor, shorter, keep=0, transplant=0)


@torch.no_grad()
@pytest.mark.parametrize("transfer", [apply_kernel, apply_kernel_as_released])
def test_the_table_is_what_each_stitched_classifier_says_by_itself(donor, base, sentences, transfer):
    (ids, mask), labels = sentences
    few = torch.arange(60, 140)
    table = stitching_table(donor, base, (ids[few], mask[few]), labels[few], [3], transfer)
    kernel = embedding_kernel(donor, base)
    noise = random_kernel(kernel, torch.Generator().manual_seed(3))
    mixed = embedding_kernel(donor, base, torch.Generator().manual_seed(3))
    for keep, transplant in [(0, 4), (1, 1), (4, 0)]:
        for log_odds, used in (
            (table.log_odds, kernel),
            (table.random_log_odds[0], noise),
            (table.shuffled_log_odds[0], mixed),
        ):
            alone = stitch(donor, base, keep, transplant, used, transfer)(ids[few], mask[few]).diff(dim=1)[:, 0]
            assert torch.allclose(log_odds[keep, transplant], alone, atol=1e-3)
    correct = (table.log_odds > 0) == labels[few].bool()
    assert torch.allclose(table.accuracy, correct.double().mean(-1))
    donor_accuracy = float((donor(ids[few], mask[few]).argmax(1) == labels[few]).double().mean())
    assert donor_accuracy == table.measure_accuracy(table.donor_log_odds)
    assert donor_accuracy < area_under_curve(table.donor_log_odds, labels[few]) <= 1
    assert table.chance == max(float(labels[few].double().mean()), 1 - float(labels[few].double().mean()))
    low, high = table.interval(0.75)
    assert 0.6 < low < 0.75 < high < 0.85
    assert "80 texts" in table._repr_html_() and "keep 4" in table._repr_html_()
    with pytest.raises(ValueError, match=r"labels: are \[1\] for a classifier of 2 classes"):
        stitching_table(donor, base, (ids[:3], mask[:3]), torch.ones(3, dtype=torch.long))
    with pytest.raises(ValueError, match="number of seeds=0: must be a whole number of 1 or more"):
        stitching_table(donor, base, (ids[few], mask[few]), labels[few], [])


@torch.no_grad()
def test_sentiment_crosses_to_a_model_that_never_saw_it(donor, base, sentences):
    (ids, mask), labels = sentences
    kernel = embedding_kernel(donor, base)

    def accuracy(some_kernel):
        predictions = stitch(donor, base, 4, 0, some_kernel)(ids, mask).argmax(1)
        return float((predictions == labels).double().mean())

    controls = [accuracy(random_kernel(kernel, torch.Generator().manual_seed(seed))) for seed in range(10)]
    assert accuracy(kernel) > max(controls) and accuracy(kernel) > 0.6


def test_texts_that_cannot_be_classified_are_named(donor):
    class Spaces:
        """A tokenizer without an end of text: one token per letter."""

        def __call__(self, texts, verbose):
            return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    ids, mask = last_tokens(Spaces(), ["ab", "a"])
    assert mask.tolist() == [[1, 1], [1, 0]]
    assert ids[1, 0] == ord("a")
    with pytest.raises(ValueError, match="texts: number 1 has no tokens"):
        last_tokens(Spaces(), ["ab", ""])
    for texts in ([], "ab"):
        with pytest.raises(ValueError, match=r"texts=.*: must be a list of texts, at least one"):
            last_tokens(Spaces(), texts)
    with pytest.raises(ValueError, match="most=0: must be a whole number of 1 or more"):
        last_tokens(Spaces(), ["ab"], 0)
    two = last_tokens(Spaces(), ["ab", "a"])
    with pytest.raises(ValueError, match="labels: are 3, wanted 2, one per text"):
        stitching_table(donor, donor.body, two, torch.tensor([0, 1, 0]))
    many = torch.ones(1, CONTEXT + 1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"ids: have 129 tokens, wanted 128 at most; use last_tokens\(..., most=128\)"):
        hidden_states(donor.body, many, many, 1)


def test_a_base_of_another_family_is_stitched_through_its_unembedding(tmp_path, donor, sentences):
    """A Llama has no position embeddings and may have a head of its own, by which its states are read."""
    folder = make_model("LlamaForCausalLM", tmp_path, tie_word_embeddings=False, max_position_embeddings=128)
    llama, w = load_body(folder), load_weights(folder)
    ids, mask = (part[:3] for part in sentences[0])
    states = layer_states(llama, input_ids=ids, attention_mask=mask)
    assert len(states) == w.n_layers + 1 and torch.equal(states[0], llama.embed_tokens(ids))
    own = llama(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(llama.norm(states[-1]), own, atol=1e-5)
    kernel = embedding_kernel(donor, llama)
    expected = w.unembedding.float().T @ torch.linalg.pinv(donor.body.wte.weight.float()).T
    assert torch.allclose(kernel, expected, atol=1e-3)
    assert stitch(donor, llama, 1, 1)(ids, mask).shape == (len(ids), 2)


@torch.no_grad()
def test_a_bert_is_a_base_although_its_file_has_no_pooler(donor):
    """Its norms stand in the residual stream, so that the way of the paper's code has no final norm to apply."""
    bert = load_body("bert-reviews")
    ids, mask = last_tokens(load_tokenizer("bert-reviews"), ["a warm film", "boring"])
    states = layer_states(bert, input_ids=ids, attention_mask=mask)
    own = bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert all(torch.equal(a, b) for a, b in zip(states, own, strict=True))
    kernel = torch.randn(192, 192, generator=torch.Generator().manual_seed(0))
    expected = states[2] @ kernel + donor.body.wpe.weight[: ids.shape[1]]
    assert torch.equal(apply_kernel_as_released(states[2], kernel, bert, donor.body), expected)
    with pytest.raises(ValueError, match=r"its 8,192 vocabulary items are not the classifier's 8,192; .*match_items"):
        embedding_kernel(donor, bert)  # as many items, but other ones

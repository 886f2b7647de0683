"""BERT as a smooth map: the model's own output, what moves and what stays, sizes of the hub's models, clear errors."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertForMultipleChoice, BertForSequenceClassification

from helpers import WalkSettings, leave_class, walk_class
from helpers.adapters import BertAdapter
from helpers.datasets import read_sentences
from helpers.resources import MODELS

NURSE = "The nurse said that [MASK] was late."


def sentences(count):
    """Every tenth of our own sentences, of both labels."""
    return read_sentences("review")["text"].tolist()[::10][:count]


def test_a_masked_words_log_probabilities_are_the_models(masked_bert):
    x = masked_bert.encode(NURSE)
    tokens = masked_bert.tokenizer(NURSE, return_tensors="pt")
    place = int((tokens["input_ids"][0] == masked_bert.tokenizer.mask_token_id).nonzero())
    expected = masked_bert.model(**tokens).logits[0, place].log_softmax(-1)
    assert torch.allclose(masked_bert.log_probabilities(x), expected, atol=1e-4)
    f = masked_bert.output_map(x, target=["he", "she"])
    ids = masked_bert.tokenizer.convert_tokens_to_ids(["he", "she"])
    assert torch.allclose(f(f.start)[:2], expected[ids], atol=1e-4)
    assert f.names == ("he", "she", "the rest")
    assert len(masked_bert.output_map(x).names) == 11


def test_special_tokens_stay_unless_asked_for(masked_bert):
    x = masked_bert.encode(NURSE)
    names = masked_bert.part_names(x)
    assert names[0] == "[CLS]"
    assert [names[i] for i in masked_bert.output_map(x).parts] == ["the", "nurse", "said", "that", "was", "late", "."]
    assert masked_bert.output_map(x, parts=[0, 5]).parts == (0, 5)


def test_twenty_sentences_stay_in_their_class_and_can_leave_it(bert):
    left = 0
    for text in sentences(20):
        f = bert.output_map(bert.encode(text))
        far = float(f.start.norm())
        held = walk_class(f, f.start, travel=far)
        assert held.travel >= 0.999 * far
        assert held.drift.max() <= 1e-4
        out = leave_class(f, f.start)
        left += int(out.classes[-1] != out.classes[0])
    assert left >= 19


def test_a_point_determines_the_tokens_of_its_text(bert):
    for text in sentences(5):
        x = bert.encode(text)
        assert bert.ids_of(x) == bert.nearest_ids(x) == bert.token_ids(text)
        assert bert.part_names(x) == bert.tokens(text)


def test_pieces_continue_words(bert):
    ids = bert.token_ids("qwertzology!")
    assert len(ids) > 4, "the word has several pieces"
    assert [bert.continues(token) for token in ids] == [False, False, *[True] * (len(ids) - 4), False, False]
    assert bert.names_of(ids)[2].startswith("…")


def test_a_moved_point_has_nearest_tokens_but_no_text(bert):
    x = bert.encode("a warm and funny film")
    moved = x.clone()
    moved[[1, 3]] += 0.01
    assert bert.part_names(moved) == bert.tokens("a warm and funny film")
    with pytest.raises(ValueError, match=r"rows \[1, 3\] are no token's embedding"):
        bert.ids_of(moved)


def test_the_box_holds_every_word_at_every_position_of_the_text(bert):
    x = bert.encode("a warm and funny film")
    box = bert.bounds(x)
    assert box.contains(x)
    ids = torch.randint(len(bert.tokenizer), (len(x),), generator=torch.Generator().manual_seed(0)).tolist()
    assert box.contains(bert.embed(ids))
    every_word = torch.stack([bert.vocabulary_at(i) for i in range(len(x))])
    assert torch.equal(every_word.amin((0, 1)), box.lower)
    assert torch.equal(every_word.amax((0, 1)), box.upper)
    longer = bert.bounds(bert.encode("a longer text than before, by some words"))
    assert ((longer.lower < box.lower) | (longer.upper > box.upper)).sum() > 10, "more positions, a larger box"


@pytest.fixture(scope="module")
def base_shape(tmp_path_factory, bert):
    """A masked-word model of BERT-base's shape with random weights and 30,522 words."""
    folder = tmp_path_factory.mktemp("bert-base")
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig(num_hidden_layers=2)).save_pretrained(folder)
    words = [*bert.tokenizer.convert_ids_to_tokens(range(len(bert.tokenizer)))]
    words += [f"word{i}" for i in range(30_522 - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    return folder


def test_thirty_thousand_words_are_walked_by_the_likeliest(base_shape):
    adapter = BertAdapter.load(base_shape)
    assert len(adapter.class_names) == 30_522
    x = adapter.encode(NURSE)
    f = adapter.output_map(x)
    path = walk_class(f, f.start, travel=5.0)
    assert path.drift.max() <= 1e-4
    assert path.outputs.shape[1] == 11
    with pytest.raises(ValueError, match="target='zzz'"):
        adapter.output_map(x, target=["zzz"])


def test_long_walks_keep_to_the_box(bert):
    x = bert.encode("the plot is thin but the music is lovely")
    f = bert.output_map(x)
    path = walk_class(f, f.start, travel=20.0, bounds=bert.bounds(x), settings=WalkSettings(longest_step=0.1))
    assert bert.bounds(x).contains(path.points)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bert", "", "at least one word"),
        ("bert", "   ", "at least one word"),
        ("bert", 7, "at least one word"),
        ("bert", "long " * 300, "tokens, bert-sentiment takes at most 256"),
        ("masked_bert", "The nurse was late.", r"has 0 \[MASK\]"),
        ("masked_bert", "[MASK] and [MASK]", r"has 2 \[MASK\]"),
    ],
)
def test_texts_that_cannot_be_taken_are_named(request, name, text, message):
    with pytest.raises(ValueError, match=message):
        request.getfixturevalue(name).encode(text)


def test_a_walked_mask_is_named(masked_bert):
    x = masked_bert.encode(NURSE)
    with pytest.raises(ValueError, match=r"0 of its rows are \[MASK\]"):
        masked_bert.output_map(x + 1)
    with pytest.raises(ValueError, match="one row per token"):
        masked_bert.output_map(x[None])


def test_other_models_and_heads_are_named(tmp_path):
    with pytest.raises(ValueError, match="is a 'vit' model"):
        BertAdapter.load("vit-digits")
    BertForMultipleChoice(BertConfig(hidden_size=12, num_hidden_layers=1)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"head 'BertForMultipleChoice', wanted 'bert' with one of BertForSeq.*Token"):
        BertAdapter.load(tmp_path)


def test_a_text_of_unknown_words_says_that_nothing_moves(bert):
    with pytest.raises(ValueError, match="none of its 5 parts moves"):
        bert.output_map(bert.encode("日本語"))


def test_three_classes_work_too(tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=8192, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, num_labels=3
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / file).write_text((MODELS / "bert-reviews" / file).read_text())
    adapter = BertAdapter.load(tmp_path)
    f = adapter.output_map(adapter.encode("a film"))
    path = walk_class(f, f.start, travel=2.0)
    assert path.outputs.shape[1] == 3
    assert path.drift.max() <= 1e-4

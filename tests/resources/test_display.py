"""Tables as HTML, and names of vocabulary items: words, pieces, special tokens and ids that padding leaves empty."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer

from helpers.resources import distinguish_names, load_pretrained, token_names
from helpers.resources.display import DISPLAYED_ROWS, table_html


def test_a_long_table_says_how_many_rows_it_has():
    table = pd.DataFrame({"x": range(DISPLAYED_ROWS + 1)})
    assert "; 21 rows, the first 20 shown</p>" in table_html(table, "note")
    assert table_html(table, "note").count("<tr>") == DISPLAYED_ROWS
    assert "shown" not in table_html(table.head(DISPLAYED_ROWS), "note")


def test_every_text_is_escaped():
    shown = table_html(pd.DataFrame({"<i>": ["<b>"]}, index=["<s>"]), "<b>x</b> & 'y'")
    assert not any(tag in shown for tag in ("<i>", "<b>", "<s>"))
    assert "&lt;b&gt;x&lt;/b&gt; &amp;" in shown


def test_numbers_take_the_format():
    shown = table_html(pd.DataFrame({"share": [0.1234]}), "", "{:.1%}", index=False)
    assert "12.3%" in shown


def test_wordpiece_pieces_get_an_ellipsis():
    tokenizer = load_pretrained(AutoTokenizer, "bert-reviews")
    names = token_names(tokenizer, len(tokenizer) + 2)
    raw = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert names[raw.index("film")] == "film"
    assert names[raw.index("##ing")] == "…ing"
    assert names[tokenizer.mask_token_id] == "[MASK]"
    assert names[-1] == f"no token, id {len(tokenizer) + 1}"


def test_byte_level_words_lose_their_space():
    tokenizer = load_pretrained(AutoTokenizer, "gpt2-reviews")
    names = token_names(tokenizer, len(tokenizer))
    raw = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    assert names[raw.index("Ġfilm")] == "film"
    assert names[raw.index("ing")] == "…ing"


class Tokenizer:
    """A list of raw items with one special token."""

    all_special_tokens = ("<s>",)

    def __init__(self, *raw):
        self.raw = raw

    def convert_ids_to_tokens(self, ids):
        return [self.raw[i] if i < len(self.raw) else None for i in ids]


def byte_level(text):
    """Write a text as byte-level vocabularies do."""
    return "".join(piece for piece, _ in ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text))


def test_a_byte_level_vocabulary_may_hold_the_mark_of_wordpiece():
    assert token_names(Tokenizer("<s>", "Ġfilm", "Ġdog", "##", "ness"), 5) == ["<s>", "film", "dog", "…##", "…ness"]


@pytest.mark.parametrize("word", ["café", "naïve", "дом", "映画", "…", "“", "🎬", "İ", "ÿ"])
def test_byte_level_items_are_read_as_text(word):
    raw = byte_level(f" {word}"), byte_level(word)
    assert token_names(Tokenizer("Ġa", *raw), 3) == ["a", word, f"…{word}"]


def test_bytes_that_are_no_whole_character_are_escaped():
    cut = byte_level("…")[:2]
    assert token_names(Tokenizer("Ġfilm", cut, f"Ġ{cut}", f"ab{cut}"), 4)[1:] == [
        "…\\xe2\\x80",
        "\\xe2\\x80",
        "…ab\\xe2\\x80",
    ]
    names = token_names(Tokenizer(*(f"<0x{byte:02X}>" for byte in range(256)), "▁film", "ness", "▁"), 259)
    assert names[0xE2] == "…\\xe2"
    assert names[256:] == ["film", "…ness", "␣"]
    assert len(set(names)) == 259


def test_white_space_is_shown_and_continues_no_word():
    raw = [byte_level(text) for text in (" film", " ", "  ", "\n", "\n ", "\u00a0", "\u00ad")]
    assert token_names(Tokenizer(*raw), 7) == ["film", "␣", "␣␣", r"\n", r"\n␣", r"\u00a0", r"…\u00ad"]


def test_items_that_look_the_same_have_their_ids():
    assert token_names(Tokenizer("Ġfilm", "Ġa", "Ġ\\n", "Ċ"), 4)[2:] == [r"\n (2)", r"\n (3)"]


@given(st.lists(st.sampled_from(["a", "a (1)", "a (1) (2)", "b"])))
def test_names_are_told_apart_and_the_others_stay(names):
    shown = distinguish_names(names)
    assert len(set(shown)) == len(names)
    assert all(new.startswith(name) for new, name in zip(shown, names, strict=True))
    assert shown == names or len(set(names)) < len(names), "names that differ stay as they are"


def test_items_without_any_mark_are_whole_words():
    assert token_names(Tokenizer("<s>", "film", "Élan"), 4) == ["<s>", "film", "Élan", "no token, id 3"]

"""Tables as HTML, and names of vocabulary items: words, pieces, special tokens and ids that padding leaves empty."""

import pandas as pd
from transformers import AutoTokenizer

from helpers.resources import load_pretrained, token_names
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


def test_a_byte_level_vocabulary_may_hold_the_mark_of_wordpiece():
    class Tokenizer:
        all_special_tokens = ("<s>",)

        def convert_ids_to_tokens(self, ids):
            return ["<s>", "Ġfilm", "Ġdog", "##", "ness"]

    assert token_names(Tokenizer(), 5) == ["<s>", "film", "dog", "…##", "…ness"]

"""Names of vocabulary items: words, pieces, special tokens and ids that a padded vocabulary leaves empty."""

from transformers import AutoTokenizer

from helpers.resources import load_pretrained, token_names


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

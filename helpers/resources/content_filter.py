"""The content filter: slurs, swear words and sexual words, which tables leave out by default.

The words are stored as hash digests, so that nobody has to read them. To add a word to ``content_filter.txt``:
``hashlib.sha256("word".encode()).hexdigest()[:8]``, with the word in lower case.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

# The first 8 hex digits of the SHA-256 digest of each word in lower case.
DIGESTS = frozenset(Path(__file__).with_suffix(".txt").read_text().split())


def is_offensive(word: str) -> bool:
    """Say whether a word is on the list, in upper or lower case and with or without a plural s."""
    plain = word.strip("Ġ# \u2581").lower()
    return any(hashlib.sha256(form.encode()).hexdigest()[:8] in DIGESTS for form in {plain, plain.removesuffix("s")})

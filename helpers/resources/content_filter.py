"""The content filter: slurs, swear words and sexual words, which tables leave out by default.

The words are stored as hash digests, so that nobody has to read them. To add a word:
``hashlib.sha256("word".encode()).hexdigest()[:8]``, with the word in lower case.
"""

from __future__ import annotations

import hashlib

# The first 8 hex digits of the SHA-256 digest of each word in lower case.
_DIGESTS = """
    0033728f 044eb98b 0508a634 05b71b93 08234c94 08a841e9 09508013 0be9b885 0ebdc331 0f28c496 0fcb77e9 11cf8376
    120f6e5b 12a667c9 13a465fc 158869a9 16ea09fc 17bde8b4 18d0f9c2 1e02eec4 2062f800 2189c0ed 22fc75e6 235e2853
    25e82cf6 26578569 268651b3 2944474a 2a6937d7 2b324097 2f34b7a4 2f5f6ce5 30a989af 31506a84 3314b099 333f7618
    341d5638 38136d6e 3b1e0d7c 3e10139e 3ef0b158 40856764 4140197e 45cd3e1b 4b18aefe 566f532d 594810ad 59cc3cb8
    5a9d9dce 5b3ae48b 613ddd9a 6556c1a5 665cb762 6672b930 6ac3c336 701d6943 70aafb42 70fc4b74 7122c9a1 737dd1bc
    74305616 78a00d18 7902e270 796e43a5 7bc67115 7e85c676 7f5a9ba1 8171c4ec 819837a1 82159dd0 83621b34 85fc17f7
    867d7897 886d51e9 89133bc0 8b6f82db 8c5c0439 8f5083e3 92a9bf81 937d56e4 94a2b576 954bafcc 96c91fa8 986c9900
    98b52c4b 98d44e13 9915ba2d 99e367bc 9ae315a9 a019a11b a24efab8 a76d588d ab26f696 acc96930 acf45488 ad505b0b
    affc8757 b04a8a40 b601d5e9 b690cdbe b81d6dc2 bb61ef40 bbf8bb78 bd331fb1 bdb1cc25 be00f1af be2db2bf c1cabb6f
    c22f315f c2c3b68b c3de533e c7653054 cbbd0f71 cc020323 ccff74c2 d75a838d d92f4cf1 daec0c23 db10a790 dcb85fcf
    dd32831e dd92623b de864086 df2b7e24 e14a747f e1ce2544 e273db21 e512a055 e6836793 e7b98c6a e84dde50 e9143a29
    e99d5524 ebc98c1e eef3bd09 eff26b18 f1a5fb56 f50c51ed f59e28f8 f6952d6e f9d0d9b1 fa1597ae fa38a8d3 fb96c276
    fd70ad90 ff5ae7e8
"""


def is_offensive(word: str) -> bool:
    """Say whether a word is on the list, in upper or lower case and with or without a plural s."""
    plain = word.strip("Ġ# \u2581").lower()
    return any(hashlib.sha256(form.encode()).hexdigest()[:8] in _DIGESTS for form in {plain, plain.removesuffix("s")})

"""Parameters read as vocabulary items."""

from helpers.vocabulary.neurons import Coherence, coherence, pair_coherence, search_neurons, shuffled
from helpers.vocabulary.space import EmbeddingSpace, Reading, clean_rows, corpus_items, embedding_space
from helpers.vocabulary.tables import PairTable, TokenTable, top_pairs, top_tokens

__all__ = [
    "Coherence",
    "EmbeddingSpace",
    "PairTable",
    "Reading",
    "TokenTable",
    "clean_rows",
    "coherence",
    "corpus_items",
    "embedding_space",
    "pair_coherence",
    "search_neurons",
    "shuffled",
    "top_pairs",
    "top_tokens",
]

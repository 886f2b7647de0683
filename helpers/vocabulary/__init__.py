"""Parameters read as vocabulary items."""

from helpers.vocabulary.control import LayerControl, read_parameter
from helpers.vocabulary.neurons import (
    NeuronIndex,
    coherence,
    coherence_bar,
    pair_coherence,
    search_neurons,
)
from helpers.vocabulary.reading import Reading, count_items
from helpers.vocabulary.space import (
    EmbeddingSpace,
    clean_rows,
    copying_score,
    embed_through_first_mlp,
    embedding_space,
    embedding_spaces,
    match_items,
    top_pairs,
    top_tokens,
)
from helpers.vocabulary.survey import ParameterSurvey, survey_coherence, survey_p_values
from helpers.vocabulary.tables import PairTable, TokenMap, TokenTable

__all__ = [
    "EmbeddingSpace",
    "LayerControl",
    "NeuronIndex",
    "PairTable",
    "ParameterSurvey",
    "Reading",
    "TokenMap",
    "TokenTable",
    "clean_rows",
    "coherence",
    "coherence_bar",
    "copying_score",
    "count_items",
    "embed_through_first_mlp",
    "embedding_space",
    "embedding_spaces",
    "match_items",
    "pair_coherence",
    "read_parameter",
    "search_neurons",
    "survey_coherence",
    "survey_p_values",
    "top_pairs",
    "top_tokens",
]

"""Sentences under the pullback metric: substitutions of words, walks decoded as texts, attributions of tokens."""

from helpers.sentences.attributions import deletion_curve, integrated_gradients, mask_baseline, pullback_importance
from helpers.sentences.decoding import DecodedWalk, decode_by_embedding, decode_by_head
from helpers.sentences.substitutions import (
    Substitutions,
    embed_word,
    equivalent_sentences,
    equivalent_words,
    influential_words,
    predict_substitutions,
    prediction_quality,
    run_texts,
)

__all__ = [
    "DecodedWalk",
    "Substitutions",
    "decode_by_embedding",
    "decode_by_head",
    "deletion_curve",
    "embed_word",
    "equivalent_sentences",
    "equivalent_words",
    "influential_words",
    "integrated_gradients",
    "mask_baseline",
    "predict_substitutions",
    "prediction_quality",
    "pullback_importance",
    "run_texts",
]

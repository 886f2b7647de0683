"""Result objects drawn as matplotlib figures: what was computed elsewhere comes in, a Figure goes out."""

from helpers.figures.alignment import draw_alignments, draw_stitching, draw_verdicts
from helpers.figures.parameters import (
    draw_beside_control,
    draw_coherence,
    draw_curves,
    draw_heads,
    draw_readings,
    draw_token_map,
)
from helpers.figures.style import styled
from helpers.figures.sweeps import draw_drifts, draw_measured, draw_probability_along, draw_rooms
from helpers.figures.texts import draw_agreement, draw_bars, draw_deletion, draw_swap_map, draw_tokens
from helpers.figures.walks import (
    draw_drift,
    draw_images,
    draw_importance,
    draw_plane,
    draw_probabilities,
    draw_projection,
    draw_spectrum,
    draw_walk,
    show_image,
)

__all__ = [
    "draw_agreement",
    "draw_alignments",
    "draw_bars",
    "draw_beside_control",
    "draw_coherence",
    "draw_curves",
    "draw_deletion",
    "draw_drift",
    "draw_drifts",
    "draw_heads",
    "draw_images",
    "draw_importance",
    "draw_measured",
    "draw_plane",
    "draw_probabilities",
    "draw_probability_along",
    "draw_projection",
    "draw_readings",
    "draw_rooms",
    "draw_spectrum",
    "draw_stitching",
    "draw_swap_map",
    "draw_token_map",
    "draw_tokens",
    "draw_verdicts",
    "draw_walk",
    "show_image",
    "styled",
]

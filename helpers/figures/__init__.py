"""Figures of result objects: a result goes in, a matplotlib Figure comes out. Colours are defined in ``style``."""

from helpers.figures.alignment import draw_alignments, draw_stitched_predictions, draw_stitching
from helpers.figures.images import draw_images, draw_importance, draw_walk_images
from helpers.figures.layers import draw_layer_chain, draw_ranks_by_layer, draw_residual_stream
from helpers.figures.parameters import (
    draw_curves,
    draw_heads,
    draw_layers_beside_control,
    draw_token_map,
    draw_top_items,
)
from helpers.figures.style import DescribedFigure, describe
from helpers.figures.sweeps import (
    draw_algorithm_means,
    draw_beside_published,
    draw_course,
    draw_drift_distribution,
)
from helpers.figures.texts import (
    draw_bars,
    draw_dots,
    draw_predicted_against_verified,
    draw_substitution_map,
    draw_tokens,
)
from helpers.figures.walks import draw_drift, draw_plane, draw_probabilities, draw_projection, draw_spectrum

__all__ = [
    "DescribedFigure",
    "describe",
    "draw_algorithm_means",
    "draw_alignments",
    "draw_bars",
    "draw_beside_published",
    "draw_course",
    "draw_curves",
    "draw_dots",
    "draw_drift",
    "draw_drift_distribution",
    "draw_heads",
    "draw_images",
    "draw_importance",
    "draw_layer_chain",
    "draw_layers_beside_control",
    "draw_plane",
    "draw_predicted_against_verified",
    "draw_probabilities",
    "draw_projection",
    "draw_ranks_by_layer",
    "draw_residual_stream",
    "draw_spectrum",
    "draw_stitched_predictions",
    "draw_stitching",
    "draw_substitution_map",
    "draw_token_map",
    "draw_tokens",
    "draw_top_items",
    "draw_walk_images",
]

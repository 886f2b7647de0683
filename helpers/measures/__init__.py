"""The papers' measures, one function each; scipy's wherever it has one (its Jaccard takes one pair)."""

from helpers.measures.areas import area_under_curve, mean_area
from helpers.measures.choices import compare_choices
from helpers.measures.layers import LayerRanks, rank_by_layer
from helpers.measures.parameters import (
    N_ACTIVE,
    compare_active_parameters,
    compare_inner_products,
    compare_partners,
    compare_with_control,
    jaccard,
    keep_largest,
    list_related_partners,
    mean_interval,
    top_item_recall,
    top_items,
)
from helpers.measures.published import compare_with_published, load_published
from helpers.measures.sweeps import DATA_SETS, correct_by_holm, tabulate_differences, tabulate_means
from helpers.measures.walks import (
    Realignment,
    VolumeComparison,
    compare_volumes,
    first_change,
    log_volumes,
    measure_realignment,
    prediction_changes,
    prediction_distance,
    probability_correlation,
    rank_correlation,
    ranking_changes,
)

__all__ = [
    "DATA_SETS",
    "N_ACTIVE",
    "LayerRanks",
    "Realignment",
    "VolumeComparison",
    "area_under_curve",
    "compare_active_parameters",
    "compare_choices",
    "compare_inner_products",
    "compare_partners",
    "compare_volumes",
    "compare_with_control",
    "compare_with_published",
    "correct_by_holm",
    "first_change",
    "jaccard",
    "keep_largest",
    "list_related_partners",
    "load_published",
    "log_volumes",
    "mean_area",
    "mean_interval",
    "measure_realignment",
    "prediction_changes",
    "prediction_distance",
    "probability_correlation",
    "rank_by_layer",
    "rank_correlation",
    "ranking_changes",
    "tabulate_differences",
    "tabulate_means",
    "top_item_recall",
    "top_items",
]

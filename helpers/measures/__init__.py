"""The papers' measures, one function each; scipy's wherever it has one."""

from helpers.measures.parameters import (
    ACTIVATED,
    activated_parameters,
    jaccard,
    keep_largest,
    kept_geometry,
    mean_interval,
    related_parameters,
    shared_items,
    top_items,
)
from helpers.measures.sweeps import (
    DATA,
    RANKING_CHANGES,
    STEP_DIFFERENCES,
    VOLUME_RATIOS,
    contrast,
    published,
    tabulate,
)
from helpers.measures.walks import (
    CatchUp,
    catch_up,
    explored_hypervolume,
    prediction_changes,
    rank_correlation,
    ranking_changes,
    value_distance,
    volume_ratio,
)

__all__ = [
    "ACTIVATED",
    "DATA",
    "RANKING_CHANGES",
    "STEP_DIFFERENCES",
    "VOLUME_RATIOS",
    "CatchUp",
    "activated_parameters",
    "catch_up",
    "contrast",
    "explored_hypervolume",
    "jaccard",
    "keep_largest",
    "kept_geometry",
    "mean_interval",
    "prediction_changes",
    "published",
    "rank_correlation",
    "ranking_changes",
    "related_parameters",
    "shared_items",
    "tabulate",
    "top_items",
    "value_distance",
    "volume_ratio",
]

"""The parameters of a model under the field's names, one file per family; the model is not run."""

from helpers.weights.base import KINDS, RELATED_KINDS, LayerWeights, Weights
from helpers.weights.factored import FactoredMatrix
from helpers.weights.loading import load_weights

__all__ = ["KINDS", "RELATED_KINDS", "FactoredMatrix", "LayerWeights", "Weights", "load_weights"]

"""A model's parameters by the field's names, one file an architecture; nothing is run."""

from helpers.weights.base import KINDS, PARTNERS, LayerWeights, Weights
from helpers.weights.factored import FactoredMatrix
from helpers.weights.loading import load_weights

__all__ = ["KINDS", "PARTNERS", "FactoredMatrix", "LayerWeights", "Weights", "load_weights"]

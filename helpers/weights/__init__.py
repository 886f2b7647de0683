"""The parameters of a model under the field's names, for all families; the model is not run."""

from helpers.weights.base import RELATED_KINDS, Weights
from helpers.weights.certificate import Certificate, certificate
from helpers.weights.difference import WeightsDifference, difference, merge_lora
from helpers.weights.factored import FactoredMatrix, Side
from helpers.weights.families import FAMILIES
from helpers.weights.layer import KINDS, LayerWeights
from helpers.weights.loading import load_weights, name_weights
from helpers.weights.norm import Norm

__all__ = [
    "FAMILIES",
    "KINDS",
    "RELATED_KINDS",
    "Certificate",
    "FactoredMatrix",
    "LayerWeights",
    "Norm",
    "Side",
    "Weights",
    "WeightsDifference",
    "certificate",
    "difference",
    "load_weights",
    "merge_lora",
    "name_weights",
]

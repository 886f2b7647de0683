"""Models as smooth maps: raw inputs and points, the output map, the feasible box, the names of the parts."""

from helpers.adapters.base import Adapter, PartsMap
from helpers.adapters.bert import BertAdapter, BertClassifierAdapter, BertMaskedAdapter
from helpers.adapters.gpt2 import GPT2Adapter, Trace
from helpers.adapters.text import TextAdapter
from helpers.adapters.toy import ToyAdapter
from helpers.adapters.vit import ViTAdapter, ViTPixelAdapter

__all__ = [
    "Adapter",
    "BertAdapter",
    "BertClassifierAdapter",
    "BertMaskedAdapter",
    "GPT2Adapter",
    "PartsMap",
    "TextAdapter",
    "ToyAdapter",
    "Trace",
    "ViTAdapter",
    "ViTPixelAdapter",
]

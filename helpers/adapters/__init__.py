"""Models as smooth maps: raw inputs and points, the output map, the feasible box, the names of the parts."""

from helpers.adapters.attention import attention_relevance, attention_rollout
from helpers.adapters.base import Adapter, PartsMap
from helpers.adapters.causal import CausalAdapter
from helpers.adapters.encoders import BertAdapter, EncoderAdapter
from helpers.adapters.families import FAMILIES, Family
from helpers.adapters.gpt2 import GPT2Adapter, Trace
from helpers.adapters.heads import Head
from helpers.adapters.images import ImageAdapter, ImagePixelAdapter, ViTAdapter
from helpers.adapters.loading import load_adapter
from helpers.adapters.model import ModelAdapter
from helpers.adapters.text import TextAdapter
from helpers.adapters.toy import ToyAdapter

__all__ = [
    "FAMILIES",
    "Adapter",
    "BertAdapter",
    "CausalAdapter",
    "EncoderAdapter",
    "Family",
    "GPT2Adapter",
    "Head",
    "ImageAdapter",
    "ImagePixelAdapter",
    "ModelAdapter",
    "PartsMap",
    "TextAdapter",
    "ToyAdapter",
    "Trace",
    "ViTAdapter",
    "attention_relevance",
    "attention_rollout",
    "load_adapter",
]

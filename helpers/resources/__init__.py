"""Models by name, the names of vocabulary items, the content filter, and the folder of the bundled files."""

from helpers.resources.checkpoints import ModelNotFoundError
from helpers.resources.content_filter import is_offensive
from helpers.resources.display import distinguish_names, token_names
from helpers.resources.models import (
    COUNTS,
    MEAN_POOLING,
    MODELS,
    bundled_models,
    data_folder,
    label_names,
    load_config,
    load_model,
    load_pretrained,
    load_tokenizer,
    make_random_model,
    resolve,
)

__all__ = [
    "COUNTS",
    "MEAN_POOLING",
    "MODELS",
    "ModelNotFoundError",
    "bundled_models",
    "data_folder",
    "distinguish_names",
    "is_offensive",
    "label_names",
    "load_config",
    "load_model",
    "load_pretrained",
    "load_tokenizer",
    "make_random_model",
    "resolve",
    "token_names",
]

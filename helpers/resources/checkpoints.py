"""What a checkpoint must hold: a configuration of the right kind, and weights that are all used, finite and floats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, PretrainedConfig
from transformers.utils import cached_file

FLOATS = ("F16", "BF16", "F32", "F64")  # how safetensors names numbers that are weights by themselves
NEVER_READ = ("mask_token", "masked_bias")  # stored beside weights: replaces masked patches in pretraining; a constant
SHOWN_KEYS = 3  # weights that a message names
NO_VOCABULARY = (
    "its tokenizer has no vocabulary: tokenizer.json (or vocab.txt, vocab.json with merges.txt, or tokenizer.model) is "
    "missing; copy it from the base model"
)


class ModelNotFoundError(RuntimeError):
    """No complete model of this name is bundled, in a local folder or on the hub."""


def missing_file(cls: Any, files: Collection[str]) -> str:
    """Say which file a class of transformers needs and does not find among the files of a checkpoint; "" if none."""
    if "config.json" not in files:
        return "config.json is missing"
    if cls is AutoImageProcessor:
        found = {"preprocessor_config.json", "processor_config.json"} & set(files)
        return "" if found else "preprocessor_config.json is missing; copy it from the base model"
    if cls is AutoTokenizer:
        found = {file for file in files if file.startswith(("tokenizer.json", "vocab")) or file.endswith(".model")}
        return "" if found else NO_VOCABULARY
    if cls is AutoConfig or any(file.startswith("model.safetensors") for file in files):
        return ""
    if any(file.startswith("pytorch_model") for file in files):
        return (
            "its weights are in pytorch_model.bin, but only safetensors are read, because other files can run code; "
            "save it again with save_pretrained"
        )
    return "model.safetensors is missing; copy it from the base model"


def check_vocabulary(tokenizer: Any) -> None:
    """Raise a ValueError for a tokenizer of special tokens only, as transformers makes it where files are missing."""
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        raise ValueError(NO_VOCABULARY)


def check_config(name: str, cls: Any, config: PretrainedConfig) -> None:
    """Raise an error unless a configuration is one of the model's class; see ``check_settings`` too."""
    if config.model_type != cls.config_class.model_type:
        raise ValueError(
            f"name={name!r}: is a {config.model_type!r} model, wanted {cls.config_class.model_type!r} ({cls.__name__})"
        )
    check_settings(name, config)


def check_settings(name: str, config: PretrainedConfig) -> None:
    """Raise an error if a configuration is one of quantized weights or has no layers."""
    if getattr(config, "quantization_config", None):
        refuse_quantized(name, "config.json has a quantization_config")
    layers = min(getattr(part, "num_hidden_layers", 1) for part in (config, getattr(config, "vision_config", config)))
    if layers < 1:
        raise ModelNotFoundError(f"{name!r}: its config.json says num_hidden_layers={layers}, wanted at least 1")


def refuse_quantized(name: str, evidence: str) -> None:
    """Raise the ValueError for quantized weights, which are no numbers without their scales."""
    raise ValueError(
        f"name={name!r}: its weights are quantized ({evidence}), wanted float16, bfloat16, float32 or float64 weights; "
        "load the model from which it was made"
    )


def check_weights(name: str, source: str, model: Any, report: Mapping[str, Iterable[Any]]) -> None:
    """Raise an error unless the weights of a checkpoint are those of its configuration, floats and finite.

    The report is that of ``from_pretrained``: which weights have another shape, are missing, or are not used.

    Raises:
        ModelNotFoundError: weights that do not fit the configuration, or are not finite.
        ValueError: weights that are quantized.
    """
    _check_number_types(name, source)
    if mismatched := sorted(report["mismatched_keys"]):
        key, stored, expected = mismatched[0]
        raise ModelNotFoundError(
            f"{name!r}: its weights do not fit its config.json: {key} is {tuple(stored)} in the file, and "
            f"{tuple(expected)} by the configuration"
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelNotFoundError(
            f"{name!r} is no complete {type(model).__name__}: it has no weights for {_first_keys(missing)}"
        )
    if unused := sorted(key for key in report["unexpected_keys"] if not _belongs_elsewhere(key, model)):
        raise ModelNotFoundError(
            f"{name!r}: its file has more layers or weights than its config.json says, such as {_first_keys(unused)}; "
            "correct the configuration"
        )
    for key, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise ModelNotFoundError(f"{name!r}: its weights in {key} are not finite; the file is damaged")


def _first_keys(keys: list[str]) -> str:
    """Name the first of many weights, and say how many more there are."""
    more = f" and {len(keys) - SHOWN_KEYS:,} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more


def _check_number_types(name: str, source: str) -> None:
    """Raise a ValueError if a matrix of weights is stored as integers or as 8-bit floats, which need scales."""
    folder = Path(str(cached_file(source, "config.json", local_files_only=True))).parent
    for file in folder.glob("model*.safetensors"):
        with safe_open(file, "pt") as weights:
            for key in weights.keys():  # noqa: SIM118, it is no dictionary
                kind = weights.get_slice(key).get_dtype()
                if key.endswith("weight") and kind not in FLOATS:
                    refuse_quantized(name, f"{key} has numbers of the type {kind}")


def _belongs_elsewhere(key: str, model: Any) -> bool:
    """Say whether a stored weight that the model does not use may be left out.

    It may if it belongs to another head, to a part of the body that only other heads need, such as a pooler, or if it
    is a buffer that the model computes. All other weights of the body and of the model's own head must be used.
    """
    body, prefix = model.base_model, f"{model.base_model_prefix}."
    path = key.removeprefix(prefix).split(".")
    is_in_body = key.startswith(prefix) or hasattr(body, path[0])
    root = body if is_in_body else model
    modules = dict(root.named_modules())
    depth = max(i for i in range(len(path)) if ".".join(path[:i]) in modules)
    owner, part = modules[".".join(path[:depth])], path[depth]
    if depth == len(path) - 1:  # a tensor of a module that the model has
        return part in NEVER_READ or isinstance(getattr(owner, part, None), torch.Tensor) or not (is_in_body or depth)
    if is_in_body:  # only a part that the body is made without
        return owner is body and hasattr(body, part)
    return True

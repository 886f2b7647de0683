"""Models by name: bundled with the project, in a local folder, or on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from helpers.resources.locations import data_folder

transformers_logging.disable_progress_bar()  # bars over in a blink; the hub's download bars stay

MODELS = data_folder() / "models"
COUNTS = "token_counts.safetensors"  # beside a bundled GPT-2: how often its training text has each token


class ModelNotFoundError(RuntimeError):
    """A model is neither bundled, nor a local folder, nor to be had from the hub."""


def bundled_models() -> list[str]:
    """List the names of the models that come with the project."""
    return sorted(folder.name for folder in MODELS.iterdir() if (folder / "config.json").is_file())


def resolve(name: str | Path) -> str:
    """Turn a bundled name, a local folder or a hub id into what ``from_pretrained`` takes.

    Raises:
        ValueError: the name is empty.
    """
    if not str(name).strip():
        raise ValueError(
            f"name={name!r}: must be a bundled model ({', '.join(bundled_models())}), a folder or a hub id"
        )
    bundled = MODELS / str(name)
    return str(bundled if (bundled / "config.json").is_file() else name)


def load_pretrained(cls: Any, name: str | Path, **options: Any) -> Any:
    """Load a model, configuration, tokenizer or processor by bundled name, local folder or hub id.

    Only safetensors weights are read and no code that comes with a model is run. A copy in the hub's local cache
    is used as it is.

    Args:
        cls: a transformers class with ``from_pretrained``.
        name: bundled name, folder or hub id.
        options: passed on.

    Raises:
        ModelNotFoundError: nothing is there, or the hub cannot be reached; one line says what to do.
    """
    source = resolve(name)
    try:
        return cls.from_pretrained(source, trust_remote_code=False, local_files_only=True, **options)
    except (OSError, ValueError, SafetensorError) as error:
        if Path(source).exists():
            raise ModelNotFoundError(f"cannot load the folder {str(name)!r}: {_first_line(error)}") from error
    _check_hub(str(name))
    return cls.from_pretrained(source, trust_remote_code=False, **options)


def _check_hub(name: str) -> None:
    """Raise a ModelNotFoundError of one line unless the hub answers and has a model of that name."""
    try:
        HfApi().model_info(name, timeout=10)
    except (HfHubHTTPError, HFValidationError):
        problem = "the hub has no such model (or it is private)"
    except Exception as error:  # every transport has network errors of its own
        problem = f"the hub cannot be reached ({type(error).__name__})"
    else:
        return
    raise ModelNotFoundError(
        f"cannot load {name!r}: no folder of that name, not in the local cache, and {problem}; "
        f"bundled with the project, no network needed: {', '.join(bundled_models())}"
    ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def load_model(
    cls: Any, name: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> torch.nn.Module:
    """Load a model in evaluation mode, frozen, with attention that can be differentiated in batches.

    Args:
        cls: a transformers class with ``from_pretrained``.
        name: bundled name, folder or hub id.
        device: "cpu", "cuda" or "mps".
        dtype: float32, or float64 where the device has it.

    Raises:
        ModelNotFoundError: there is no such model, or it lacks some of the class's weights.
        ValueError: a precision in which no tolerance can be held.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype={dtype}: must be torch.float32 or torch.float64, walks need their precision")
    options = {"use_safetensors": True, "dtype": dtype, "attn_implementation": "eager"}
    model, report = load_pretrained(cls, name, output_loading_info=True, **options)
    absent = sorted({*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])})
    if absent:
        raise ModelNotFoundError(
            f"{str(name)!r} is no complete {cls.__name__}: it has no weights for {', '.join(absent)}"
        )
    return model.to(device).eval().requires_grad_(False)

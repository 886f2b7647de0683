"""Where the bundled files lie, and models by name: bundled, from a local folder, or from the hub."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig
from transformers.utils import logging as transformers_logging


def data_folder() -> Path:
    """Return the folder of the bundled models, sentences and results: inside a wheel, beside the package in a clone."""
    package = Path(__file__).resolve().parents[1]
    return package / "data" if (package / "data").is_dir() else package.parent / "data"


MODELS = data_folder() / "models"  # the folder of the bundled models
COUNTS = "token_counts.safetensors"  # beside a bundled GPT-2: how often each token occurs in its training text
MEAN_POOLING = "mean"  # state_pooling in the configuration of a GPT-2 that classifies by the mean of its states
HUB_TIMEOUT = 10  # seconds to wait for the hub before it counts as unreachable

AnyModel = TypeVar("AnyModel", bound=torch.nn.Module)


class ModelNotFoundError(RuntimeError):
    """No complete model of this name is bundled, in a local folder or on the hub."""


def bundled_models() -> list[str]:
    """List the names of the models that come with the project."""
    return sorted(folder.name for folder in MODELS.iterdir() if (folder / "config.json").is_file())


def resolve(name: str | Path) -> str:
    """Turn a bundled name, a local folder or a hub id into the source that ``from_pretrained`` takes.

    Raises:
        ValueError: the name is empty or no text, or belongs to a bundled model and to a folder here at once, or to a
            file.
    """
    if not isinstance(name, (str, Path)) or not str(name).strip():
        raise ValueError(
            f"name={name!r}: is no name; give a bundled model ({', '.join(bundled_models())}), a folder or a hub id"
        )
    if Path(name).is_file():
        raise ValueError(f"name={str(name)!r}: is a file; give the folder that holds config.json and the weights")
    if name not in bundled_models():
        return str(name)
    if (Path(name) / "config.json").is_file() and not Path(name).samefile(MODELS / name):
        raise ValueError(
            f"name={name!r}: is a bundled model and a folder here; write './{name}' for the folder, or "
            f"{str(MODELS / name)!r} for the bundled one"
        )
    return str(MODELS / name)


def load_pretrained(cls: Any, name: str | Path, **options: Any) -> Any:
    """Load a model, configuration, tokenizer or processor by bundled name, local folder or hub id.

    The class is one of transformers; the options are further arguments of its ``from_pretrained``. No code that comes
    with a model is run. A copy in the hub's local cache is used without asking the hub for a newer one.

    Raises:
        ModelNotFoundError: no such model exists, it cannot be read, or the hub cannot be reached.
        ValueError: the name is empty.
    """
    source = resolve(name)
    with _hidden_progress_bars():
        try:
            return cls.from_pretrained(source, trust_remote_code=False, local_files_only=True, **options)
        except Exception as error:  # transformers, tokenizers and safetensors each have error types of their own
            if Path(source).exists():
                raise ModelNotFoundError(f"cannot load the folder {str(name)!r}: {_first_line(error)}") from error
        _check_hub(str(name))
        try:
            return cls.from_pretrained(source, trust_remote_code=False, **options)
        except Exception as error:
            raise ModelNotFoundError(f"cannot load {str(name)!r} from the hub: {_first_line(error)}") from error


@contextmanager
def _hidden_progress_bars() -> Iterator[None]:
    """Hide the progress bars of transformers while a model is read; the hub's download bars stay."""
    previous_hook = transformers_logging.set_tqdm_hook(
        lambda factory, args, kwargs: transformers_logging.EmptyTqdm(*args, **kwargs)
    )
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(previous_hook)


def _check_hub(name: str) -> None:
    try:
        HfApi().model_info(name, timeout=HUB_TIMEOUT)
    except HFValidationError:
        problem = "the hub has no such model (or it is private)"
    except HfHubHTTPError as error:
        problem = _hub_problem(error.response.status_code)
    except Exception as error:  # every transport has its own network errors
        problem = f"the hub cannot be reached ({type(error).__name__})"
    else:
        return
    raise ModelNotFoundError(
        f"cannot load {name!r}: there is no folder of that name, it is not in the local cache, and {problem}; "
        f"bundled models, which need no network: {', '.join(bundled_models())}"
    ) from None


def _hub_problem(status: int) -> str:
    """Say what an error code of the hub means."""
    problems = {
        401: "the hub has no such model (or it is private)",
        403: "the hub refuses access (error 403): accept the model's terms there, and log in",
        404: "the hub has no such model (or it is private)",
        429: "the hub answers too many requests (error 429): try again later, or log in",
    }
    return problems.get(status, f"the hub has a problem of its own (error {status}): try again later")


def _first_line(error: Exception) -> str:
    """Shorten another library's error to its first line, or to its type if it has no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_config(name: str | Path, supported: Mapping[str, Collection[str]]) -> tuple[PretrainedConfig, str]:
    """Load a model's configuration and check that its architecture is a supported one.

    ``supported`` has the names of model classes per model type, such as {"bert": ["BertForMaskedLM"]}; an empty
    collection accepts every class of that type.

    Returns:
        The configuration, and the name of the model's class ("" where the configuration names none).

    Raises:
        ModelNotFoundError: as in ``load_pretrained``.
        ValueError: another architecture.
    """
    config = load_pretrained(AutoConfig, name)
    head = (config.architectures or [""])[0]
    heads = supported.get(config.model_type)
    if heads and not head:
        raise ValueError(
            f"name={str(name)!r}: its config.json has no 'architectures', so its head is not known; add one of "
            f"{', '.join(heads)}"
        )
    if heads is None or (heads and head not in heads):
        wanted = " or ".join(
            repr(kind) + (f" with one of {', '.join(classes)}" if classes else "")
            for kind, classes in supported.items()
        )
        with_head = f" with head {head!r}" if head else ""
        raise ValueError(f"name={str(name)!r}: is a {config.model_type!r} model{with_head}, wanted {wanted}")
    return config, head


def load_model(
    cls: type[AnyModel], name: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> AnyModel:
    """Load a model in evaluation mode, frozen, with attention that can be differentiated in batches.

    Only safetensors weights are read. The device is "cpu", "cuda" or "mps", the precision torch.float32, or
    torch.float64 where the device supports it.

    Raises:
        ModelNotFoundError: no such model exists, or its weights do not fit its configuration or are not finite.
        ValueError: a precision in which a walk cannot hold its tolerance.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype={dtype}: must be torch.float32 or torch.float64, because walks need the precision")
    options = {"use_safetensors": True, "dtype": dtype, "attn_implementation": "eager"}
    with _without_reports():
        model, report = load_pretrained(cls, name, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    _check_weights(str(name), model, report)
    return model.to(device).eval().requires_grad_(False)


def _check_weights(name: str, model: torch.nn.Module, report: Mapping[str, Iterable[Any]]) -> None:
    """Raise a ModelNotFoundError unless the weights of a file are those of the configuration, and finite."""
    kind = type(model).__name__
    if mismatched := sorted(report["mismatched_keys"]):
        key, stored, expected = mismatched[0]
        raise ModelNotFoundError(
            f"{name!r}: its weights do not fit its config.json: {key} is {tuple(stored)} in the file, and "
            f"{tuple(expected)} by the configuration"
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelNotFoundError(f"{name!r} is no complete {kind}: it has no weights for {', '.join(missing)}")
    patterns = {re.sub(r"\.\d+\.", ".N.", key) for key in model.state_dict()}
    layers = sorted(key for key in report["unexpected_keys"] if re.sub(r"\.\d+\.", ".N.", key) in patterns)
    if layers:
        raise ModelNotFoundError(
            f"{name!r}: its file has more layers than its config.json says, such as {layers[-1]}; correct the "
            "number of layers there"
        )
    for key, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise ModelNotFoundError(f"{name!r}: its weights in {key} are not finite; the file is damaged")


@contextmanager
def _without_reports() -> Iterator[None]:
    """Hide what transformers logs about the weights that it loads, because ours are errors of one line."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def load_tokenizer(name: str | Path) -> Any:
    """Load a model's own tokenizer.

    Raises:
        ModelNotFoundError: as in ``load_pretrained``, or its vocabulary is missing.
    """
    tokenizer = load_pretrained(AutoTokenizer, name)
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) < 2:
        raise ModelNotFoundError(
            f"{str(name)!r} has no vocabulary: tokenizer.json (or vocab.txt, vocab.json with merges.txt, or "
            "tokenizer.model) is missing beside its weights"
        )
    return tokenizer


def label_names(config: PretrainedConfig) -> list[str]:
    """List the names of a classifier's labels in the order of its outputs."""
    labels = {int(index): str(label) for index, label in (config.id2label or {}).items()}
    return [labels[index] for index in sorted(labels)]

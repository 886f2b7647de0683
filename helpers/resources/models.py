"""Where the bundled files lie, and models by name: bundled, from a local folder, or from the hub."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import transformers
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer, PretrainedConfig
from transformers.utils import logging as transformers_logging

from helpers.resources.checkpoints import (
    ModelNotFoundError,
    check_config,
    check_vocabulary,
    check_weights,
    missing_file,
)
from helpers.resources.display import distinguish_names


def data_folder() -> Path:
    """Return the folder of the bundled models, sentences and results: inside a wheel, beside the package in a clone."""
    package = Path(__file__).resolve().parents[1]
    return package / "data" if (package / "data").is_dir() else package.parent / "data"


MODELS = data_folder() / "models"  # the folder of the bundled models
COUNTS = "token_counts.safetensors"  # beside a bundled GPT-2: how often each token occurs in its training text
MEAN_POOLING = "mean"  # state_pooling in the configuration of a GPT-2 that classifies by the mean of its states
HUB_TIMEOUT = 10  # seconds to wait for the hub before it counts as unreachable

LOADING = threading.RLock()  # transformers changes settings of the whole process while it loads: one thread at a time

AnyModel = TypeVar("AnyModel", bound=torch.nn.Module)


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
    if str(name) not in bundled_models():
        return str(name)
    if (Path(name) / "config.json").is_file() and not Path(name).samefile(MODELS / name):
        raise ValueError(
            f"name={str(name)!r}: is a bundled model and a folder here; write './{name}' for the folder, or "
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
    with LOADING, _hidden_progress_bars():
        try:
            return _read(cls, source, local_files_only=True, **options)
        except Exception as error:  # transformers, tokenizers and safetensors each have error types of their own
            if Path(source).exists():
                problem = missing_file(cls, [file.name for file in Path(source).iterdir()]) or _first_line(error)
                raise ModelNotFoundError(f"cannot load the folder {str(name)!r}: {problem}") from error
        files = _ask_hub(str(name))
        try:
            return _read(cls, source, **options)
        except Exception as error:
            problem = missing_file(cls, files) or _first_line(error)
            raise ModelNotFoundError(f"cannot load {str(name)!r} from the hub: {problem}") from error


def _read(cls: Any, source: str, **options: Any) -> Any:
    """Call ``from_pretrained``; a tokenizer without a vocabulary is an error too."""
    loaded = cls.from_pretrained(source, trust_remote_code=False, **options)
    if cls is AutoTokenizer:
        check_vocabulary(loaded)
    return loaded


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


def _ask_hub(name: str) -> list[str]:
    """List the files that the hub has of a model.

    Raises:
        ModelNotFoundError: the hub has no such model, refuses, or cannot be reached.
    """
    try:
        return [file.rfilename for file in HfApi().model_info(name, timeout=HUB_TIMEOUT).siblings or ()]
    except HFValidationError:
        problem = "the hub has no such model (or it is private)"
    except HfHubHTTPError as error:
        problem = _hub_problem(error.response.status_code)
    except Exception as error:  # every transport has its own network errors
        problem = f"the hub cannot be reached ({type(error).__name__})"
    raise ModelNotFoundError(
        f"cannot load {name!r}: there is no folder of that name, it is not complete in the local cache, and {problem}; "
        f"bundled models, which need no network: {', '.join(bundled_models())}"
    ) from None


def _hub_problem(status: int) -> str:
    """Say what an error code of the hub means."""
    problems = {
        401: "the hub has no such model (or it is private)",
        403: "the hub refuses access (error 403): accept the model's terms there, and log in",
        404: "the hub has no such model (or it is private)",
        410: "the hub no longer has this model (error 410)",
        429: "the hub answers too many requests (error 429): try again later, or log in",
        451: "the hub may not offer this model for legal reasons (error 451)",
    }
    if status in problems:
        return problems[status]
    if status < 500:
        return f"the hub refuses the request (error {status})"
    return f"the hub has a problem of its own (error {status}): try again later"


def _first_line(error: Exception) -> str:
    """Shorten another library's error to its first line, or to its type if it has no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_config(
    name: str | Path, supported: Mapping[str, Collection[str]], advice: str = ""
) -> tuple[PretrainedConfig, str]:
    """Load a model's configuration and check that its architecture is a supported one.

    ``supported`` has the names of model classes per model type, such as {"bert": ["BertForMaskedLM"]}. The
    advice ends the message about another architecture.

    Returns:
        The configuration, and the name of the model's class.

    Raises:
        ModelNotFoundError: as in ``load_pretrained``.
        ValueError: another architecture.
    """
    config = load_pretrained(AutoConfig, name)
    kind, head = config.model_type, (config.architectures or [""])[0]
    heads = supported.get(kind, ())
    if heads and not head:
        raise ValueError(
            f"name={str(name)!r}: its config.json has no 'architectures', so its head is not known; add one of "
            f"{', '.join(heads)}"
        )
    if head not in heads:
        with_head = f" with head {head!r}" if head else ""
        encoder_decoder = ", an encoder-decoder" if getattr(config, "is_encoder_decoder", False) else ""
        families = {kind: heads} if heads else supported
        described = [f"{family!r} with one of {', '.join(names)}" for family, names in families.items()]
        wanted = described[0] if len(families) == 1 else f"one of {', '.join(families)}"
        raise ValueError(
            f"name={str(name)!r}: is a {kind!r} model{with_head}{encoder_decoder}, wanted {wanted}{advice}"
        )
    return config, head


def check_device(device: str | torch.device, dtype: torch.dtype) -> torch.device:
    """Return a device that this machine has.

    Raises:
        ValueError: no such device, or one that does not support the precision.
    """
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={device!r}: is no device; wanted 'cpu', 'cuda' or 'mps'") from None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if chosen.type not in counts:
        raise ValueError(f"device={str(device)!r}: wanted 'cpu', 'cuda' or 'mps'")
    if (chosen.index or 0) >= counts[chosen.type]:
        devices = ", ".join(kind for kind, count in counts.items() if count)
        raise ValueError(f"device={str(device)!r}: this machine has no such device; it has {devices}")
    if chosen.type == "mps" and dtype == torch.float64:
        raise ValueError(f"device={str(device)!r}: does not support torch.float64; use torch.float32, or 'cpu'")
    return chosen


def load_model(
    cls: type[AnyModel], name: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> AnyModel:
    """Load a model in evaluation mode, frozen, with attention that can be differentiated in batches.

    Only safetensors weights are read. A body is loaded without its pooler, which follows the last state and which many
    files lack. The device is "cpu", "cuda" or "mps", the precision torch.float32, or
    torch.float64 where the device supports it.

    Raises:
        ModelNotFoundError: no such model exists, or its weights do not fit its configuration or are not finite.
        ValueError: another architecture, quantized weights, a device that this machine does not have, or a precision
            in which a walk cannot hold its tolerance.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype={dtype}: must be torch.float32 or torch.float64, because walks need the precision")
    device = check_device(device, dtype)
    check_config(str(name), cls, load_pretrained(AutoConfig, name))
    options = {"use_safetensors": True, "dtype": dtype, "attn_implementation": "eager"}
    if "add_pooling_layer" in inspect.signature(cls).parameters:
        options["add_pooling_layer"] = False
    with LOADING, _without_reports():
        model, report = load_pretrained(cls, name, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    check_weights(str(name), resolve(name), model, report)
    return model.to(device).eval().requires_grad_(False)


@contextmanager
def _without_reports() -> Iterator[None]:
    """Hide what transformers logs about the weights that it loads, because ours are errors of one line."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def make_random_model(name: str | Path, folder: str | Path, seed: int) -> str:
    """Write a model with the configuration of another and random weights: a control without training.

    The weights are those with which the library would begin its training. Load it by the folder that is returned.

    Raises:
        ModelNotFoundError: as in ``load_pretrained``.
    """
    config = load_pretrained(AutoConfig, name)
    reader = AutoImageProcessor if hasattr(config, "image_size") else AutoTokenizer
    with LOADING, _hidden_progress_bars(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        getattr(transformers, config.architectures[0])(config).float().save_pretrained(folder)
    load_pretrained(reader, name).save_pretrained(folder)
    return str(folder)


def load_tokenizer(name: str | Path) -> Any:
    """Load a model's own tokenizer; errors as in ``load_pretrained``, or its vocabulary is missing."""
    return load_pretrained(AutoTokenizer, name)


def label_names(config: PretrainedConfig) -> list[str]:
    """List the names of a classifier's labels in the order of its outputs, equal ones with their indices."""
    labels = {int(index): str(label) for index, label in (config.id2label or {}).items()}
    return distinguish_names(labels[index] for index in sorted(labels))

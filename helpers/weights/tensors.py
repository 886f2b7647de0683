"""The tensors of a model's safetensors files by name, mapped into memory: nothing is read before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

LEGACY_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}  # of the norms in the oldest BERT files


class TensorFiles(dict[str, Tensor]):
    """Tensors by their names in the files, in the data type of the files."""

    @classmethod
    def from_pretrained(cls, source: str, device: str | torch.device = "cpu", **options: Any) -> Self:
        """Open the files of a folder or hub id, one file or several with an index.

        On the CPU a tensor is read when it is used; on another device all are copied there. A tensor may be edited; the
        file does not change.

        Raises:
            OSError: there are no safetensors files.
        """
        options.pop("trust_remote_code")  # no code is in these files
        index = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False, **options)
        names = [SAFE_WEIGHTS_NAME]
        if index is not None:
            with open(index, encoding="utf-8") as file:
                names = sorted(set(json.load(file)["weight_map"].values()))
        tensors = cls()
        for name in names:
            with safe_open(cached_file(source, name, **options), "pt", device=str(device)) as file:
                tensors.update({_modern_name(key): file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        return tensors


def _modern_name(name: str) -> str:
    ending = name[name.rfind(".") :]
    return name.removesuffix(ending) + LEGACY_ENDINGS.get(ending, ending)


def strip_prefix(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors under names without the prefix of the body: what stands before a part of it, or nothing."""
    prefix = next((name.removesuffix(part) for name in tensors if name.endswith(part)), "")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}

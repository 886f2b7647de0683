"""What the results of a sweep depend on, as fingerprints: weights and inputs, and the code."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.sweep.grid import LoadedAdapter, Subject
from helpers.sweep.inputs import load_subject

FINGERPRINT_DIGITS = 12  # hex digits, 48 bits: an accidental match is out of the question
CODE = (  # the modules that make and measure walks, not those that tabulate or run a sweep
    "adapters/*.py",
    "equivalence/*.py",
    "geometry/*.py",
    "measures/walks.py",
    *(f"sweep/{module}.py" for module in ("algorithms", "cells", "grid", "inputs", "measuring")),
)


def compute_fingerprint(subject: Subject, count: int) -> str:
    """Hash the weights of a subject's model and ``count`` of its inputs, as they are on disk now.

    The fingerprint is the same on every device. A change of the code, of a tokenizer or of other settings of the
    model does not change it.
    """
    return hash_weights_and_inputs(*load_subject.__wrapped__(replace(subject, device="cpu"), count))


def hash_weights_and_inputs(adapter: LoadedAdapter, inputs: Sequence[Any]) -> str:
    """Hash the weights of a model, with their names, and raw inputs."""
    digest = hashlib.sha256()
    for name, weight in adapter.model.state_dict().items():
        digest.update(name.encode() + weight.cpu().numpy().tobytes())
    for raw in inputs:
        plain = raw.convert("RGBA") if isinstance(raw, Image.Image) else raw
        digest.update(b"\0" + (plain.encode() if isinstance(plain, str) else np.asarray(plain).tobytes()))
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


@functools.cache
def hash_code() -> str:
    """Hash the code that makes and measures walks, without its comments and docstrings; equal in every Python."""
    digest, package = hashlib.sha256(), Path(__file__).resolve().parents[1]
    for file in sorted(file for pattern in CODE for file in package.glob(pattern)):
        digest.update(f"{file.name}{_describe(ast.parse(file.read_text()))}".encode())
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def _describe(node: Any) -> str:
    """Write a syntax tree as text. Empty fields are left out, as newer Pythons have more of them."""
    if isinstance(node, list):
        return "".join(f"{_describe(item)}," for item in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return ""  # a docstring
    fields = [f"{name}={_describe(value)};" for name, value in ast.iter_fields(node) if value not in (None, [], "")]
    return f"{type(node).__name__}({''.join(fields)})"

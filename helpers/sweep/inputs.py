"""The models and inputs of a sweep, loaded and checked."""

from __future__ import annotations

import copy
import functools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.adapters import TextAdapter
from helpers.sweep.grid import ADAPTERS, INPUTS, TARGET_WORDS, LoadedAdapter, Subject

CACHED_SUBJECTS = 4  # models that a worker keeps in memory; the paper's sweep has four


def choose_inputs(name: str, count: int) -> dict[str, Any]:
    """Choose ``count`` evenly spread texts, arrays or image files, keyed by their labels in error messages.

    Raises:
        ValueError: the data set, folder or text file has fewer inputs.
    """
    inputs: Sequence[Any] | np.ndarray
    if name in INPUTS:
        inputs = INPUTS[name]()
    elif Path(name).is_dir():
        endings = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
        inputs = sorted(file for file in Path(name).iterdir() if file.suffix.lower() in endings)
    else:
        inputs = [line for line in Path(name).read_text().splitlines() if line.strip()]
    total = len(inputs)
    if not total:
        raise ValueError(f"inputs={name!r}: contains no image and no sentence")
    if total < count:
        raise ValueError(f"inputs={name!r}: contains {total} inputs, but {count} were requested; try --inputs {total}")
    # a copy, because a view of one image would keep the whole data set in memory
    indices = [i * total // count for i in range(count)]
    return {_label(inputs[i], f"number {i + 1} of {total}"): copy.copy(inputs[i]) for i in indices}


def _label(raw: Any, number: str) -> str:
    if isinstance(raw, Path):
        return str(raw)
    return f"{number}, {textwrap.shorten(raw, 40, placeholder=' …')!r}," if isinstance(raw, str) else number


@functools.lru_cache(maxsize=CACHED_SUBJECTS)
def load_subject(subject: Subject, count: int) -> tuple[LoadedAdapter, list[Any]]:
    """Load the model of a subject and ``count`` of its inputs; a worker keeps the most recent ones in memory.

    Raises:
        ValueError: there are fewer inputs, or an input cannot be read or encoded; the message names it.
    """
    adapter = ADAPTERS[subject.adapter].load(subject.model, device=subject.device)
    inputs: list[Any] = []
    for label, raw in choose_inputs(subject.inputs, count).items():
        try:
            inputs.append(_read_image(raw) if isinstance(raw, Path) else raw)
            adapter.encode(inputs[-1])
        except Exception as error:  # Pillow and the tokenizers raise many kinds of error
            raise ValueError(f"inputs={subject.inputs!r}: {label} cannot be read ({error})") from error
    return adapter, inputs


def find_target_word(adapter: TextAdapter, subject: Subject, index: int, count: int) -> list[int]:
    """Return the positions of the tokens of the target word of the input ``index`` of ``count``.

    Raises:
        ValueError: the text does not have its target word.
    """
    words, texts = TARGET_WORDS[subject.inputs](), INPUTS[subject.inputs]()
    number = index * len(texts) // count
    text, word = str(texts[number]), words[number]
    begin = text.lower().find(word)
    if begin < 0:
        raise ValueError(f"inputs={subject.inputs!r}: {text!r} does not contain its target word, {word!r}")
    spans = adapter.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    end = begin + len(word)
    return [position for position, (first, last) in enumerate(spans) if first < end and last > begin]


def _read_image(file: Path) -> Image.Image:
    with Image.open(file) as image:
        image.load()
    return image

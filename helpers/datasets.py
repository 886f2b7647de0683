"""Public data sets: from a local folder, from the hub, or bundled with scikit-learn.

Set the environment variable ``HELPERS_DATASETS`` to a folder with one sub-folder a data set
(``mnist/train-00000-of-00001.parquet`` and so on) to read local copies; without it the
same files are read from the Hugging Face hub.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from helpers.resources import data_folder

HUB_FILES = {
    "mnist": "ylecun/mnist/mnist/{split}-00000-of-00001.parquet",
    "cifar10": "uoft-cs/cifar10/plain_text/{split}-00000-of-00001.parquet",
    "imdb": "stanfordnlp/imdb/plain_text/{split}-00000-of-00001.parquet",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes/{split}.parquet",
}

SENTENCES = data_folder() / "sentences.csv"
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS_HELD_OUT = 5  # every fifth digit of each class is held out


class DatasetNotFoundError(RuntimeError):
    """A data set is neither in the local folder nor reachable on the hub."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels.

    Attributes:
        images: (N, H, W) grey, 0 is background and 1 is full ink, or (N, 3, H, W) red, green and blue; float32.
        labels: (N,) int64.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        height, width = self.images.shape[-2:]
        return f"LabelledImages({len(self)} images of {height} x {width}, labels {sorted(set(self.labels.tolist()))})"


def read_table(name: str, split: str) -> pd.DataFrame:
    """Read one split of a public data set as a table.

    Args:
        name: one of ``HUB_FILES`` ("mnist", "imdb", ...).
        split: "train", "test", ... as the hub names it.

    Returns:
        The rows of the Parquet file.

    Raises:
        ValueError: for an unknown name.
        DatasetNotFoundError: neither the local folder nor the hub has it.
    """
    if name not in HUB_FILES:
        raise ValueError(f"name={name!r}: no such data set; known are {sorted(HUB_FILES)}")
    hub_file = HUB_FILES[name].format(split=split)
    folder = os.environ.get("HELPERS_DATASETS")
    if folder:
        local = Path(folder) / name / Path(hub_file).name
        if local.is_file():
            return pd.read_parquet(local)
    try:
        return pd.read_parquet(f"hf://datasets/{hub_file}")
    except Exception as error:
        looked = (
            f"HELPERS_DATASETS={folder!r} has no {name}/{Path(hub_file).name}"
            if folder
            else ("HELPERS_DATASETS is not set")
        )
        raise DatasetNotFoundError(
            f"data set {name!r} ({split}): {looked}, and the hub cannot be read ({type(error).__name__}); "
            "name a local folder in HELPERS_DATASETS or connect to the network"
        ) from error


def read_sentences(kind: str) -> pd.DataFrame:
    """Read our own sentences, which come with the project.

    Args:
        kind: "review" (columns text, label: 1 positive, 0 negative) or "occupation" (text with one [MASK], occupation).

    Raises:
        ValueError: for another kind.
    """
    table = pd.read_csv(SENTENCES)
    if kind not in set(table["kind"]):
        raise ValueError(f"kind={kind!r}: must be one of {sorted(set(table['kind']))}")
    return table[table["kind"] == kind].dropna(axis=1).drop(columns="kind").reset_index(drop=True)


def load_winobias() -> pd.DataFrame:
    """Load WinoBias (Zhao et al. 2018, type 1, development part) with the pronoun masked, where it is at hand.

    Returns:
        Columns text (one [MASK]), pronoun, occupation (the pronoun's), stereotype (pro or anti).

    Raises:
        DatasetNotFoundError: HELPERS_DATASETS names no folder that has it.
    """
    folder = Path(os.environ.get("HELPERS_DATASETS", "")) / "winobias"
    rows = []
    for stereotype in ("pro", "anti"):
        path = folder / f"{stereotype}_stereotyped_type1.txt.dev"
        if not path.is_file():
            raise DatasetNotFoundError(f"data set 'winobias': no {path.name} in a folder that HELPERS_DATASETS names")
        for line in path.read_text().splitlines():
            occupation, pronoun, *more = re.findall(r"\[(.+?)\]", line)
            if more:  # a second pronoun would tell the first
                continue
            text = re.sub(r"^\d+ ", "", line).replace(f"[{pronoun}]", "[MASK]").replace(f"[{occupation}]", occupation)
            rows.append((text, pronoun, occupation.lower().removeprefix("the ").removeprefix("a "), stereotype))
    return pd.DataFrame(rows, columns=["text", "pronoun", "occupation", "stereotype"])


def load_mnist(split: str) -> LabelledImages:
    """Load MNIST ("train": 60,000 images, "test": 10,000) as 28 x 28 grey images."""
    table = read_table("mnist", split)
    images = [np.asarray(Image.open(io.BytesIO(cell["bytes"])), dtype=np.float32) / 255 for cell in table["image"]]
    return LabelledImages(np.stack(images), table["label"].to_numpy(dtype=np.int64, copy=True))


def load_cifar10(split: str) -> LabelledImages:
    """Load CIFAR10 ("train": 50,000 images, "test": 10,000) as 32 x 32 images, (N, 3, 32, 32)."""
    table = read_table("cifar10", split)
    images = [np.asarray(Image.open(io.BytesIO(cell["bytes"])), dtype=np.float32) / 255 for cell in table["img"]]
    return LabelledImages(np.stack(images).transpose(0, 3, 1, 2), table["label"].to_numpy(dtype=np.int64, copy=True))


def load_digits(split: str) -> LabelledImages:
    """Load scikit-learn's handwritten digits, scaled to 28 x 28 with MNIST's margin of 4 pixels.

    They come with scikit-learn, so nothing is downloaded.

    Args:
        split: "train" (four fifths of each class) or "test" (the rest, never trained on).

    Returns:
        1,433 or 364 images in scikit-learn's order.

    Raises:
        ValueError: for another split.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split={split!r}: must be 'train' or 'test'")
    from sklearn.datasets import load_digits as bundled_digits

    digits = bundled_digits()
    seen_before = np.array([np.sum(digits.target[:i] == label) for i, label in enumerate(digits.target)])
    held_out = seen_before % DIGITS_HELD_OUT == 0
    chosen = held_out if split == "test" else ~held_out
    images = np.stack([_enlarge(small) for small in digits.images[chosen] / 16])
    return LabelledImages(images, digits.target[chosen].astype(np.int64))


def _enlarge(small: np.ndarray) -> np.ndarray:
    """Scale an 8 x 8 image in [0, 1] to 20 x 20 and centre it on 28 x 28, as MNIST centres its digits."""
    enlarged = Image.fromarray(small.astype(np.float32)).resize((20, 20), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(enlarged).clip(0, 1), 4)

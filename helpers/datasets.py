"""Data sets: from a local folder, from the hub, bundled with scikit-learn, or written for this project.

To read local copies, set ``HELPERS_DATASETS`` to a folder with one sub-folder per data set
(``mnist/train-00000-of-00001.parquet`` and so on). Without it, the same files are read from the Hugging Face hub.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn.datasets
import torch
from PIL import Image

from helpers.geometry.arguments import check_whole
from helpers.resources import data_folder

__all__ = [
    "DatasetNotFoundError",
    "LabelledImages",
    "draw_sentences",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "load_winobias",
    "read_sentences",
    "read_table",
]

HUB_FILES = {  # the file of a split, on the hub; the local folder has the same file names
    "mnist": "ylecun/mnist/mnist/{split}-00000-of-00001.parquet",
    "cifar10": "uoft-cs/cifar10/plain_text/{split}-00000-of-00001.parquet",
    "imdb": "stanfordnlp/imdb/plain_text/{split}-00000-of-00001.parquet",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes/{split}.parquet",
}

SENTENCES = data_folder() / "sentences.csv"
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HELD_OUT_EVERY = 5  # every fifth digit of each class is in the test part; ``vit-digits`` was trained on the others


class DatasetNotFoundError(RuntimeError):
    """A data set is not in the local folder, and the hub cannot be read."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their labels, (N,) int64.

    The images are (N, H, W) grey, where 0 is background and 1 is full ink, or (N, 3, H, W) red, green and blue in
    [0, 1]; float32.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, number: int) -> np.ndarray:
        """Return one image.

        Raises:
            ValueError: there is no image of this number.
        """
        check_whole("number", number, most=len(self) - 1)
        return self.images[number]

    def __repr__(self) -> str:
        height, width = self.images.shape[-2:]
        return f"LabelledImages({len(self)} images of {height} x {width}, labels {sorted(set(self.labels.tolist()))})"


def read_table(name: str, split: str) -> pd.DataFrame:
    """Read one split ("train", "test" or another name that the hub uses) of one of ``HUB_FILES`` as a table.

    Raises:
        ValueError: the name is unknown.
        DatasetNotFoundError: the local folder does not have the data set, and the hub cannot be read.
    """
    if name not in HUB_FILES:
        raise ValueError(f"name={name!r}: is not a known data set; choose one of {', '.join(sorted(HUB_FILES))}")
    hub_file = HUB_FILES[name].format(split=split)
    folder = os.environ.get("HELPERS_DATASETS")
    local_file = Path(folder or "") / name / Path(hub_file).name
    if folder and local_file.is_file():
        return pd.read_parquet(local_file)
    try:
        return pd.read_parquet(f"hf://datasets/{hub_file}")
    except Exception as error:  # the libraries below raise many kinds of error
        missing = f"={folder!r} has no {name}/{local_file.name}" if folder else " is not set"
        raise DatasetNotFoundError(
            f"data set {name!r} ({split}): HELPERS_DATASETS{missing}, "
            f"and the hub cannot be read ({type(error).__name__}); "
            "set HELPERS_DATASETS to a folder that has it, or connect to the network"
        ) from error


def read_sentences(kind: str, every: int = 1) -> pd.DataFrame:
    """Read the sentences that were written for this project, or every second, third and so on of them.

    Those of kind "review" have the columns text and label (1 positive, 0 negative), those of kind "occupation" the
    columns text (with one [MASK]) and occupation.

    Raises:
        ValueError: the kind is unknown, or fewer than two sentences would be read.
    """
    table = pd.read_csv(SENTENCES)
    if kind not in set(table["kind"]):
        raise ValueError(f"kind={kind!r}: must be one of {sorted(set(table['kind']))}")
    chosen = table[table["kind"] == kind].dropna(axis=1).drop(columns="kind")
    check_whole("every", every, 1, len(chosen) - 1)
    return chosen[::every].reset_index(drop=True)


def draw_sentences(kind: str, count: int, generator: torch.Generator) -> list[str]:
    """Draw some of the sentences that were written for this project, each once at most.

    Raises:
        ValueError: the kind is unknown, or has fewer sentences.
    """
    texts = read_sentences(kind)["text"].tolist()
    check_whole("count", count, 1, len(texts))
    return [texts[i] for i in torch.randperm(len(texts), generator=generator)[:count].tolist()]


def load_winobias() -> pd.DataFrame:
    """Load WinoBias (Zhao et al. 2018, type 1, development part) from the local folder, with the pronoun masked.

    Returns:
        Columns text (with one [MASK]), pronoun, occupation (to which the pronoun refers), stereotype (pro or anti).

    Raises:
        DatasetNotFoundError: the local folder does not have it.
    """
    folder = Path(os.environ.get("HELPERS_DATASETS", "")) / "winobias"
    rows = []
    for stereotype in ("pro", "anti"):
        path = folder / f"{stereotype}_stereotyped_type1.txt.dev"
        if not path.is_file():
            raise DatasetNotFoundError(
                f"data set 'winobias': there is no file {str(path)!r}; set HELPERS_DATASETS to a folder that has it"
            )
        for line in path.read_text().splitlines():
            occupation, pronoun, *other_pronouns = re.findall(r"\[(.+?)\]", line)
            text = re.sub(r"^\d+ ", "", line).replace(f"[{pronoun}]", "[MASK]").replace(f"[{occupation}]", occupation)
            if not other_pronouns:  # they would give away the masked one
                rows.append((text, pronoun, re.sub("^(the|a) ", "", occupation.lower()), stereotype))
    return pd.DataFrame(rows, columns=["text", "pronoun", "occupation", "stereotype"])


def load_mnist(split: str) -> LabelledImages:
    """Load MNIST ("train": 60,000 images, "test": 10,000) as grey images (N, 28, 28)."""
    return _load_images("mnist", split, "image")


def load_cifar10(split: str) -> LabelledImages:
    """Load CIFAR10 ("train": 50,000 images, "test": 10,000) as colour images (N, 3, 32, 32)."""
    return _load_images("cifar10", split, "img")


def _load_images(name: str, split: str, column: str) -> LabelledImages:
    """Decode the image files in a column of a table into one array, with the channels first."""
    table = read_table(name, split)
    files = (io.BytesIO(cell["bytes"]) for cell in table[column])
    images = np.stack([np.asarray(Image.open(file), dtype=np.float32) / 255 for file in files])
    channels_first = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
    return LabelledImages(channels_first, table["label"].to_numpy(dtype=np.int64, copy=True))


def load_digits(split: str) -> LabelledImages:
    """Load scikit-learn's handwritten digits, scaled to 28 x 28 with MNIST's margin of 4 pixels.

    They come with scikit-learn, so nothing is downloaded. The split "train" has four fifths of each class (1,433
    images), "test" has the other 364.

    Raises:
        ValueError: the split is unknown.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split={split!r}: must be 'train' or 'test'")
    digits = sklearn.datasets.load_digits()
    number_in_class = pd.Series(digits.target).groupby(digits.target).cumcount().to_numpy()
    rows = (number_in_class % HELD_OUT_EVERY == 0) == (split == "test")
    images = np.stack([_enlarge(small) for small in digits.images[rows] / 16])
    return LabelledImages(images, digits.target[rows].astype(np.int64))


def _enlarge(small: np.ndarray) -> np.ndarray:
    """Scale an 8 x 8 image in [0, 1] to 20 x 20 and centre it on 28 x 28, as MNIST centres its digits."""
    enlarged = Image.fromarray(small.astype(np.float32)).resize((20, 20), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(enlarged).clip(0, 1), 4)

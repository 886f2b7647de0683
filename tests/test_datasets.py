"""Data sets: the bundled digits and their split, local folders, clear errors."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.datasets import DatasetNotFoundError, load_digits, load_mnist, read_table


def test_digits_are_split_without_overlap_and_every_class_is_in_both(digits):
    train = load_digits("train")
    assert len(train) + len(digits) == 1797
    held_out = {image.tobytes() for image in digits.images}
    copies = [image for image in train.images if image.tobytes() in held_out]
    assert not copies
    for part in (train, digits):
        assert set(part.labels.tolist()) == set(range(10))
        assert part.images.shape[1:] == (28, 28)
        assert part.images.min() >= 0
        assert part.images.max() <= 1
        assert part.images[:, :4].max() == 0, "MNIST's margin"


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="split='dev'"):
        load_digits("dev")
    with pytest.raises(ValueError, match="no such data set"):
        read_table("imagenet", "train")


def test_a_local_folder_is_read(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.fromarray(np.full((28, 28), 51, dtype=np.uint8)).save(buffer, "PNG")
    (tmp_path / "mnist").mkdir()
    pd.DataFrame({"image": [{"bytes": buffer.getvalue(), "path": "a.png"}], "label": [7]}).to_parquet(
        tmp_path / "mnist" / "test-00000-of-00001.parquet"
    )
    monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    mnist = load_mnist("test")
    assert mnist.labels.tolist() == [7]
    assert np.allclose(mnist.images, 0.2)


def test_when_nothing_is_there_the_error_names_both_ways(tmp_path, monkeypatch):
    def no_network(path):
        raise ConnectionError("no network")

    monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    monkeypatch.setattr(pd, "read_parquet", no_network)
    with pytest.raises(DatasetNotFoundError, match=r"HELPERS_DATASETS=.* has no mnist/.*the hub cannot be read"):
        read_table("mnist", "train")

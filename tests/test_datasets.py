"""Data sets: the bundled digits and their split, local folders, clear errors."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from helpers.datasets import (
    DatasetNotFoundError,
    draw_sentences,
    load_cifar10,
    load_digits,
    load_mnist,
    load_winobias,
    read_sentences,
    read_table,
)


def test_digits_are_split_without_overlap_and_every_class_is_in_both(digits):
    train = load_digits("train")
    assert len(train) + len(digits) == 1797
    held_out = {image.tobytes() for image in digits.images}
    assert len(held_out) == len(digits)
    assert not any(image.tobytes() in held_out for image in train.images)
    for part in (train, digits):
        assert set(part.labels.tolist()) == set(range(10))
        assert part.images.shape[1:] == (28, 28)
        assert part.images.min() >= 0
        assert part.images.max() <= 1
        assert part.images[:, :4].max() == 0, "MNIST's margin"


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="split='dev'"):
        load_digits("dev")
    with pytest.raises(ValueError, match="is not a known data set; choose one of cifar10, imdb"):
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


def test_a_missing_data_set_is_named_with_both_remedies(tmp_path, monkeypatch):
    def no_network(path):
        raise ConnectionError("no network")

    monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    monkeypatch.setattr(pd, "read_parquet", no_network)
    with pytest.raises(DatasetNotFoundError, match=r"HELPERS_DATASETS=.* has no mnist/.*the hub cannot be read"):
        read_table("mnist", "train")


def test_the_sentences_of_the_project_are_complete():
    reviews, occupations = read_sentences("review"), read_sentences("occupation")
    assert len(reviews) == 200
    assert set(reviews["label"]) == {0, 1}
    assert len(occupations) == 60
    assert (occupations["text"].str.count(r"\[MASK\]") == 1).all()
    assert occupations["occupation"].notna().all()
    with pytest.raises(ValueError, match="kind='poem'"):
        read_sentences("poem")


def test_winobias_masks_its_pronouns(tmp_path, monkeypatch):
    monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    with pytest.raises(DatasetNotFoundError, match="winobias"):
        load_winobias()
    (tmp_path / "winobias").mkdir()
    line = "1 [The developer] argued with the designer because [{}] did not like the design.\n"
    twice = "2 [The guard] works harder than the hairdresser because [she] is always busy with [her] job.\n"
    for stereotype, pronoun in (("pro", "he"), ("anti", "she")):
        path = tmp_path / "winobias" / f"{stereotype}_stereotyped_type1.txt.dev"
        path.write_text(line.format(pronoun) + twice)
    table = load_winobias()
    assert (
        table["text"].tolist() == ["The developer argued with the designer because [MASK] did not like the design."] * 2
    )
    assert table["pronoun"].tolist() == ["he", "she"]
    assert set(table["occupation"]) == {"developer"}


def test_cifar10_is_read_with_its_channels_first(tmp_path, monkeypatch):
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:, :, 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    (tmp_path / "cifar10").mkdir()
    table = pd.DataFrame({"img": [{"bytes": buffer.getvalue(), "path": "a.png"}], "label": [3]})
    table.to_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet")
    monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    images = load_cifar10("test").images
    assert images.shape == (1, 3, 32, 32)
    assert images[0, 2].min() == 1 > images[0, :2].max() == 0


@pytest.mark.parametrize("missing", ["HELPERS_DATASETS is not set", "HELPERS_DATASETS='.*' has no imdb/train"])
def test_the_reason_says_whether_there_is_a_local_folder(tmp_path, monkeypatch, missing):
    def no_network(path):
        raise ConnectionError("no network")

    monkeypatch.setattr(pd, "read_parquet", no_network)
    monkeypatch.delenv("HELPERS_DATASETS", raising=False)
    if "has no" in missing:
        monkeypatch.setenv("HELPERS_DATASETS", str(tmp_path))
    with pytest.raises(DatasetNotFoundError, match=missing):
        read_table("imdb", "train")


def test_an_image_that_is_not_there_is_named():
    digits = load_digits("test")
    assert np.array_equal(digits.image(17), digits.images[17])
    for number in (364, -1, 1.5, "3"):
        with pytest.raises(ValueError, match=r"number=.*: must be a whole number between 0 and 363"):
            digits.image(number)


def test_some_sentences_are_read_or_drawn():
    reviews = read_sentences("review")
    assert read_sentences("review", every=8)["text"].tolist() == reviews["text"].tolist()[::8]
    drawn = draw_sentences("review", 30, torch.Generator().manual_seed(1))
    assert len(set(drawn)) == 30 and set(drawn) <= set(reviews["text"])
    for every in (0, 200, 2.5):
        with pytest.raises(ValueError, match=r"every=.*: must be a whole number between 1 and 199"):
            read_sentences("review", every)
    for count in (0, 201, "3"):
        with pytest.raises(ValueError, match=r"count=.*: must be a whole number between 1 and 200"):
            draw_sentences("review", count, torch.Generator())

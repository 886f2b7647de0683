"""The inputs of a sweep are chosen, checked, and identified by a fingerprint."""

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from helpers.datasets import read_sentences
from helpers.resources import MODELS
from helpers.sweep import Cell, Subject, fingerprints, measure_cell
from helpers.sweep.fingerprints import compute_fingerprint, hash_code
from helpers.sweep.inputs import choose_inputs, find_target_word, load_subject


def make_photos(folder, *names):
    """Write red pictures into a folder and return them as a subject."""
    (folder / "photos").mkdir()
    for name in names:
        Image.new("RGB", (40, 30), "red").save(folder / "photos" / name)
    return Subject("vit-cifar10", "vit", str(folder / "photos"), 3)


def test_sentences_are_read_from_a_text_file(tmp_path):
    (tmp_path / "texts.txt").write_text("a warm film\n\nno film at all\n")
    assert list(choose_inputs(str(tmp_path / "texts.txt"), 2).values()) == ["a warm film", "no film at all"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty.txt.*no image and no sentence"):
        choose_inputs(str(tmp_path / "empty.txt"), 1)


def test_images_are_read_from_a_folder(tmp_path):
    photos = make_photos(tmp_path, "b.png", "a.png")
    for name in ("notes.txt", "paper.pdf"):
        (tmp_path / "photos" / name).write_text("not an image")
    _, images = load_subject(photos, 2)
    assert [Path(image.filename).name for image in images] == ["a.png", "b.png"]
    rows = measure_cell(Cell(photos, 1, 2, (1,), ("one",), 0, 2))
    assert (rows["steps"] == 2).all()
    with pytest.raises(ValueError, match=r"photos': contains 2 inputs, but 20 were requested; try --inputs 2"):
        choose_inputs(photos.inputs, 20)


def test_only_chosen_inputs_are_read_and_the_data_set_is_released(tmp_path):
    photos = make_photos(tmp_path, "a.png", "c.png")
    (tmp_path / "photos" / "b.png").write_text("not an image")
    assert len(load_subject(photos, 1)[1]) == 1
    with pytest.raises(ValueError, match=r"photos': .*b\.png cannot be read"):
        load_subject(photos, 3)
    assert choose_inputs("digits", 2)["number 1 of 364"].base is None


def test_a_text_that_cannot_be_encoded_is_named(tmp_path):
    (tmp_path / "texts.txt").write_text("a [MASK] film\n\na film without one\n")
    with pytest.raises(ValueError, match=r"number 2 of 2, 'a film without one', cannot be read .*0 \[MASK\]"):
        load_subject(Subject("bert-reviews", "bert", str(tmp_path / "texts.txt")), 2)


def test_the_fingerprint_changes_with_a_weight_or_a_picture_that_was_loaded_before(tmp_path):
    shutil.copytree(MODELS / "vit-cifar10", tmp_path / "model")
    subject = replace(make_photos(tmp_path, "a.png", "b.png"), model=str(tmp_path / "model"))
    load_subject(subject, 2)
    fingerprints = [compute_fingerprint(subject, 2), compute_fingerprint(subject, 2), compute_fingerprint(subject, 1)]
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "photos" / "b.png")
    fingerprints.append(compute_fingerprint(subject, 2))
    (weights,) = (tmp_path / "model").glob("*.safetensors")
    tensors = load_file(weights)
    next(iter(tensors.values())).view(-1)[0] += 1e-3
    save_file(tensors, weights, metadata={"format": "pt"})
    fingerprints.append(compute_fingerprint(subject, 2))
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 4
    assert all(len(bytes.fromhex(fingerprint)) == 6 for fingerprint in fingerprints)


def test_the_fingerprint_of_the_code_changes_with_the_code_and_not_with_its_comments(tmp_path, monkeypatch):
    file = tmp_path / "helpers" / "sweep" / "cells.py"
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(fingerprints, "__file__", str(file.with_name("fingerprints.py")))
    texts = ["def f():\n    return 1\n", 'def f():\n    """Say."""\n    return 1  # why\n', "def f():\n    return 2\n"]
    texts[0] = 'def f():\n    """Do."""\n    return 1\n'
    found = []
    for text in texts:
        file.write_text(text)
        hash_code.cache_clear()
        found.append(hash_code())
    file.with_name("running.py").write_text(texts[0])
    hash_code.cache_clear()
    assert hash_code() == found[2], "how cells are distributed does not change them"
    hash_code.cache_clear()
    assert found[0] == found[1] != found[2]


def test_the_target_word_is_the_occupation_of_a_text(masked_bert):
    table, subject = read_sentences("occupation"), Subject("bert-reviews", "bert", "occupations", 3)
    for index in (0, 7, 19):
        row = table.iloc[index * len(table) // 20]
        positions = find_target_word(masked_bert, subject, index, 20)
        names = masked_bert.names_of(masked_bert.token_ids(row.text)[p] for p in positions)
        assert "".join(names).replace("…", "").replace("##", "") == row.occupation.replace(" ", "")


def test_the_fingerprint_of_the_code_is_the_same_where_python_knows_fields_that_the_code_does_not_use():
    tree = ast.parse("def f(x):\n    return x + 0")
    described = fingerprints._describe(tree)
    tree.body[0]._fields = (*tree.body[0]._fields, "of_a_later_python")
    tree.body[0].of_a_later_python = []
    assert fingerprints._describe(tree) == described
    tree.body[0].of_a_later_python = [ast.Name("T")]
    assert fingerprints._describe(tree) != described

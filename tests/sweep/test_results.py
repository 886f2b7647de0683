"""The files of a sweep are written completely or not at all."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from helpers.sweep import Grid, Subject, export_results, import_results, load_bundled_results, load_results
from helpers.sweep.results import result_path, write_atomically, write_table

GRID = Grid((Subject("vit-digits", "vit", "digits"),), inputs=2, repetitions=1)


def test_exported_results_are_imported_unchanged(tmp_path):
    first, second = GRID.cells()
    table = pd.DataFrame({"drift": [1.0, 2.0], "seconds": [3.0, 3.0]})
    write_atomically(table.to_parquet, result_path(tmp_path, second))
    assert export_results(GRID, tmp_path, tmp_path / "tables" / "walks.parquet").startswith("1 of 2 cells")
    exported = pd.read_parquet(tmp_path / "tables" / "walks.parquet")
    pd.testing.assert_frame_equal(exported, table.assign(cell=second.key)[["drift", "cell", "seconds"]])
    import_results(GRID, tmp_path / "again", tmp_path / "tables" / "walks.parquet")
    assert not result_path(tmp_path / "again", first).exists()
    pd.testing.assert_frame_equal(load_results(GRID, tmp_path / "again"), table[["drift"]])


def test_an_import_keeps_cells_that_are_finished(tmp_path):
    cell = GRID.cells()[0]
    pd.DataFrame({"drift": [1.0], "cell": [cell.key], "seconds": [3.0]}).to_parquet(tmp_path / "walks.parquet")
    write_atomically(pd.DataFrame({"drift": [5.0], "seconds": [3.0]}).to_parquet, result_path(tmp_path, cell))
    import_results(GRID, tmp_path, tmp_path / "walks.parquet")
    assert load_results(GRID, tmp_path)["drift"].tolist() == [5.0]


def change_one_byte(data):
    place = len(data) // 3
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"no table", change_one_byte], ids=range(4)
)
def test_a_damaged_cell_is_set_aside_and_counts_as_not_finished(tmp_path, damage):
    first, second = (result_path(tmp_path, cell) for cell in GRID.cells())
    table = pd.DataFrame({"drift": np.random.default_rng(0).random(999), "seconds": 3.0})
    for path in (first, second):
        write_table(table, path)
    first.write_bytes(damage(first.read_bytes()))
    with pytest.warns(UserWarning, match=f"{first.stem}.*is damaged and was renamed to {first.stem}"):
        assert len(load_results(GRID, tmp_path)) == 999
    assert not first.exists() and first.with_suffix(".damaged").is_file()
    assert len(load_results(GRID, tmp_path)) == 999, "no second warning"


def test_another_table_in_the_place_of_a_cell_is_set_aside_too(tmp_path):
    path = result_path(tmp_path, GRID.cells()[0])
    write_atomically(pd.DataFrame({"drift": [1.0]}).to_parquet, path)
    with pytest.warns(UserWarning, match="it has no column seconds"):
        assert load_results(GRID, tmp_path).empty


def test_bundled_results_are_read_by_name():
    assert len(load_bundled_results()) == len(load_bundled_results("walks")) > 0
    with pytest.raises(ValueError, match=r"name='nothing': must be one of .*walks"):
        load_bundled_results("nothing")


def test_without_results_no_table_is_written(tmp_path):
    assert export_results(GRID, tmp_path, tmp_path / "walks.parquet").startswith("0 of 2 cells")
    assert not list(tmp_path.iterdir())
    assert load_results(GRID, tmp_path).empty


@pytest.mark.parametrize(
    "save", [partial(save_file, {"a": torch.ones(3)}), pd.DataFrame({"a": [1]}).to_parquet], ids=["walk", "table"]
)
def test_the_file_that_is_synced_is_the_one_that_stays(tmp_path, monkeypatch, save):
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or sync(handle))
    write_atomically(save, tmp_path / "file")
    (tmp_path / "plain").touch()
    assert synced == [(tmp_path / "file").stat().st_ino]
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode, "as readable as any other file"


def test_a_walk_that_cannot_be_written_raises_an_os_error(tmp_path):
    def save(name):
        Path(name).write_bytes(b"half")
        raise SafetensorError("no room")

    with pytest.raises(OSError, match=r"walk.*no room"):
        write_atomically(save, tmp_path / "walk")
    assert not list(tmp_path.iterdir())

"""The files of a sweep: one table per finished cell, the points of its walks, and one table of all results."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError

from helpers.resources import data_folder
from helpers.sweep.grid import Cell, Grid, WalkSpec

BUNDLED_RESULTS = data_folder() / "results" / "walks.parquet"  # of the grid ``PAPER``


def load_results(grid: Grid, folder: str | Path) -> pd.DataFrame:
    """Read the results of all finished cells in the order of the grid; one row per walk."""
    return read_finished_cells(grid, folder).drop(columns=["cell", "seconds"])


def load_bundled_results(name: str = BUNDLED_RESULTS.stem) -> pd.DataFrame:
    """Read results that come with the project, one row per walk; by default those of the paper's experiments.

    Raises:
        ValueError: there are no results of this name.
    """
    path = BUNDLED_RESULTS.with_stem(name)
    if not path.is_file():
        names = sorted(file.stem for file in path.parent.glob("*.parquet"))
        raise ValueError(f"name={name!r}: must be one of {', '.join(names)}")
    return pd.read_parquet(path)


def export_results(grid: Grid, folder: str | Path, path: Path) -> str:
    """Write the results of all cells that are finished in a folder into one table, with their names and seconds.

    Returns:
        A sentence that says how many cells were finished. Without any, no table is written.
    """
    table = read_finished_cells(grid, folder)
    if len(table):
        write_table(table, path)
    return f"{table['cell'].nunique()} of {len(grid.cells())} cells in {path}"


def import_results(grid: Grid, folder: str | Path, path: Path | None = None) -> None:
    """Write the cells of an exported table into the folder of a sweep, so that the sweep continues from there.

    The table is that of the project if the path is None.
    """
    rows_by_cell = dict(list(pd.read_parquet(path or BUNDLED_RESULTS).groupby("cell")))
    for cell in grid.cells():
        if cell.key in rows_by_cell and not result_path(Path(folder), cell).is_file():
            write_table(rows_by_cell[cell.key].drop(columns="cell"), result_path(Path(folder), cell))


def read_finished_cells(grid: Grid, folder: str | Path) -> pd.DataFrame:
    """Read the tables of all finished cells in the order of the grid; one row per walk.

    The column ``cell`` names the cell of a walk, and ``seconds`` is the time that one core took for all walks of it. A
    damaged file is set aside under another name, with a warning, and its cell counts as not finished.
    """
    tables = []
    for path in (result_path(Path(folder), cell) for cell in grid.cells()):
        if (table := _read_table(path)) is not None:
            seconds = table.pop("seconds")
            tables.append(table.assign(cell=path.stem, seconds=seconds))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["cell", "seconds"])


def _read_table(path: Path) -> pd.DataFrame | None:
    """Read the result of a cell; None if there is none, or if it is damaged and therefore set aside."""
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
        if "seconds" in table:
            return table
        reason = "it has no column seconds"
    except (FileNotFoundError, PermissionError):
        if path.is_file():
            raise
        return None
    except (ValueError, OSError) as error:  # Arrow's errors are of these kinds
        reason = str(error).splitlines()[0]
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    warnings.warn(f"folder: {path.name} is damaged and was renamed to {aside.name} ({reason})", stacklevel=2)
    return None


def result_path(folder: Path, cell: Cell) -> Path:
    """Return the file of the result of a cell."""
    return folder / f"{cell.key}.parquet"


def walk_path(folder: Path, cell: Cell, spec: WalkSpec) -> Path:
    """Return the file of the points of a walk."""
    return folder / cell.key / f"{spec.algorithm}_eta{spec.eta:g}_{spec.parts}.safetensors"


def is_finished(cell: Cell, folder: Path, keep_paths: bool) -> bool:
    """Return whether a cell has its result and, if ``keep_paths``, the points of all its walks."""
    paths = [walk_path(folder, cell, spec) for spec in cell.walks()] if keep_paths else []
    return all(path.is_file() for path in [result_path(folder, cell), *paths])


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file atomically, with checksums that show damage, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(lambda file: table.to_parquet(file, index=False, write_page_checksum=True), path)


def write_atomically(save: Callable[[str], None], path: Path) -> None:
    """Write a file so that it exists completely or not at all, even if the machine fails.

    Raises:
        OSError: the file cannot be written; no part of it is left behind.
    """
    temporary = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        save(str(temporary))
        temporary.chmod(mode)  # ``save`` may replace the file by one that only its owner can read
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except SafetensorError as error:
        raise OSError(f"path={str(path)!r}: cannot be written ({error})") from error
    finally:
        temporary.unlink(missing_ok=True)

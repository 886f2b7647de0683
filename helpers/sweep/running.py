"""A sweep run through Dask: killed at any moment, it goes on where it stopped."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import dask
import pandas as pd
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

from helpers.sweep.cells import Cell, Grid, measure_cell

RETRIES = 5  # of a cell whose worker died
AHEAD = 4  # cells handed out for each worker's thread


class SweepError(RuntimeError):
    """Some cells could not be measured; what was measured is kept."""


def run_sweep(
    grid: Grid, folder: str | Path, client: Client | str | None = None, workers: int | None = None
) -> pd.DataFrame:
    """Measure every cell of a grid that has no result yet.

    Each finished cell is one Parquet file, written under another name and then renamed, so that none is ever read
    half-written; a sweep that was killed goes on where it stopped. A cell's result depends on its name alone.

    Args:
        grid: what to measure.
        folder: where results go.
        client: a Dask client, a scheduler's address, or None for processes of this machine.
        workers: how many of those; one a core if None.

    Returns:
        All results, a row a walk.

    Raises:
        SweepError: cells that failed, each with its reason; all others are kept.
        OSError: a result cannot be written; what was written before is kept.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = grid.cells()
    pending = [cell for cell in cells if not result_path(folder, cell).is_file()]
    began = time.monotonic()
    if pending:
        with dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}):
            if isinstance(client, Client):
                failed = _measure(pending, folder, client, len(cells))
            else:
                with _own_client(client, workers) as own:
                    failed = _measure(pending, folder, own, len(cells))
        _note_run(folder, len(pending) - len(failed), time.monotonic() - began)
        if failed:
            shown = "; ".join(f"{key}: {reason}" for key, reason in list(failed.items())[:3])
            raise SweepError(f"{len(failed)} of {len(pending)} cells failed, run again to try them again: {shown}")
    return load_results(grid, folder)


def load_results(grid: Grid, folder: str | Path) -> pd.DataFrame:
    """Read what a sweep has measured so far, in the grid's order; a row a walk."""
    found = [path for cell in grid.cells() if (path := result_path(Path(folder), cell)).is_file()]
    return pd.concat([pd.read_parquet(path) for path in found], ignore_index=True) if found else pd.DataFrame()


def result_path(folder: Path, cell: Cell) -> Path:
    """Name the file of a cell's result."""
    return folder / f"{cell.key}.parquet"


def _own_client(address: str | None, workers: int | None) -> Client:
    """Connect to a scheduler, or start processes of this machine with one thread each."""
    if address is not None:
        return Client(address)
    cluster = LocalCluster(n_workers=workers or os.cpu_count() or 1, threads_per_worker=1, dashboard_address=None)
    return Client(cluster, set_as_default=False)


def _measure(pending: Sequence[Cell], folder: Path, client: Client, total: int) -> dict[str, str]:
    """Hand out cells, a few ahead of those that are done, and write what comes back: the failed ones' reasons."""
    ahead = AHEAD * max(1, sum(client.nthreads().values()))
    waiting, failed = iter(pending), {}
    submit = lambda cell: client.submit(measure_cell, cell, key=cell.key, pure=False)  # noqa: E731
    cells = {submit(cell): cell for cell in (next(waiting, None) for _ in range(ahead)) if cell is not None}
    with tqdm(total=total, initial=total - len(pending), unit=" cells", delay=2) as bar:
        finished = as_completed(list(cells))
        for future in finished:
            cell = cells.pop(future)
            if future.status == "finished":
                write_atomically(future.result(), result_path(folder, cell))
            else:
                failed[cell.key] = repr(future.exception())
            bar.update()
            if (following := next(waiting, None)) is not None:
                cells[added := submit(following)] = following
                finished.add(added)
    return failed


def write_atomically(table: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file so that it is there whole or not at all, even if the machine dies.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            table.to_parquet(file, index=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _note_run(folder: Path, cells: int, seconds: float) -> None:
    """Add a run to the sweep's log: how many cells it finished, in how long."""
    with (folder / "runs.jsonl").open("a") as log:
        log.write(json.dumps({"cells": cells, "seconds": round(seconds, 1), "cores": os.cpu_count()}) + "\n")

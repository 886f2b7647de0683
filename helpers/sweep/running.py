"""A sweep run through Dask: killed at any moment, it goes on where it stopped."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dask
import pandas as pd
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

from helpers.sweep.cells import measure_walks, walk_cell
from helpers.sweep.grid import Cell, Grid

WORKER = {  # what a process of ours is started with: memory is kept, not given back and asked for again at each step
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}
RETRIES = 5  # of a cell whose worker died
LOG = "log.jsonl"
RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "walks.parquet"
AHEAD = 4  # cells handed out for each worker's thread


class SweepError(RuntimeError):
    """Some cells could not be measured; what was measured is kept."""


def run_sweep(
    grid: Grid,
    folder: str | Path,
    client: Client | str | None = None,
    workers: int | None = None,
    keep_paths: bool = False,
) -> pd.DataFrame:
    """Measure every cell of a grid that has no result yet.

    Each finished cell is one Parquet file, written under another name and then renamed, so that none is ever read
    half-written; a sweep that was killed goes on where it stopped. A cell's result depends on its name alone.

    Args:
        grid: what to measure.
        folder: where results go.
        client: a Dask client, a scheduler's address, or None for processes of this machine.
        workers: how many of those; one a core if None.
        keep_paths: whether each walk's points are kept too, in a folder a cell, for ``ExplorationPath.load``; the
            workers write them, so the folder must be the same for all. A cell that has a result is not walked again.

    Returns:
        All results, a row a walk.

    Raises:
        ValueError: the client's workers have several threads each.
        SweepError: cells that failed, each with its reason; all others are kept.
        OSError: a result cannot be written; what was written before is kept.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = grid.cells()
    pending = [cell for cell in cells if not result_path(folder, cell).is_file()]
    measure = partial(_measure, folder=folder if keep_paths else None)
    if pending:
        told = {"distributed.scheduler.allowed-failures": RETRIES, "distributed.nanny.pre-spawn-environ": WORKER}
        with dask.config.set(told):
            if isinstance(client, Client):
                failed = _hand_out(measure, pending, client, folder, len(cells))
            else:
                with _own_client(client, workers) as own:
                    failed = _hand_out(measure, pending, own, folder, len(cells))
        if failed:
            shown = "; ".join(f"{key}: {reason}" for key, reason in list(failed.items())[:3])
            raise SweepError(f"{len(failed)} of {len(pending)} cells failed, run again to try them again: {shown}")
    return load_results(grid, folder)


def load_results(grid: Grid, folder: str | Path) -> pd.DataFrame:
    """Read what a sweep has measured so far, in the grid's order; a row a walk."""
    found = [path for cell in grid.cells() if (path := result_path(Path(folder), cell)).is_file()]
    return pd.concat([pd.read_parquet(path) for path in found], ignore_index=True) if found else pd.DataFrame()


def store(grid: Grid, folder: str | Path, path: Path) -> str:
    """Write what a sweep has measured so far into one table, and say how much of the grid that is.

    Args:
        grid: what was to be measured.
        folder: where its cells are.
        path: of the table, a row a walk; the columns ``cell`` and ``seconds`` say which cell a walk is of, and how long
            that took, with all of its walks, on one core.
    """
    folder = Path(folder)
    notes = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    seconds = {note["cell"]: note["seconds"] for note in notes}
    done = [cell for cell in grid.cells() if result_path(folder, cell).is_file()]
    tables = [
        pd.read_parquet(result_path(folder, cell)).assign(cell=cell.key, seconds=seconds.get(cell.key)) for cell in done
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(partial(pd.concat(tables, ignore_index=True).to_parquet, index=False), path)
    return f"{len(done)} of {len(grid.cells())} cells in {path}"


def restore(grid: Grid, folder: str | Path, path: Path) -> None:
    """Put the cells of a stored table back into a sweep's folder, so that the sweep goes on from there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = dict(list(pd.read_parquet(path).groupby("cell")))
    for cell in grid.cells():
        if cell.key in stored and not result_path(folder, cell).is_file():
            rows = stored[cell.key].drop(columns=["cell", "seconds"])
            write_atomically(partial(rows.to_parquet, index=False), result_path(folder, cell))
            _note(folder, cell, float(stored[cell.key]["seconds"].iloc[0]))


def read_stored() -> pd.DataFrame:
    """Read the results that come with the project: those of the grid ``PAPER``, a row a walk."""
    return pd.read_parquet(RESULTS)


def result_path(folder: Path, cell: Cell) -> Path:
    """Name the file of a cell's result."""
    return folder / f"{cell.key}.parquet"


def _own_client(address: str | None, workers: int | None) -> Client:
    """Connect to a scheduler, or start processes of this machine with one thread each."""
    if address is not None:
        return Client(address)
    cluster = LocalCluster(n_workers=workers or os.cpu_count() or 1, threads_per_worker=1, dashboard_address=":0")
    return Client(cluster, set_as_default=False)


def _hand_out(
    measure: Callable[[Cell], tuple[pd.DataFrame, float]],
    pending: Sequence[Cell],
    client: Client,
    folder: Path,
    total: int,
) -> dict[str, str]:
    """Hand out cells, a few ahead of those that are done, and write what comes back: the failed ones' reasons."""
    threads = client.nthreads()
    if any(number > 1 for number in threads.values()):  # derivatives are taken by transforms that threads would share
        raise ValueError(f"client: has workers of {max(threads.values())} threads, wanted one each (--nthreads 1)")
    ahead = AHEAD * max(1, len(threads))
    waiting, failed = iter(pending), {}
    submit = lambda cell: client.submit(measure, cell, key=cell.key, pure=False)  # noqa: E731
    cells = {submit(cell): cell for cell in (next(waiting, None) for _ in range(ahead)) if cell is not None}
    with tqdm(total=total, initial=total - len(pending), unit=" cells", delay=2) as bar:
        finished = as_completed(list(cells), loop=client.loop)
        for future in finished:
            cell = cells.pop(future)
            if future.status == "finished":
                table, seconds = future.result()
                write_atomically(partial(table.to_parquet, index=False), result_path(folder, cell))
                _note(folder, cell, seconds)
            else:
                failed[cell.key] = repr(future.exception())
            bar.update()
            if (following := next(waiting, None)) is not None:
                cells[added := submit(following)] = following
                finished.add(added)
    return failed


def _measure(cell: Cell, folder: Path | None) -> tuple[pd.DataFrame, float]:
    """Measure a cell, and say in how many seconds; keep its walks where a folder is given.

    A walk is written as ``{algorithm}_eta{eta}_{parts}.safetensors``.
    """
    began = time.perf_counter()
    walks = walk_cell(cell)
    if folder is not None:
        (folder / cell.key).mkdir(exist_ok=True)
        for walk, (_, path) in walks.items():
            name = f"{walk.algorithm}_eta{walk.eta:g}_{walk.parts}.safetensors"
            write_atomically(path.save, folder / cell.key / name)
    return measure_walks(cell, walks), time.perf_counter() - began


def write_atomically(save: Callable[[str], None], path: Path) -> None:
    """Write a file so that it is there whole or not at all, even if the machine dies.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        save(name)
        os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _note(folder: Path, cell: Cell, seconds: float) -> None:
    """Add a cell to the sweep's log: what it took on the one core that measured it."""
    with (folder / LOG).open("a") as log:
        log.write(json.dumps({"cell": cell.key, "seconds": round(seconds, 1)}) + "\n")

"""A sweep run through Dask: killed at any moment, it goes on where it stopped."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dask
import pandas as pd
from distributed import CancelledError, Client, Future, LocalCluster, as_completed
from safetensors import SafetensorError
from tqdm import tqdm

from helpers.resources import data_folder
from helpers.sweep.cells import fingerprint, measure_walks, walk_cell
from helpers.sweep.grid import Cell, Grid, Subject, Walk

WORKER = {  # what a process of ours is started with: memory is kept, not given back and asked for again at each step
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}
RETRIES = 5  # of a cell whose worker died
RESULTS = data_folder() / "results" / "walks.parquet"
AHEAD = 4  # cells handed out for each worker
PATIENCE = 60  # seconds for a cluster's first worker to come
LOST = "client: the connection to the scheduler is lost; finished cells are kept, run again to go on from them"


class SweepError(RuntimeError):
    """Some cells could not be measured; what was measured is kept.

    Attributes:
        failed: the name of each, and why.
    """

    def __init__(self, failed: Mapping[str, str], number: int):
        self.failed = dict(failed)
        first: dict[str, str] = {}
        for key, reason in failed.items():
            first.setdefault(reason, key)
        shown = "; ".join(f"{key}: {reason}" for reason, key in itertools.islice(first.items(), 3))
        super().__init__(f"{len(failed)} of {number} cells failed, run again to try them again: {shown}")


def run_sweep(
    grid: Grid,
    folder: str | Path,
    client: Client | str | None = None,
    workers: int | None = None,
    keep_paths: bool = False,
) -> pd.DataFrame:
    """Measure every cell of a grid that has no result yet.

    Each finished cell is one Parquet file, written under another name and then renamed, so that none is ever read
    half-written; a sweep that was killed goes on where it stopped. On one kind of CPU a cell's result depends on its
    name, the model's weights and the inputs alone; finished cells are refused if their ``fingerprint`` says that
    weights or inputs have changed since, for which both are read here. A change of the code is not noticed.

    Args:
        grid: what to measure.
        folder: where results go.
        client: a Dask client, a scheduler's address, or None for processes of this machine. A cluster's scheduler and
            workers need this package, and its workers the same models and inputs under the same names.
        workers: how many processes of this machine; one a core if None.
        keep_paths: whether each walk's points are kept too, in a folder a cell, for ``ExplorationPath.load``; the
            workers write them, so the folder must be the same for all. A cell without them is walked again.

    Returns:
        All results, a row a walk.

    Raises:
        ValueError: the client's workers have several threads each; fewer than one is asked for; finished cells are of
            other weights or inputs than there are now.
        SweepError: cells that failed, each with its reason; all others are kept.
        OSError: a result cannot be written, or there is no scheduler or worker; what was written before is kept.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}: must be 1 or more")
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _check_fingerprints(grid, folder)
    cells = grid.cells()
    pending = [cell for cell in cells if not _is_done(cell, folder, keep_paths)]
    measure = partial(_measure, folder=folder if keep_paths else None)
    if pending:
        told = {"distributed.scheduler.allowed-failures": RETRIES, "distributed.nanny.pre-spawn-environ": WORKER}
        with dask.config.set(told), _connected(client, workers) as connected:
            failed = _hand_out(measure, pending, connected, folder, len(cells))
        if failed:
            raise SweepError(failed, len(pending))
    return load_results(grid, folder)


def load_results(grid: Grid, folder: str | Path) -> pd.DataFrame:
    """Read what a sweep has measured so far, in the grid's order; a row a walk."""
    tables = [pd.read_parquet(result_path(Path(folder), cell)) for cell in _finished(grid, Path(folder))]
    return pd.concat(tables, ignore_index=True).drop(columns="seconds") if tables else pd.DataFrame()


def store(grid: Grid, folder: str | Path, path: Path) -> str:
    """Write what a sweep has measured so far into one table, if anything, and say how much of the grid that is.

    Args:
        grid: what was to be measured.
        folder: where its cells are.
        path: of the table, a row a walk; the columns ``cell`` and ``seconds`` say which cell a walk is of, and how long
            that took, with all of its walks, on one core.
    """
    tables = []
    for cell in _finished(grid, Path(folder)):
        table = pd.read_parquet(result_path(Path(folder), cell))
        tables.append(table.drop(columns="seconds").assign(cell=cell.key, seconds=table["seconds"]))
    if tables:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(partial(pd.concat(tables, ignore_index=True).to_parquet, index=False), path)
    return f"{len(tables)} of {len(grid.cells())} cells in {path}"


def restore(grid: Grid, folder: str | Path, path: Path) -> None:
    """Put the cells of a stored table back into a sweep's folder, so that the sweep goes on from there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = dict(list(pd.read_parquet(path).groupby("cell")))
    for cell in grid.cells():
        if cell.key in stored and not result_path(folder, cell).is_file():
            rows = stored[cell.key].drop(columns="cell")
            write_atomically(partial(rows.to_parquet, index=False), result_path(folder, cell))


def read_stored() -> pd.DataFrame:
    """Read the results that come with the project: those of the grid ``PAPER``, a row a walk."""
    return pd.read_parquet(RESULTS)


def result_path(folder: Path, cell: Cell) -> Path:
    """Name the file of a cell's result."""
    return folder / f"{cell.key}.parquet"


def walk_path(folder: Path, cell: Cell, walk: Walk) -> Path:
    """Name the file of a walk's points."""
    return folder / cell.key / f"{walk.algorithm}_eta{walk.eta:g}_{walk.parts}.safetensors"


def _finished(grid: Grid, folder: Path) -> list[Cell]:
    """List the cells that have a result."""
    return [cell for cell in grid.cells() if result_path(folder, cell).is_file()]


def _is_done(cell: Cell, folder: Path, keep_paths: bool) -> bool:
    """Say whether a cell has its result, and its walks' points where they are wanted."""
    wanted = [walk_path(folder, cell, walk) for walk in cell.walks()] if keep_paths else []
    return all(path.is_file() for path in [result_path(folder, cell), *wanted])


def _check_fingerprints(grid: Grid, folder: Path) -> None:
    """Raise a ValueError if a finished cell is of other weights or inputs than there are now."""
    found: dict[Subject, set[str]] = {}
    for cell in _finished(grid, folder):
        table = pd.read_parquet(result_path(folder, cell))
        found.setdefault(cell.subject, set()).update(map(str, table.get("fingerprint", ["none"])))
    for subject, old in found.items():
        if old != {now := fingerprint(subject, grid.inputs)}:
            raise ValueError(
                f"folder={str(folder)!r}: its cells of {subject.key} have the fingerprint {', '.join(sorted(old))}, "
                f"their model and inputs now {now}; take another folder (and table), or delete those cells"
            )


@contextmanager
def _connected(client: Client | str | None, workers: int | None) -> Iterator[Client]:
    """Use a client, connect to a scheduler, or start processes of this machine with one thread each; close them all."""
    if isinstance(client, Client):
        yield client
    elif client is not None:
        with Client(client, set_as_default=False) as own:
            yield own
    else:
        count = workers or os.cpu_count() or 1
        told = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}  # 0: no limit, any port
        told["silence_logs"] = logging.ERROR  # a worker that is slow to end is only killed
        with LocalCluster(n_workers=count, **told) as cluster, Client(cluster, set_as_default=False) as own:
            yield own


def _hand_out(
    measure: Callable[[Cell], pd.DataFrame], pending: Sequence[Cell], client: Client, folder: Path, total: int
) -> dict[str, str]:
    """Hand out cells, a few ahead of those that are done, and write what comes back: the failed ones' reasons."""
    waiting, cells, failed, complained = iter(pending), {}, {}, set()
    finished, workers = as_completed(loop=client.loop), _wait_for_workers(client)
    with tqdm(total=total, initial=total - len(pending), unit=" cells", delay=2) as bar:
        while True:
            for cell in itertools.islice(waiting, max(0, AHEAD * workers - len(cells))):
                future = client.submit(measure, cell, pure=False)
                cells[future] = cell
                finished.add(future)
            if not cells:
                return failed
            cell, table = cells.pop(future := next(finished)), _result(future)
            workers = _count_workers(client)
            if isinstance(table, pd.DataFrame):
                write_atomically(partial(table.to_parquet, index=False), result_path(folder, cell))
            else:
                failed[cell.key] = repr(table)
                if cell.subject not in complained:
                    bar.write(f"{cell.key}: {table!r}", file=sys.stderr)
                    complained.add(cell.subject)
            bar.update()


def _wait_for_workers(client: Client) -> int:
    """Count a client's workers, when it has one at least."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise TimeoutError(f"client: no worker came in {PATIENCE} seconds; start some (dask worker)") from error
    return _count_workers(client)


def _count_workers(client: Client) -> int:
    """Count a client's workers, one if all are away just now.

    Raises:
        ValueError: some have several threads, which would share the transforms by which derivatives are taken.
    """
    try:
        threads = client.nthreads().values()
    except OSError as error:
        raise OSError(LOST) from error
    if max(threads, default=1) > 1:
        raise ValueError(f"client: has workers of {max(threads)} threads, wanted one each (--nthreads 1)")
    return max(1, len(threads))


def _result(future: Future) -> pd.DataFrame | Exception:
    """Fetch a cell's table, or the error with which it failed."""
    if future.status == "error":
        return future.exception()
    try:
        return future.result()
    except (CancelledError, OSError) as error:
        raise OSError(LOST) from error


def _measure(cell: Cell, folder: Path | None) -> pd.DataFrame:
    """Measure a cell, in how many seconds too; keep its walks where a folder is given."""
    began = time.perf_counter()
    walks = walk_cell(cell)
    if folder is not None:
        (folder / cell.key).mkdir(exist_ok=True)
        for walk, (_, path) in walks.items():
            write_atomically(path.save, walk_path(folder, cell, walk))
    table = measure_walks(cell, walks)
    return table.assign(seconds=round(time.perf_counter() - began, 1))


def write_atomically(save: Callable[[str], None], path: Path) -> None:
    """Write a file so that it is there whole or not at all, even if the machine dies.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    new = path.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        new.touch(exist_ok=False)
        mode = new.stat().st_mode
        save(str(new))
        new.chmod(mode)  # what saves may put a file of its own there, for its owner alone
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except SafetensorError as error:
        raise OSError(f"path={str(path)!r}: cannot be written ({error})") from error
    finally:
        new.unlink(missing_ok=True)

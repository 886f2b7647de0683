"""Run a sweep through Dask. A sweep that is killed at any moment continues from its finished cells."""

from __future__ import annotations

import ast
import inspect
import itertools
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import dask
import pandas as pd
from distributed import CancelledError, Client, Future, LocalCluster, as_completed
from tqdm import tqdm

from helpers.sweep.cells import measure_walks, walk_cell
from helpers.sweep.fingerprints import compute_fingerprint, hash_code
from helpers.sweep.grid import Cell, Grid, Subject
from helpers.sweep.results import (
    is_finished,
    load_results,
    read_finished_cells,
    result_path,
    walk_path,
    write_atomically,
    write_table,
)

WORKER_ENVIRONMENT = {  # one thread, and an allocator that keeps its memory instead of asking again at each step
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
}
DASK_OPTIONS = {
    "distributed.scheduler.allowed-failures": 5,  # workers of a cell that may die before the cell counts as failed
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
}
WORKER_TIMEOUT = 180  # seconds to wait for the first worker of a cluster
CONNECTION_LOST = "client: the connection to the scheduler is lost; run again to continue from the finished cells"


class SweepError(RuntimeError):
    """Some cells failed; the results of all others are kept.

    Attributes:
        failed: the reason for each failed cell, by its key.
    """

    def __init__(self, failed: Mapping[str, str], number: int):
        self.failed = dict(failed)
        examples: dict[str, str] = {}  # one cell per reason
        for key, reason in failed.items():
            examples.setdefault(reason, key)
        reasons = "; ".join(f"{key}: {reason}" for reason, key in itertools.islice(examples.items(), 3))
        super().__init__(f"{len(failed)} of {number} cells failed; run again to repeat them: {reasons}")


def run_sweep(
    grid: Grid,
    folder: str | Path,
    client: Client | str | None = None,
    workers: int | None = None,
    keep_paths: bool = False,
) -> pd.DataFrame:
    """Measure every cell of a grid that has no result yet; one Parquet file per cell, written atomically.

    Args:
        grid: what to measure.
        folder: where results are written. Cells finished there are not repeated; if the code has changed since, a
            warning says so. A damaged result is set aside and computed again.
        client: a Dask client, the address of a scheduler, or None for processes on this machine. Workers on other
            machines need this package and the same models and inputs under the same names.
        workers: the number of processes on this machine; if None, one per core.
        keep_paths: whether the points of each walk are kept too, for ``ExplorationPath.load``. The workers write them
            into ``folder``, which all must share. Finished cells without points are walked again.

    Returns:
        All results, one row per walk; a result depends on its cell, the weights and inputs, and the kind of CPU.

    Raises:
        ValueError: ``workers`` is below 1, a worker has several threads, or finished cells have another fingerprint.
        RuntimeError: a script calls this without a main guard, and no client is given.
        SweepError: some cells failed.
        OSError: a result cannot be written, or no scheduler or worker answers; finished cells are kept.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}: must be 1 or more")
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _check_fingerprints(grid, folder)
    pending = [cell for cell in grid.cells() if not is_finished(cell, folder, keep_paths)]
    measure = partial(_measure, folder=folder if keep_paths else None)
    if pending:
        if client is None:
            _check_main_guard()
        with dask.config.set(DASK_OPTIONS), _connect(client, workers) as connected:
            failed = _run_cells(measure, pending, connected, folder, len(grid.cells()))
        if failed:
            raise SweepError(failed, len(pending))
    return load_results(grid, folder)


def _check_fingerprints(grid: Grid, folder: Path) -> None:
    """Raise a ValueError if weights or inputs of finished cells have changed since; warn if the code has."""
    subjects = {cell.key: cell.subject for cell in grid.cells()}
    columns = ["cell", "fingerprint", "code"]
    stored = read_finished_cells(grid, folder).reindex(columns=columns).astype(object).fillna("none")
    for subject, fingerprints in stored["fingerprint"].groupby(stored["cell"].map(subjects), sort=False):
        current = compute_fingerprint(subject, grid.inputs)
        if set(fingerprints) != {current}:
            raise ValueError(
                f"folder={str(folder)!r}: its cells of {subject.key} have the fingerprint "
                f"{', '.join(sorted(set(fingerprints)))}, but the model and inputs now have {current}; "
                "use another folder (and table), or delete those cells"
            )
    if other := stored.loc[stored["code"] != hash_code(), "cell"].nunique():
        warnings.warn(
            f"folder={str(folder)!r}: {other} of {stored['cell'].nunique()} finished cells were made by other code "
            f"than the present one ({hash_code()}) and are kept; delete them to make them again",
            stacklevel=3,
        )


def _check_main_guard() -> None:
    """Raise a RuntimeError if the processes of a sweep, which import the main script, would begin it again."""
    script, frame = getattr(sys.modules["__main__"], "__file__", None), inspect.currentframe()
    while frame is not None and (frame.f_code.co_name, frame.f_code.co_filename) != ("<module>", script):
        frame = frame.f_back
    if frame is None or script is None or not Path(script).is_file():
        return  # a notebook, an interactive session, or a call from elsewhere than the script
    for statement in ast.parse(Path(script).read_text()).body:
        is_guard = isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)
        if statement.lineno <= frame.f_lineno <= (statement.end_lineno or 0) and not is_guard:
            raise RuntimeError(
                f"{script}, line {frame.f_lineno}: starts a sweep in processes that import this script; put the call "
                "under `if __name__ == '__main__':`"
            )


@contextmanager
def _connect(client: Client | str | None, workers: int | None) -> Iterator[Client]:
    """Use a client, connect to a scheduler, or start processes on this machine; close what was opened here."""
    if isinstance(client, Client):
        yield client
        return
    options: dict[str, Any] = {
        "n_workers": workers or os.cpu_count() or 1,
        "threads_per_worker": 1,
        "memory_limit": 0,  # none
        "dashboard_address": "127.0.0.1:0",  # any free port
        "silence_logs": logging.ERROR,  # Dask warns when it has to kill a worker that ends slowly
    }
    cluster = nullcontext(client) if client else LocalCluster(**options)
    with cluster as scheduler, Client(scheduler, set_as_default=False) as connected:
        yield connected


def _run_cells(
    measure: Callable[[Cell], pd.DataFrame], pending: Sequence[Cell], client: Client, folder: Path, total: int
) -> dict[str, str]:
    """Run cells on the workers of a client and write their results; return the reasons of those that failed."""
    try:
        client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
    except TimeoutError as error:
        message = f"client: no worker has started within {WORKER_TIMEOUT} seconds; start some with `dask worker`"
        raise TimeoutError(message) from error
    _check_threads(client)
    failed: dict[str, str] = {}
    reported: set[Subject] = set()
    cells = {client.submit(measure, cell, pure=False): cell for cell in pending}
    try:
        completed = as_completed(cells, loop=client.loop)
        for future in tqdm(completed, initial=total - len(pending), total=total, unit=" cells", delay=2):
            cell, result = cells.pop(future), _fetch_result(future)
            _check_threads(client)  # a worker may join at any time
            if isinstance(result, pd.DataFrame):
                write_table(result, result_path(folder, cell))
                continue
            failed[cell.key] = repr(result)
            if cell.subject not in reported:
                tqdm.write(f"{cell.key}: {result!r}", file=sys.stderr)
                reported.add(cell.subject)
    finally:
        if client.status == "running":
            with suppress(OSError):  # an error is on its way already
                client.cancel(list(cells))  # those that are left after an error
    return failed


def _check_threads(client: Client) -> None:
    """Raise a ValueError if a worker has several threads, which would share PyTorch's settings and transforms."""
    try:
        threads = max(client.nthreads().values(), default=1)
    except OSError as error:
        raise OSError(CONNECTION_LOST) from error
    if threads > 1:
        raise ValueError(f"client: a worker has {threads} threads, but must have one; use --nthreads 1")


def _fetch_result(future: Future) -> pd.DataFrame | Exception:
    try:
        return future.exception() if future.status == "error" else future.result()
    except (CancelledError, OSError) as error:
        raise OSError(CONNECTION_LOST) from error


def _measure(cell: Cell, folder: Path | None) -> pd.DataFrame:
    """Measure a cell and its time in seconds; write the points of its walks if a folder is given."""
    start = time.perf_counter()
    walks = walk_cell(cell)
    if folder is not None:
        (folder / cell.key).mkdir(exist_ok=True)
        for spec, (_, path) in walks.items():
            write_atomically(path.save, walk_path(folder, cell, spec))
    table = measure_walks(cell, walks)
    return table.assign(seconds=round(time.perf_counter() - start, 1))

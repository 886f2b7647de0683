"""Make a sweep from the command line: ``python -m helpers.sweep --help``.

Without subjects it makes the paper's experiments, and goes on from those whose results are stored in data/results.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from helpers.sweep.grid import ADAPTERS, PAPER, PARTS, Grid, Subject
from helpers.sweep.running import RESULTS, restore, run_sweep, store

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Parse the command line, sweep, and write all results into one table, those too that a failed sweep leaves."""
    parser = _parser()
    told = parser.parse_args()
    try:
        trouble = _sweep(told)
    except ValueError as error:
        parser.error(str(error))
    if trouble:
        sys.exit(trouble)


def _parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m helpers.sweep", description=__doc__)
    about = "adapter:model:inputs or adapter:model:inputs:target, as in vit:google/vit-base-patch16-224:photos:10;"
    parser.add_argument("subjects", nargs="*", help=f"{about} adapters are {', '.join(ADAPTERS)}")
    parser.add_argument("--inputs", type=int, default=PAPER.inputs, help="how many inputs of each")
    parser.add_argument("--etas", type=float, nargs="+", default=PAPER.etas, help="step multipliers")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which parts may move")
    parser.add_argument("--repetitions", type=int, default=PAPER.repetitions)
    parser.add_argument("--steps", type=int, default=PAPER.steps, help="of each walk")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs" / "sweep", help="where cells go, and are found again"
    )
    parser.add_argument("--table", type=Path, help="where the table of all results goes; in the folder if not given")
    parser.add_argument("--scheduler", help="address of a Dask scheduler; processes of this machine if not given")
    parser.add_argument("--workers", type=int, help="how many of those")
    parser.add_argument("--keep-paths", action="store_true", help="keep every walk's points as safetensors")
    return parser


def _sweep(told: argparse.Namespace) -> str | None:
    """Sweep and write the table; say what went wrong."""
    subjects = [Subject.parse(text, told.device) for text in told.subjects]
    subjects = subjects or [replace(subject, device=told.device) for subject in PAPER.subjects]
    grid = Grid(tuple(subjects), told.inputs, tuple(told.etas), tuple(told.parts), told.repetitions, told.steps)
    ours = grid == PAPER
    table = told.table or (RESULTS if ours else told.folder / "walks.parquet")
    if ours and table.is_file():
        restore(grid, told.folder, table)
    trouble = None
    try:
        run_sweep(grid, told.folder, told.scheduler, told.workers, told.keep_paths)
    except (OSError, RuntimeError) as error:
        trouble = f"{type(error).__name__}: {error}"
    print(store(grid, told.folder, table))
    return trouble


if __name__ == "__main__":
    main()

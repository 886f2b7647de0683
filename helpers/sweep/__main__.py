"""Run a sweep from the command line: ``python -m helpers.sweep --help``.

Without subjects it runs the paper's experiments and continues from the results that come with the project.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from helpers.sweep.algorithms import ABLATION, ALGORITHMS, MAIN
from helpers.sweep.grid import ADAPTERS, IMPORTANCES, PAPER, PARTS, Grid, Subject
from helpers.sweep.results import export_results, import_results
from helpers.sweep.running import run_sweep


def main() -> None:
    """Parse the command line, run the sweep, and write one table of all results, also when some cells failed."""
    parser = _make_parser()
    arguments = parser.parse_args()
    folder, error = arguments.folder, None
    try:
        grid = _make_grid(arguments)
        if grid == PAPER:
            import_results(grid, folder)
        run_sweep(grid, folder, arguments.scheduler, arguments.workers, arguments.keep_paths)
    except ValueError as invalid:
        parser.error(str(invalid))
    except (OSError, RuntimeError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(export_results(grid, folder, arguments.table or folder / "walks.parquet"))
    if error:
        sys.exit(error)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.sweep", description=__doc__)
    subject = f"adapter:model:inputs or adapter:model:inputs:target; the adapters are {', '.join(ADAPTERS)}"
    parser.add_argument("subjects", nargs="*", help=f"{subject}; example: vit:google/vit-base-patch16-224:photos:10")
    parser.add_argument("--inputs", type=int, default=PAPER.inputs, help="number of inputs per subject")
    parser.add_argument("--etas", type=float, nargs="+", default=PAPER.etas, help="step multipliers")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PAPER.parts, help="which parts may move")
    importance = "by which the most important parts are chosen"
    parser.add_argument("--importance", choices=IMPORTANCES, default=PAPER.importance, help=importance)
    names = f"which walks: main, ablation, or any of: {'; '.join(ALGORITHMS)}"
    parser.add_argument("--algorithms", nargs="+", default=PAPER.algorithms, help=names)
    parser.add_argument("--repetitions", type=int, default=PAPER.repetitions, help="walks of each kind per input")
    parser.add_argument("--steps", type=int, default=PAPER.steps, help="steps of each walk")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    folder = "where finished cells are kept; a sweep continues from them"
    parser.add_argument("--folder", type=Path, default=Path("runs/sweep"), help=folder)
    parser.add_argument("--table", type=Path, help="file for the table of all results; default: FOLDER/walks.parquet")
    parser.add_argument("--scheduler", help="address of a Dask scheduler; default: processes on this machine")
    parser.add_argument("--workers", type=int, help="number of processes on this machine; default: one per core")
    parser.add_argument("--keep-paths", action="store_true", help="keep the points of every walk as safetensors")
    return parser


def _make_grid(arguments: argparse.Namespace) -> Grid:
    subjects = tuple(Subject.parse(text, arguments.device) for text in arguments.subjects)
    subjects = subjects or tuple(replace(subject, device=arguments.device) for subject in PAPER.subjects)
    etas, parts = tuple(arguments.etas), tuple(arguments.parts)
    sets = {"main": MAIN, "ablation": ABLATION}
    algorithms = tuple(name for word in arguments.algorithms for name in sets.get(word, (word,)))
    numbers = (arguments.repetitions, arguments.steps)
    return Grid(subjects, arguments.inputs, etas, parts, *numbers, algorithms, arguments.importance)


if __name__ == "__main__":
    main()

"""A sweep is killed in every way that we could think of, and its results are those of an undisturbed one."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest
from distributed import Client, LocalCluster

from helpers.equivalence import ExplorationPath
from helpers.sweep import Grid, Subject, SweepError, load_results, measure_cell, restore, run_sweep, store
from helpers.sweep.__main__ import main
from helpers.sweep.running import result_path, write_atomically

SUBJECTS = (Subject("vit-digits", "vit", "digits"), Subject("bert-sentiment", "bert", "reviews"))
GRID = Grid(SUBJECTS, inputs=5, etas=(1,), parts=("one",), repetitions=2, steps=4)
# imports once, then forks sweeps and kills each at a random moment; what it prints is how far each one came
KILLER = """
import os, random, signal, sys, time
from distributed import Client
from helpers.equivalence import ExplorationPath
from helpers.sweep import run_sweep
from tests.sweep.test_running import GRID
folder, kills = sys.argv[1], int(sys.argv[2])
moments = random.Random(0)
done = lambda: len([n for n in os.listdir(folder) if n.endswith(".parquet")]) if os.path.isdir(folder) else 0
for kill in range(kills):
    before, began = done(), time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            run_sweep(GRID, folder, Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None))
        finally:
            os._exit(0)
    while kill % 2 and done() == before < 19 and time.monotonic() - began < 60:  # every other one after a result
        time.sleep(0.01)
    time.sleep(moments.uniform(0.0, 0.2 if kill % 2 else 3.0))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(done())
"""
FULL = """
import os, resource, sys
from distributed import Client
from helpers.equivalence import ExplorationPath
from helpers.sweep import run_sweep
from tests.sweep.test_running import GRID
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    run_sweep(GRID, sys.argv[1], Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None))
except OSError as error:
    print("OSError", error)
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def undisturbed():
    return pd.concat([measure_cell(cell) for cell in GRID.cells()], ignore_index=True)


@pytest.fixture
def client():
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        yield client


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=True
    ).stdout


def test_ten_sigkills_at_random_moments_and_then_the_rest(tmp_path, client, undisturbed):
    came = [int(line) for line in run(KILLER, tmp_path / "sweep", 10).split()]
    assert len(came) == 10
    assert came == sorted(came), "what was finished stays"
    assert any(0 < far < 20 for far in came), "some were killed with the sweep half done"
    pd.testing.assert_frame_equal(run_sweep(GRID, tmp_path / "sweep", client), undisturbed, check_exact=True)


def test_a_worker_killed_mid_sweep_and_two_processes(tmp_path, undisturbed):
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        victims = list(client.run(os.getpid).values())

        def kill_one_at_work():
            for _ in range(600):
                if sum(map(len, client.processing().values())) and list(tmp_path.glob("*.parquet")):
                    break
                time.sleep(0.02)
            os.kill(victims[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_one_at_work)
        killer.start()
        found = run_sweep(GRID, tmp_path, client)
        killer.join()
        assert victims[0] not in client.run(os.getpid).values()
    pd.testing.assert_frame_equal(found, undisturbed, check_exact=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, client, undisturbed):
    assert "OSError" in run(FULL, tmp_path)
    assert not list(tmp_path.iterdir())
    pd.testing.assert_frame_equal(run_sweep(GRID, tmp_path, client), undisturbed, check_exact=True)


def test_what_is_finished_is_not_done_again_and_nothing_unfinished_is_read(tmp_path, client, undisturbed):
    (tmp_path / "abc.tmp").write_bytes(b"PAR1 half a file")
    assert len(load_results(GRID, tmp_path)) == 0
    marked = undisturbed[:4].assign(drift=42.0)
    write_atomically(marked.to_parquet, result_path(tmp_path, GRID.cells()[0]))
    found = run_sweep(GRID, tmp_path, client)
    assert (found["drift"][:4] == 42.0).all()
    pd.testing.assert_frame_equal(found[4:], undisturbed[4:], check_exact=True)
    began = time.perf_counter()
    assert len(run_sweep(GRID, tmp_path, "tcp://127.0.0.1:1")) == 80, "nobody is asked when nothing is left"
    assert time.perf_counter() - began < 30


def test_the_command_line_with_processes_of_its_own_keeps_walks_and_goes_on_from_a_table(tmp_path, monkeypatch, capsys):
    folder, table = tmp_path / "sweep", tmp_path / "table.parquet"
    told = {"inputs": 1, "etas": 1, "parts": "one", "repetitions": 1, "steps": 3, "workers": 1}
    options = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    subjects = ["vit:vit-digits:digits", "bert:bert-sentiment:reviews"]
    monkeypatch.setattr(
        sys, "argv", ["sweep", *subjects, *options, "--keep-paths", "--folder", str(folder), "--table", str(table)]
    )
    main()
    assert "2 of 2 cells" in capsys.readouterr().out
    few = replace(GRID, inputs=1, repetitions=1, steps=3)
    found = load_results(few, folder)
    for cell in few.cells():
        for row in found[found["model"] == cell.subject.model].itertuples():
            path = ExplorationPath.load(folder / cell.key / f"{row.algorithm}_eta1_one.safetensors")
            assert (len(path), path.travel) == (row.steps, row.travel)
    stored = pd.read_parquet(table)
    assert (stored["seconds"] > 0).all()
    assert set(stored["cell"]) == {cell.key for cell in few.cells()}
    restore(few, tmp_path / "again", table)
    pd.testing.assert_frame_equal(load_results(few, tmp_path / "again"), found, check_exact=True)
    store(few, tmp_path / "again", tmp_path / "twice.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "twice.parquet"), stored, check_exact=True)


def test_cells_that_fail_are_named_and_the_others_kept(tmp_path, client):
    nowhere = Subject("vit-nowhere", "vit", "digits")
    broken = replace(GRID, subjects=(SUBJECTS[0], nowhere), inputs=1, repetitions=1)
    with pytest.raises(SweepError, match=r"1 of 2 cells failed.*vit-nowhere_digits_0of1.*ModelNotFoundError"):
        run_sweep(broken, tmp_path, client)
    assert len(load_results(broken, tmp_path)) == 4


def test_workers_of_several_threads_are_refused(tmp_path):
    many = Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None)
    with many, pytest.raises(ValueError, match="workers of 2 threads, wanted one each"):
        run_sweep(GRID, tmp_path, many)

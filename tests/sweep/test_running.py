"""A sweep is killed in every way that we could think of, and its results are those of an undisturbed one."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from distributed import Client, LocalCluster
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file

from helpers.equivalence import ExplorationPath
from helpers.sweep import (
    PAPER,
    Grid,
    Subject,
    SweepError,
    load_results,
    measure_cell,
    restore,
    run_sweep,
    running,
    store,
)
from helpers.sweep import __main__ as command_line
from helpers.sweep.running import result_path, walk_path, write_atomically

SUBJECTS = (Subject("vit-digits", "vit", "digits"), Subject("bert-sentiment", "bert", "reviews"))
GRID = Grid(SUBJECTS, inputs=5, etas=(1,), parts=("one",), repetitions=2, steps=4)
# without an address Dask asks for port 8787, which another sweep of this machine may have
IN_THREAD = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
# imports once, then forks sweeps and kills each at a random moment; what it prints is how far each one came
KILLER = """
import os, random, signal, sys, time
from distributed import Client
from helpers.equivalence import ExplorationPath
from helpers.sweep import run_sweep
from tests.sweep.test_running import GRID, IN_THREAD
folder, kills = sys.argv[1], int(sys.argv[2])
moments = random.Random(0)
done = lambda: len([n for n in os.listdir(folder) if n.endswith(".parquet")]) if os.path.isdir(folder) else 0
for kill in range(kills):
    before, began = done(), time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            run_sweep(GRID, folder, Client(**IN_THREAD))
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
from tests.sweep.test_running import GRID, IN_THREAD
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    run_sweep(GRID, sys.argv[1], Client(**IN_THREAD))
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
    with Client(**IN_THREAD) as client:
        yield client


@pytest.fixture
def call(monkeypatch):
    """The command line, called with some words."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, words)])
        command_line.main()

    return call


def own_processes(process):
    """The processes that a sweep started, below one."""
    return [child for child in process.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


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


def test_the_command_line_killed_mid_sweep_and_called_again(tmp_path, undisturbed):
    options = ["--inputs", 5, "--etas", 1, "--parts", "one", "--repetitions", 2, "--steps", 4, "--workers", 1]
    places = ["--folder", tmp_path, "--table", tmp_path / "table" / "walks.parquet"]
    subjects = ["vit:vit-digits:digits", "bert:bert-sentiment:reviews"]
    command = [sys.executable, "-m", "helpers.sweep", *map(str, [*subjects, *options, *places])]
    sweep = psutil.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(24_000):
        if list(tmp_path.glob("*.parquet")) or sweep.poll() is not None:
            break
        time.sleep(0.01)
    workers = own_processes(sweep)
    sweep.kill()
    sweep.wait()
    assert 0 < len(list(tmp_path.glob("*.parquet"))) < 20
    assert workers and not psutil.wait_procs(workers, timeout=60)[1], "a worker outlives its sweep"
    subprocess.run(command, capture_output=True, timeout=240, check=True)
    found = pd.read_parquet(tmp_path / "table" / "walks.parquet").drop(columns=["cell", "seconds"])
    pd.testing.assert_frame_equal(found, undisturbed.astype({"eta": float}), check_exact=True)


def test_a_worker_killed_mid_sweep_and_two_processes(tmp_path, undisturbed):
    with LocalCluster(**{**IN_THREAD, "n_workers": 2, "processes": True}) as cluster, Client(cluster) as client:
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
    marked = undisturbed[:4].assign(drift=42.0, seconds=1.0)
    write_atomically(marked.to_parquet, result_path(tmp_path, GRID.cells()[0]))
    found = run_sweep(GRID, tmp_path, client)
    assert (found["drift"][:4] == 42.0).all()
    pd.testing.assert_frame_equal(found[4:], undisturbed[4:], check_exact=True)
    assert len(run_sweep(GRID, tmp_path, "tcp://127.0.0.1:1")) == 80, "nobody is asked when nothing is left"


@pytest.mark.parametrize("column", [{"fingerprint": "0123456789ab"}, {}], ids=["another", "none"])
def test_cells_of_other_weights_or_inputs_are_not_taken_for_current_ones(tmp_path, undisturbed, column):
    stale = undisturbed[:4].drop(columns="fingerprint").assign(**column, seconds=1.0)
    write_atomically(stale.to_parquet, result_path(tmp_path, GRID.cells()[0]))
    told = rf"vit-digits_digits have the fingerprint {column.get('fingerprint', 'none')}, .* now \w{{12}}; take another"
    with pytest.raises(ValueError, match=told):
        run_sweep(GRID, tmp_path, "tcp://127.0.0.1:1")


@pytest.mark.filterwarnings("error:Port")
def test_the_command_line_with_processes_of_its_own_keeps_walks_and_goes_on_from_a_table(
    tmp_path, monkeypatch, capsys, call, client
):
    folder, table = tmp_path / "sweep", tmp_path / "table.parquet"
    told = {"inputs": 1, "etas": 1, "parts": "one", "repetitions": 1, "steps": 3, "workers": 1}
    options = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    subjects = ["vit:vit-digits:digits", "bert:bert-sentiment:reviews"]
    listening = lambda: {each.laddr for each in psutil.Process().net_connections("tcp") if each.status == "LISTEN"}  # noqa: E731
    seen, before, hand_out = {}, listening(), running._hand_out

    def look_and_hand_out(measure, pending, own, *rest):
        seen["limits"] = {worker["memory_limit"] for worker in own.scheduler_info()["workers"].values()}
        seen["hosts"] = {address.ip for address in listening() - before}
        return hand_out(measure, pending, own, *rest)

    monkeypatch.setattr(running, "_hand_out", look_and_hand_out)
    call(*subjects, *options, "--keep-paths", "--folder", folder, "--table", table)
    assert "2 of 2 cells" in capsys.readouterr().out
    assert seen == {"limits": {0}, "hosts": {"127.0.0.1"}}
    assert not own_processes(psutil.Process()), "a worker outlives its sweep"
    few = replace(GRID, inputs=1, repetitions=1, steps=3)
    found = load_results(few, folder)
    for cell in few.cells():
        for row in found[found["model"] == cell.subject.model].itertuples():
            path = ExplorationPath.load(folder / cell.key / f"{row.algorithm}_eta1_one.safetensors")
            assert (len(path), path.travel) == (row.steps, row.travel)
    first, second = (walk_path(folder, cell, cell.walks()[-1]) for cell in few.cells())
    kept = second.stat()
    first.unlink()
    monkeypatch.chdir(tmp_path)
    run_sweep(few, "sweep", client, keep_paths=True)
    assert first.is_file() and second.stat() == kept, "only a cell whose paths are not all there is walked again"
    store(few, folder, table)
    stored = pd.read_parquet(table)
    assert list(stored)[-2:] == ["cell", "seconds"]
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


def test_a_failure_is_told_at_once_the_others_are_stored_and_the_end_is_an_error(tmp_path, capsys, call, client):
    (tmp_path / "photos").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "photos" / "one.png")
    subjects = ["vit:vit-digits:digits", f"vit:vit-digits:{tmp_path / 'photos'}"]
    options = ["--inputs", 2, "--etas", 1, "--parts", "one", "--repetitions", 1, "--steps", 2, "--folder", tmp_path]
    with pytest.raises(SystemExit) as ended:
        call(*subjects, *options, "--scheduler", client.scheduler.address)
    said = capsys.readouterr()
    assert "2 of 4 cells" in said.out
    assert said.err.count("has 1, wanted 2 (--inputs 1)") == 1, "one complaint a subject"
    assert str(ended.value).startswith("SweepError: 2 of 4 cells failed")
    assert len(pd.read_parquet(tmp_path / "walks.parquet")) == 8


def test_every_reason_is_kept_with_the_error():
    error = SweepError({f"cell {i}": f"reason {i // 2}" for i in range(10)}, 20)
    assert len(error.failed) == 10
    assert str(error).endswith("cell 0: reason 0; cell 2: reason 1; cell 4: reason 2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vit:vit-digits"], "subject='vit:vit-digits': must read adapter:model:inputs"),
        (["vit:vit-digits:digits", "--steps", "0"], "steps=0: must be 1 or more"),
        (["vit:vit-digits:digits", "--etas", "-1"], "etas=(-1.0,): must be positive"),
        (["vit:vit-digits:digits", "--workers", "0"], "workers=0: must be 1 or more"),
        (["vit:vit-digits:digits:0"], "target=0: must be 1 or more"),
    ],
)
def test_what_the_command_line_cannot_do_is_said_without_a_traceback(tmp_path, capsys, call, words, message):
    with pytest.raises(SystemExit) as ended:
        call(*words, "--folder", tmp_path)
    assert ended.value.code == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_a_device_without_subjects_is_that_of_the_papers(tmp_path, monkeypatch, call):
    grids = []
    monkeypatch.setattr(command_line, "run_sweep", lambda grid, *_: grids.append(grid))
    call("--device", "cuda", "--folder", tmp_path)
    assert [subject.device for subject in grids[0].subjects] == ["cuda"] * len(PAPER.subjects)


def test_workers_of_several_threads_are_refused(tmp_path):
    many = Client(**{**IN_THREAD, "threads_per_worker": 2})
    with many, pytest.raises(ValueError, match="workers of 2 threads, wanted one each"):
        run_sweep(GRID, tmp_path, many)


def test_workers_that_join_get_cells_and_are_refused_if_they_have_several_threads(tmp_path, monkeypatch, client):
    handed, when_asked, submit = [], [], client.submit
    workers = iter([{1: 1}, {1: 1, 2: 1, 3: 1}, {1: 1, 2: 1, 3: 2}])

    def nthreads():
        when_asked.append(len(handed))
        return next(workers)

    monkeypatch.setattr(client, "nthreads", nthreads)
    monkeypatch.setattr(client, "submit", lambda *a, **k: handed.append(submit(*a, **k)) or handed[-1])
    with pytest.raises(ValueError, match="workers of 2 threads"):
        run_sweep(GRID, tmp_path, client)
    assert when_asked == [0, 4, 13], "four for each worker, and one for the one that was done"
    assert len(list(tmp_path.glob("*.parquet"))) == 1


def test_two_sweeps_on_one_scheduler_do_not_take_each_others_cells(tmp_path, monkeypatch, client):
    keys, submit, few = [], client.submit, replace(GRID, subjects=SUBJECTS[:1], inputs=1, repetitions=1)

    def submit_and_remember(*given, **told):
        future = submit(*given, **told)
        keys.append(future.key)
        return future

    monkeypatch.setattr(client, "submit", submit_and_remember)
    for name in ("one", "two"):
        run_sweep(few, tmp_path / name, client)
    assert len(set(keys)) == 2


def test_a_cluster_without_workers_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", 0.1)
    nobody = Client(**{**IN_THREAD, "n_workers": 0})
    with nobody, pytest.raises(TimeoutError, match=r"no worker came in 0\.1 seconds"):
        run_sweep(GRID, tmp_path, nobody)


def test_a_lost_scheduler_is_named_and_what_was_finished_is_kept(tmp_path):
    with LocalCluster(**IN_THREAD, protocol="tcp://", host="127.0.0.1") as cluster:

        def lose_it():
            while not list(tmp_path.glob("*.parquet")):
                time.sleep(0.01)
            cluster.close()

        loser = threading.Thread(target=lose_it, daemon=True)
        loser.start()
        with pytest.raises(OSError, match=r"scheduler is lost; finished cells are kept"):
            run_sweep(GRID, tmp_path, cluster.scheduler_address)
        loser.join()
    assert len(load_results(GRID, tmp_path)) >= 4


@pytest.mark.parametrize(
    "save", [partial(save_file, {"a": torch.ones(3)}), pd.DataFrame({"a": [1]}).to_parquet], ids=["walk", "table"]
)
def test_the_file_that_is_put_on_the_disk_is_the_one_that_stays(tmp_path, monkeypatch, save):
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or sync(handle))
    write_atomically(save, tmp_path / "file")
    (tmp_path / "plain").touch()
    assert synced == [(tmp_path / "file").stat().st_ino]
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode, "as any file, not for us alone"


def test_a_walk_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    def save(name):
        Path(name).write_bytes(b"half")
        raise SafetensorError("no room")

    with pytest.raises(OSError, match=r"walk.*no room"):
        write_atomically(save, tmp_path / "walk")
    assert not list(tmp_path.iterdir())

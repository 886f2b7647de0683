"""A sweep that is killed, interrupted or short of space ends with the results of an undisturbed one."""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import dask
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context
from PIL import Image

from helpers.equivalence import ExplorationPath
from helpers.sweep import (
    ABLATION,
    MAIN,
    PAPER,
    Grid,
    Subject,
    SweepError,
    export_results,
    import_results,
    load_results,
    measure_cell,
    results,
    run_sweep,
    running,
)
from helpers.sweep import __main__ as command_line
from helpers.sweep.fingerprints import compute_fingerprint
from helpers.sweep.results import result_path, walk_path, write_atomically

pytestmark = pytest.mark.xdist_group("sweep")  # one worker computes what undisturbed sweeps give

SUBJECTS = (Subject("vit-digits", "vit", "digits"), Subject("bert-sentiment", "bert", "reviews"))
WALKS = ("SiMEC", "SiMExp", "released SiMEC", "corrected")
GRID = Grid(SUBJECTS, inputs=3, etas=(1,), parts=("one",), repetitions=2, steps=2, algorithms=WALKS)
FEW = replace(GRID, inputs=1)  # four cells, where a test needs no more
# without an address Dask asks for port 8787, which another sweep of this machine may have
IN_THREAD = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
PATIENCE = 1200  # seconds after which a process counts as hung, however busy the machine
# imports once, then forks sweeps and kills each at a random moment; prints the finished cells after each
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
    while kill % 2 and done() == before < 11 and time.monotonic() - began < 100:  # every other one after a result
        time.sleep(0.01)
    time.sleep(moments.uniform(0.0, 0.2 if kill % 2 else 1.5))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(done())
"""
FULL = """
import os, resource, sys
from distributed import Client
from helpers.equivalence import ExplorationPath
from helpers.sweep import run_sweep
from tests.sweep.test_running import FEW, IN_THREAD
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    run_sweep(FEW, sys.argv[1], Client(**IN_THREAD))
except OSError as error:
    print("OSError", error)
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def undisturbed():
    return pd.concat([measure_cell(cell) for cell in GRID.cells()], ignore_index=True)


@pytest.fixture(scope="module")
def undisturbed_few():
    return pd.concat([measure_cell(cell) for cell in FEW.cells()], ignore_index=True)


@pytest.fixture
def client():
    with Client(**IN_THREAD) as client:
        yield client


@pytest.fixture
def two_processes():
    """A cluster of two processes, forked from one that has imported what they need; an import takes seconds."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload(["helpers.sweep"])
        with LocalCluster(**{**IN_THREAD, "n_workers": 2, "processes": True}) as cluster:
            yield cluster


@pytest.fixture
def call(monkeypatch):
    """The command line, called with some words."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, words)])
        command_line.main()

    return call


def listening_addresses():
    """The addresses at which this process accepts connections."""
    return {one.laddr for one in psutil.Process().net_connections("tcp") if one.status == "LISTEN"}


def own_processes(process):
    """The processes that a sweep started, below one."""
    return [child for child in process.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout


def test_ten_sigkills_at_random_moments_and_then_the_rest(tmp_path, client, undisturbed):
    finished = [int(line) for line in run(KILLER, tmp_path / "sweep", 10).split()]
    assert len(finished) == 10
    assert finished == sorted(finished), "finished cells are kept"
    assert any(0 < count < 12 for count in finished), "some sweeps were killed half done"
    pd.testing.assert_frame_equal(run_sweep(GRID, tmp_path / "sweep", client), undisturbed, check_exact=True)


def test_the_command_line_killed_mid_sweep_and_called_again(tmp_path, undisturbed, call, client):
    options = ["--inputs", 3, "--etas", 1, "--parts", "one", "--repetitions", 2, "--steps", 2]
    options += ["--algorithms", *WALKS, "--importance", "metric"]
    places = ["--folder", tmp_path, "--table", tmp_path / "table" / "walks.parquet"]
    subjects = ["vit:vit-digits:digits", "bert:bert-sentiment:reviews"]
    command = [*subjects, *options, *places]
    words = [sys.executable, "-m", "helpers.sweep", *map(str, [*command, "--workers", 1])]
    sweep = psutil.Popen(words, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("*.parquet")) and sweep.poll() is None:
        time.sleep(0.01)
    workers = own_processes(sweep)
    sweep.kill()
    sweep.wait()
    assert 0 < len(list(tmp_path.glob("*.parquet"))) < 12
    assert workers and not psutil.wait_procs(workers, timeout=PATIENCE)[1], "a worker outlives its sweep"
    call(*command, "--scheduler", client.scheduler.address)
    table = pd.read_parquet(tmp_path / "table" / "walks.parquet").drop(columns=["cell", "seconds"])
    pd.testing.assert_frame_equal(table, undisturbed.astype({"eta": float}), check_exact=True)


def test_a_worker_killed_mid_sweep_and_two_processes(tmp_path, undisturbed, two_processes):
    with Client(two_processes) as client:
        victims = list(client.run(os.getpid).values())

        has_ended = threading.Event()

        def kill_one_at_work():
            while not has_ended.wait(0.02):
                if sum(map(len, client.processing().values())) and list(tmp_path.glob("*.parquet")):
                    os.kill(victims[0], signal.SIGKILL)
                    return

        killer = threading.Thread(target=kill_one_at_work)
        killer.start()
        results = run_sweep(GRID, tmp_path, client)
        has_ended.set()
        killer.join()
        assert victims[0] not in client.run(os.getpid).values()
    pd.testing.assert_frame_equal(results, undisturbed, check_exact=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, client, undisturbed_few):
    assert "OSError" in run(FULL, tmp_path)
    assert not list(tmp_path.iterdir())
    pd.testing.assert_frame_equal(run_sweep(FEW, tmp_path, client), undisturbed_few, check_exact=True)


def test_what_is_finished_is_not_done_again_and_nothing_unfinished_is_read(tmp_path, client, undisturbed_few):
    (tmp_path / "abc.tmp").write_bytes(b"PAR1 half a file")
    assert len(load_results(FEW, tmp_path)) == 0
    marked = undisturbed_few[:4].assign(drift=42.0, seconds=1.0)
    write_atomically(marked.to_parquet, result_path(tmp_path, FEW.cells()[0]))
    results = run_sweep(FEW, tmp_path, client)
    assert (results["drift"][:4] == 42.0).all()
    pd.testing.assert_frame_equal(results[4:], undisturbed_few[4:], check_exact=True)
    assert len(run_sweep(FEW, tmp_path, "tcp://127.0.0.1:1")) == 16, "a finished sweep needs no scheduler"


@pytest.mark.parametrize("column", [{"fingerprint": "0123456789ab"}, {}], ids=["another", "none"])
def test_cells_of_other_weights_or_inputs_are_not_taken_for_current_ones(tmp_path, undisturbed, column):
    stale = undisturbed[:4].drop(columns="fingerprint").assign(**column, seconds=1.0)
    write_atomically(stale.to_parquet, result_path(tmp_path, GRID.cells()[0]))
    old = column.get("fingerprint", "none")
    with pytest.raises(
        ValueError, match=rf"vit-digits_digits have the fingerprint {old}, .* now have \w{{12}}; use another"
    ):
        run_sweep(GRID, tmp_path, "tcp://127.0.0.1:1")


@pytest.mark.filterwarnings("error:Port")
def test_the_command_line_with_processes_of_its_own_keeps_walks_and_goes_on_from_a_table(
    tmp_path, monkeypatch, capsys, call, client
):
    folder, table = tmp_path / "sweep", tmp_path / "table.parquet"
    values = {"inputs": 1, "etas": 1, "parts": "one", "repetitions": 1, "steps": 3, "workers": 1}
    options = [word for name, value in values.items() for word in (f"--{name}", str(value))]
    options += ["--algorithms", *WALKS, "--importance", "metric"]
    subjects = ["vit:vit-digits:digits", "bert:bert-sentiment:reviews"]
    cluster, before, run_cells = {}, listening_addresses(), running._run_cells

    def record_and_run_cells(measure, pending, connected, *rest):
        cluster["limits"] = {worker["memory_limit"] for worker in connected.scheduler_info()["workers"].values()}
        cluster["hosts"] = {address.ip for address in listening_addresses() - before}
        return run_cells(measure, pending, connected, *rest)

    monkeypatch.setattr(running, "_run_cells", record_and_run_cells)
    call(*subjects, *options, "--keep-paths", "--folder", folder, "--table", table)
    assert "2 of 2 cells" in capsys.readouterr().out
    assert cluster == {"limits": {0}, "hosts": {"127.0.0.1"}}
    assert not own_processes(psutil.Process()), "a worker outlives its sweep"
    few = replace(GRID, inputs=1, repetitions=1, steps=3)
    results = load_results(few, folder)
    for cell in few.cells():
        for row in results[results["model"] == cell.subject.model].itertuples():
            path = ExplorationPath.load(folder / cell.key / f"{row.algorithm}_eta1_one.safetensors")
            assert (len(path), path.travel) == (row.steps, row.travel)
    first, second = (walk_path(folder, cell, cell.walks()[-1]) for cell in few.cells())
    unchanged = second.stat()
    first.unlink()
    monkeypatch.chdir(tmp_path)
    run_sweep(few, "sweep", client, keep_paths=True)
    assert first.is_file() and second.stat() == unchanged, "only a cell whose paths are not all there is walked again"
    export_results(few, folder, table)
    stored = pd.read_parquet(table)
    assert list(stored)[-2:] == ["cell", "seconds"]
    assert (stored["seconds"] > 0).all()
    assert set(stored["cell"]) == {cell.key for cell in few.cells()}
    import_results(few, tmp_path / "again", table)
    pd.testing.assert_frame_equal(load_results(few, tmp_path / "again"), results, check_exact=True)
    export_results(few, tmp_path / "again", tmp_path / "twice.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "twice.parquet"), stored, check_exact=True)


def test_failed_cells_are_named_and_the_others_are_kept(tmp_path, client):
    nowhere = Subject("vit-nowhere", "vit", "digits")
    broken = replace(GRID, subjects=(SUBJECTS[0], nowhere), inputs=1, repetitions=1)
    with pytest.raises(SweepError, match=r"1 of 2 cells failed.*vit-nowhere_digits_0of1.*ModelNotFoundError"):
        run_sweep(broken, tmp_path, client)
    assert len(load_results(broken, tmp_path)) == 4


def test_the_command_line_reports_a_failure_once_and_writes_the_other_results(tmp_path, capsys, call, client):
    (tmp_path / "photos").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "photos" / "one.png")
    subjects = ["vit:vit-digits:digits", f"vit:vit-digits:{tmp_path / 'photos'}"]
    options = ["--inputs", 2, "--etas", 1, "--parts", "one", "--repetitions", 1, "--steps", 2, "--folder", tmp_path]
    options += ["--algorithms", *WALKS]
    with pytest.raises(SystemExit) as ended:
        call(*subjects, *options, "--scheduler", client.scheduler.address)
    printed = capsys.readouterr()
    assert "2 of 4 cells" in printed.out
    assert printed.err.count("contains 1 inputs, but 2 were requested") == 1
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
def test_invalid_arguments_end_without_a_traceback(tmp_path, capsys, call, words, message):
    with pytest.raises(SystemExit) as ended:
        call(*words, "--folder", tmp_path)
    assert ended.value.code == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_without_subjects_the_command_line_continues_from_the_bundled_results(tmp_path, monkeypatch, call):
    cells = PAPER.cells()[:3]
    bundled = pd.DataFrame({"drift": 1.0, "cell": [cell.key for cell in cells], "seconds": 2.0})
    bundled.to_parquet(tmp_path / "bundled.parquet")
    monkeypatch.setattr(results, "BUNDLED_RESULTS", tmp_path / "bundled.parquet")
    monkeypatch.setattr(command_line, "run_sweep", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    call()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "runs" / "sweep" / "walks.parquet"), bundled)


def test_a_device_without_subjects_is_that_of_the_papers(tmp_path, monkeypatch, call):
    grids = []
    monkeypatch.setattr(command_line, "run_sweep", lambda grid, *_: grids.append(grid))
    call("--device", "cuda", "--folder", tmp_path)
    assert [subject.device for subject in grids[0].subjects] == ["cuda"] * len(PAPER.subjects)


def test_named_sets_of_walks_are_those_of_the_package(tmp_path, monkeypatch, call):
    grids = []
    monkeypatch.setattr(command_line, "run_sweep", lambda grid, *_: grids.append(grid))
    for words in (["main"], ["ablation"], ["SiMEC", "corrected"]):
        call("vit:vit-digits:digits", "--algorithms", *words, "--folder", tmp_path)
    assert [grid.algorithms for grid in grids] == [MAIN, ABLATION, ("SiMEC", "corrected")]


def test_a_damaged_cell_is_computed_again(tmp_path, client, undisturbed):
    few = replace(GRID, subjects=SUBJECTS[:1], inputs=1, repetitions=1)
    expected = run_sweep(few, tmp_path, client)
    path = result_path(tmp_path, few.cells()[0])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="is damaged and was renamed"):
        again = run_sweep(few, tmp_path, client)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)


def test_cells_of_other_code_are_kept_and_named(tmp_path, undisturbed):
    few = replace(GRID, inputs=1, repetitions=1)
    for number, cell in enumerate(few.cells()):
        rows = undisturbed[4 * number : 4 * number + 4].assign(seconds=1.0)
        rows["fingerprint"] = compute_fingerprint(cell.subject, 1)
        rows["code"] = "0123456789ab" if number else rows["code"]
        write_atomically(rows.to_parquet, result_path(tmp_path, cell))
    with pytest.warns(UserWarning, match=r"1 of 2 finished cells were made by other code"):
        assert len(run_sweep(few, tmp_path, "tcp://127.0.0.1:1")) == 8


SCRIPT = """
from helpers.sweep import Grid, Subject, run_sweep
def main():
    grid = Grid((Subject("vit-digits", "vit", "digits"),), 1, (1,), ("one",), 1, 2, algorithms=("SiMEC",))
    print(len(run_sweep(grid, "sweep", workers=1)), "rows")
{call}
"""


@pytest.mark.parametrize("call", ["main()", "for _ in [0]:\n    main()"])
def test_a_script_without_a_main_guard_is_told_what_to_do(tmp_path, monkeypatch, call):
    script = tmp_path / "plain.py"
    script.write_text(SCRIPT.format(call=call))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match=r"plain\.py, line [67]: .* put the call under `if __name__ ==") as raised:
        runpy.run_path(str(script), run_name="__main__")
    assert "\n" not in str(raised.value), "a traceback ends with it, in one line"
    assert not own_processes(psutil.Process()), "no process has imported the script"


def test_a_script_with_a_main_guard_runs(tmp_path):
    (tmp_path / "guarded.py").write_text(SCRIPT.format(call="if __name__ == '__main__':\n    main()"))
    ended = subprocess.run(
        [sys.executable, "guarded.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "1 rows" in ended.stdout


def test_workers_of_several_threads_are_refused(tmp_path):
    many = Client(**{**IN_THREAD, "threads_per_worker": 2})
    with many, pytest.raises(ValueError, match="a worker has 2 threads, but must have one"):
        run_sweep(GRID, tmp_path, many)


def test_a_worker_that_joins_later_is_refused_if_it_has_several_threads(tmp_path, monkeypatch, client):
    workers = iter([{1: 1}, {1: 1, 2: 1, 3: 1}, {1: 1, 2: 1, 3: 2}])
    futures, submit = [], client.submit
    monkeypatch.setattr(client, "nthreads", lambda: next(workers))
    monkeypatch.setattr(client, "submit", lambda *a, **k: futures.append(submit(*a, **k)) or futures[-1])
    with pytest.raises(ValueError, match="a worker has 2 threads"):
        run_sweep(GRID, tmp_path, client)
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert [future.status for future in futures].count("cancelled") >= 9, "the other cells are not computed in vain"


def test_two_sweeps_on_one_scheduler_do_not_take_each_others_cells(tmp_path, monkeypatch, client):
    keys, submit, few = [], client.submit, replace(GRID, subjects=SUBJECTS[:1], inputs=1, repetitions=1)

    def submit_and_record(*arguments, **options):
        future = submit(*arguments, **options)
        keys.append(future.key)
        return future

    monkeypatch.setattr(client, "submit", submit_and_record)
    for name in ("one", "two"):
        run_sweep(few, tmp_path / name, client)
    assert len(set(keys)) == 2


def test_waiting_for_a_cluster_without_workers_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "WORKER_TIMEOUT", 0.1)
    nobody = Client(**{**IN_THREAD, "n_workers": 0})
    with nobody, pytest.raises(TimeoutError, match=r"no worker has started within 0\.1 seconds"):
        run_sweep(GRID, tmp_path, nobody)


def test_a_lost_scheduler_is_named_and_finished_cells_are_kept(tmp_path):
    with LocalCluster(**IN_THREAD, protocol="tcp://", host="127.0.0.1") as cluster:

        def lose_it():
            while not list(tmp_path.glob("*.parquet")):
                time.sleep(0.01)
            cluster.close()

        loser = threading.Thread(target=lose_it, daemon=True)
        loser.start()
        with pytest.raises(OSError, match=r"scheduler is lost; run again to continue"):
            run_sweep(GRID, tmp_path, cluster.scheduler_address)
        loser.join()
    assert len(load_results(GRID, tmp_path)) >= 4

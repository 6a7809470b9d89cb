"""A run that is killed, stopped or starved ends as if nothing had happened.

The command line runs as a process here, as on a user's machine.
"""

import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.runs import run_setup
from fdl.runs.experiment import build, load
from fdl.runs.open_run import restore
from fdl.trees import path_name

PROGRAMS = 120

NUM_STEPS = 240
LONGER = [
    ("config.num_steps = 20", f"config.num_steps = {NUM_STEPS}"),
    ('"6 steps"', '"7 steps"'),
    ('"10 steps"', '"13 steps"'),
    ('"4 steps"', '"5 steps"'),
]


@pytest.fixture(scope="module")
def straight():
    """What a run that nobody disturbs ends with; made by the first test that asks."""
    return {}


def numbers(workdir, path):
    """The last checkpoint, leaf by leaf as bytes, and all bytes of the metrics."""
    loaded = load(path)
    setup = run_setup.setup(build(loaded), loaded.config)
    step, carry = restore(pathlib.Path(workdir), setup, loaded.config, "latest")
    assert step == NUM_STEPS
    found = {
        path_name(place): np.asarray(
            jax.random.key_data(x)
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
            else x
        ).tobytes()
        for place, x in jax.tree.leaves_with_path(carry)
    }
    parts = {part for name in found for part in name.split("/")[1:2]}
    assert {"opt_state", "params", "key"} <= parts
    found["metrics.jsonl"] = pathlib.Path(workdir, "metrics.jsonl").read_bytes()
    return found


def expected(straight, start, path):
    if not straight:
        process = start("train", path, "--workdir", "straight")
        out, error = process.communicate()
        assert process.returncode == 0, error
        straight.update(numbers("straight", path))
        lines = straight["metrics.jsonl"].count(b"\n")
        assert lines == NUM_STEPS // 7 + 1 + NUM_STEPS // 13 + 1, out
    return straight


def steps(workdir):
    """The steps of the checkpoints that are there."""
    paths = pathlib.Path(workdir, "checkpoints").glob("[0-9]*")
    return {int(path.name) for path in paths}


def reached(workdir):
    return max(steps(workdir), default=0)


def unfinished(workdir):
    return next(pathlib.Path(workdir, "checkpoints").glob("unfinished-*"), None)


def disturb(start, wait_for, arguments, workdir, number, rng, *, saving=False):
    """Sends a signal while the run is under way; the process, and if it was saving."""
    goal, began = reached(workdir) + 5 * rng.randrange(7), time.time()
    process = start(*arguments)
    alive = wait_for(pathlib.Path(workdir, "run.json").exists, process)
    if goal or saving or rng.random() < 0.5:  # Or else while it compiles.
        alive = wait_for(lambda: reached(workdir) > goal, process)
    if saving:
        alive = alive and wait_for(lambda: unfinished(workdir), process)
    elif alive:
        time.sleep(rng.uniform(0, 0.3))
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert "Traceback" not in error, error
    hit = process.returncode == -signal.SIGKILL
    amid = unfinished(workdir) is not None
    print(f"signal {number} after {time.time() - began:.1f} s, {hit=}, {amid=}")
    return process.returncode, out + error, hit, hit and amid


def finish(start, workdir):
    process = start("resume", workdir)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def close_to(finished, workdir):
    """Lines of metrics as those of the finished run, which was compiled otherwise."""
    for ours, theirs in zip(rows(workdir), rows(finished / "run"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    return True


def rows(workdir):
    lines = pathlib.Path(workdir, "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_killed_amid_a_save(fdl, finished, experiment, monkeypatch):
    """A copy of the folder at that moment is what a killed process leaves."""
    rename = pathlib.Path.rename

    def killed(path, target):
        if path.name == "unfinished-00000012":
            shutil.copytree("run", "killed")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "rename", killed)
        assert fdl("train", experiment(), "--workdir", "run").code == 0
    assert reached("killed") == 10 and unfinished("killed") is not None
    assert fdl("resume", "killed").code == 0
    assert rows("killed") == rows(finished / "run")
    assert steps("killed") == steps(finished / "run") and unfinished("killed") is None


@pytest.mark.slow
def test_killed_while_it_saves(start, wait_for, straight, experiment):
    path, workdir, rng = experiment(*LONGER), "run", random.Random(time.time_ns())
    reference = expected(straight, start, path)
    train = ["train", path, "--workdir", workdir]
    for _ in range(4):  # A save may end before the signal comes.
        *_, amid = disturb(
            start, wait_for, train, workdir, signal.SIGKILL, rng, saving=True
        )
        if amid:
            break
    assert amid
    finish(start, workdir)
    assert numbers(workdir, path) == reference
    assert unfinished(workdir) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_and_stopped_at_many_moments(
    start, wait_for, straight, experiment, seed
):
    path, workdir, rng = experiment(*LONGER), "run", random.Random(seed)
    train, resume = ["train", path, "--workdir", workdir], ["resume", workdir]
    reference = expected(straight, start, path)
    hits = amid = 0
    while reached(workdir) < NUM_STEPS:
        begun = pathlib.Path(workdir, "run.json").exists()
        arguments = resume if begun and rng.random() < 0.5 else train
        saving = rng.random() < 0.5
        number = signal.SIGKILL
        if not saving:
            number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        code, said, hit, was_saving = disturb(
            start, wait_for, arguments, workdir, number, rng, saving=saving
        )
        hits, amid = hits + hit, amid + was_saving
        if number != signal.SIGKILL and reached(workdir) < NUM_STEPS:
            assert code == 128 + number, said
            assert f"stopped at step {reached(workdir)} of {NUM_STEPS}" in said
            assert f"To go on: fdl resume {workdir}" in said
    finish(start, workdir)
    assert numbers(workdir, path) == reference
    print(f"{hits} kills hit a running process, {amid} of them while it saved")
    assert hits >= 2 and amid >= 1


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(
            pytest.param(number, marks=pytest.mark.slow)
            for number in (signal.SIGINT, signal.SIGHUP)
        ),
    ],
)
def test_a_run_is_stopped_by_a_signal_at_any_step(
    fdl, finished, experiment, number, monkeypatch
):
    """In this process: the signal comes in the middle of a call."""
    from fdl.train import loop

    reader, calls = loop._reader, []

    def send(*arguments):
        read = reader(*arguments)

        def read_and_more(length):
            calls.append(length)
            if len(calls) == 5:
                os.kill(os.getpid(), number)
            return read(length)

        return read_and_more

    monkeypatch.setattr(loop, "_reader", send)
    called = fdl("train", experiment(), "--workdir", "run")
    assert called.code == 128 + number
    assert "fdl: stopping after this step; once more to kill\n" in called.error
    line = "fdl: stopped at step 10 of 20, and saved. To go on: fdl resume run\n"
    assert called.error.endswith(line)
    assert reached("run") == 10
    assert fdl("resume", "run").code == 0
    both = (pathlib.Path(place, "run/metrics.jsonl") for place in (finished, "."))
    assert len({path.read_bytes() for path in both}) == 1


def test_what_is_ignored_stays_ignored(fdl, experiment):
    """As `nohup fdl train` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        called = fdl("train", experiment() + ":smoke", "--workdir", "run")
        assert called.code == 0 and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_a_reader_that_goes_stops_the_run_and_loses_nothing(
    fdl, start, finished, experiment
):
    process = start("train", experiment(), "--workdir", "run")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in error and "Exception ignored" not in error
    assert f"stopped at step {max(steps('run'))} of 20, and saved" in error
    assert fdl("resume", "run").code == 0
    assert close_to(finished, "run")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, which can be filled; or a skip."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a file system: run it as root")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(place, spare):
    """Takes all room of a file system but some bytes."""
    room = os.statvfs(place)
    filler = place / "filler"
    filler.write_bytes(b"x" * max(0, room.f_bavail * room.f_bsize - spare))
    return filler


@pytest.mark.slow
def test_a_full_disk_is_one_line_of_a_process(
    start, wait_for, straight, experiment, small_disk
):
    path, workdir = experiment(*LONGER), small_disk / "run"
    reference = expected(straight, start, path)
    process = start("train", path, "--workdir", workdir)
    assert wait_for(lambda: len(steps(workdir)) > 1, process)
    filler = fill(small_disk, 0)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert error.count("\n") == 1 and "No space left on device" in error, error
    filler.unlink()
    finish(start, workdir)
    assert numbers(workdir, path) == reference


# Threads that orbax leaves behind complain about the end of theirs.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "spare",
    [
        16_384,
        pytest.param(0, marks=pytest.mark.slow),
        pytest.param(65_536, marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_fails_the_run_and_loses_nothing(
    fdl, finished, experiment, small_disk, monkeypatch, spare
):
    from fdl.train import loop

    reader, calls = loop._reader, []

    def fill_then(*arguments):
        read = reader(*arguments)

        def read_and_more(length):
            calls.append(length)
            if len(calls) == 6:  # The first checkpoint is there, others are to come.
                fill(small_disk, spare)
            return read(length)

        return read_and_more

    workdir = small_disk / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_reader", fill_then)
        called = fdl("train", experiment(), "--workdir", workdir)
    assert called.code == 1, called
    assert called.error.count("\n") == 1 and "No space left on device" in called.error
    good = reached(workdir)
    assert f"last good: checkpoint of step {good}, in {workdir}" in called.error
    again = fdl("resume", workdir)  # Still full, or not enough room.
    assert again.code == 1 and again.error.count("\n") == 1
    (small_disk / "filler").unlink()
    assert fdl("resume", workdir).code == 0
    both = (place / "metrics.jsonl" for place in (workdir, finished / "run"))
    assert len({path.read_bytes() for path in both}) == 1
    assert steps(workdir) == steps(finished / "run")


def test_a_list_that_nobody_reads_to_its_end(finished):
    command = (
        f"{shlex.quote(sys.executable)} -m fdl list {finished} | head -0; "
        "echo ${PIPESTATUS[0]}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == "" and done.stdout in ("0\n", "141\n")


STOPPED = """
import signal, sys

class Finder:
    def find_spec(self, name, *rest):
        if name == "numpy":
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
from fdl.cli import main
sys.exit(main(["train", sys.argv[1], "--workdir", "run"]))
"""


@pytest.mark.slow
def test_a_run_that_is_stopped_amid_its_imports_says_how_to_go_on(experiment):
    command = [sys.executable, "-c", STOPPED, experiment()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "stopped at step 0 of 20" in done.stderr
    assert "fdl resume run" in done.stderr

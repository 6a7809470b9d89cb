"""A tiny experiment to write down, and two ways to call the command line."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import jax
import pytest

from fdl import cli
from fdl.runs.trusted_files import record_started

# What a shell starts in the background ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

EXPERIMENT = '''"""Tell digits apart, in little time."""

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

import fdl


def get_config(size: str = "full") -> ConfigDict:
    config = ConfigDict()
    config.num_steps = 20 if size == "full" else 2
    config.log_every = "6 steps"
    config.eval_every = "10 steps"
    config.save_every = "4 steps"
    config.steps_per_call = 3
    config.best = "max accuracy"
    config.batch_size = 16
    config.learning_rate = 1e-2
    config.model = {"name": "MLP", "hidden_sizes": (16,), "dropout": 0.1}
    config.optimizer = {"name": "adam", "b1": 0.9}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    train, test = (fdl.data.load("digits", split) for split in ("train", "test"))
    module = fdl.make(fdl.models, config.model, num_outputs=10)
    model = fdl.models.functional(module, jnp.zeros((1, 8, 8, 1)))
    objective = fdl.objectives.classification(model)
    batches = fdl.data.batches(train, config.batch_size, config.seed)
    testing = fdl.data.batches(test, 180, shuffle=False)
    optimizer = fdl.make(
        optax, config.optimizer, learning_rate=config.learning_rate
    )
    return fdl.Experiment(
        learner=fdl.gradient_learner(model, objective, optimizer),
        batches=fdl.data.scale(batches, image=1 / 16),
        evaluate=fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),
    )
'''


class Called(NamedTuple):
    """What came of a call."""

    code: int
    out: str
    error: str


@pytest.fixture(autouse=True)
def environment(monkeypatch, data_dir, tmp_path, request):
    """The same for calls in this process and for others."""
    del data_dir  # It only has to be there.
    set_environment(monkeypatch, tmp_path)
    if not request.path.match("test_plot.py"):  # Drawing takes longer than training.
        monkeypatch.setattr("fdl.cli.train.draw_plots", lambda *_, **__: None)


def set_environment(monkeypatch, folder: pathlib.Path) -> None:
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
    if not os.environ.get("FDL_TEST_OPTIMIZED"):  # As in tests/conftest.py.
        monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(folder)


@pytest.fixture(scope="session")
def finished(data_dir, tmp_path_factory):
    """A folder with the tiny experiment and its finished run; leave it as it is."""
    del data_dir
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.py").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_environment(monkeypatch, folder)
        assert cli.main(["train", "tiny.py", "--workdir", "run"]) == 0
    return folder


@pytest.fixture
def done(finished, tmp_path):
    """A copy of the finished run, to do with as one likes."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    run = tmp_path / "run/run.json"
    run.write_text(run.read_text().replace(str(finished), str(tmp_path)))
    record_started(tmp_path / "tiny.py", run.parent, pytest.fail)
    return tmp_path / "run"


@pytest.fixture
def experiment(tmp_path):
    """``experiment(old=new, ...)`` writes the experiment, with parts replaced."""

    def write(*changes: tuple[str, str], name: str = "tiny") -> str:
        text = EXPERIMENT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture(autouse=True)
def python_handlers():
    """Handlers of signals as Python sets them, under nohup and in the background too.

    There some are ignored, and fdl lets what is ignored be ignored.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, usual[number]) for number in usual}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def fdl(capfd):
    """Calls the command line in this process; signal handlers are as before."""
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

    def call(*arguments: str) -> Called:
        before = [signal.getsignal(number) for number in numbers]
        capfd.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:  # What argparse does.
            code = error.code
        assert before == [signal.getsignal(number) for number in numbers]
        return Called(code, *capfd.readouterr())

    return call


@pytest.fixture
def start(tmp_path):
    """Starts the command line as a process of its own, and sees it ended."""
    started = []

    def begin(*arguments: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "fdl", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # Of one device each, as on a user's machine.
        process = subprocess.Popen(command, **{**pipes, **options})
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition, process, seconds=60):
    """Polls until a condition holds; False if the process ended before."""
    until = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < until, "the process hangs"
        time.sleep(0.001)
    return True


@pytest.fixture(name="wait_for")
def wait_for_fixture():
    return wait_for

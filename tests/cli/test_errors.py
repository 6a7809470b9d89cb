"""Every mistake is one line that says what to mend; the exit code says whose it is."""

import asyncio
import os
import pathlib
import re

import pytest

from fdl.cli import train
from fdl.cli.console import reader_gone
from fdl.errors import RunError, UserError
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.experiment_files import user_code

BUILD = "def build(config: ConfigDict) -> fdl.Experiment:\n"
EVALUATE = "objective, fdl.data.scale(testing, image=1 / 16)"

# Parts of the experiment that are replaced, arguments, what the line has to say.
FILES = {
    "a syntax error": (
        [("config = ConfigDict()", "config = = 3")],
        r"tiny\.py:11: inv",
    ),
    "an indentation": (
        [("    return config", " return config")],
        r"tiny\.py:\d+: unind",
    ),
    "a null byte": ([('"full"', '"\0"')], r"tiny\.py.* null bytes"),
    "a missing module": (
        [("import optax", "import optaxx")],
        r"tiny\.py:4: ModuleNotFoundError: No module named 'optaxx'",
    ),
    "no get_config": ([("def get_config", "def other")], "no function get_config"),
    "no build": ([("def build", "def other")], "has no function build"),
    "build is no function": (
        [(BUILD, "build = 3\ndef other(config):\n")],
        "no function b",
    ),
    "another config": (
        [("return config", "return {}")],
        "get_config returns dict, expected an ml_collections.ConfigDict",
    ),
    "another experiment": (
        [("return fdl.Experiment(", "return dict(")],
        r"build returns dict, expected an fdl\.Experiment",
    ),
    "build raises": (
        [(BUILD, BUILD + "    raise KeyError('no such thing')\n")],
        r"tiny\.py:26: KeyError: 'no such thing'",
    ),
    "build raises without a word": (
        [(BUILD, BUILD + "    assert not config\n")],
        r"tiny\.py:26: AssertionError$",
    ),
    "a key that is not there": (
        [("config.batch_size, config", "config.batchsize, config")],
        r"tiny\.py:\d+: AttributeError: .*batchsize.*batch_size",
    ),
    "data of the wrong shape": (
        [("jnp.zeros((1, 8, 8, 1))", "jnp.zeros((1, 9, 9, 1))")],
        r"inputs float32 \[16, 8, 8, 1\]: expected \[B, 9, 9, 1\], for which MLP is",
    ),
    "a data set that is not there": (
        [('load("digits"', 'load("digitz"')],
        "digitz.*Did you mean 'digits'",
    ),
    "the best of what is not evaluated": (
        [("max accuracy", "max acuracy")],
        "config.best='max acuracy': 'acuracy' is not evaluated. Did you mean 'accur",
    ),
}
VALUES = {
    "learning_rat=1": "config has no key 'learning_rat'. Did you mean 'learning_rate'",
    "optimizer.b3=0.9": "optax.adam takes no 'b3'. Did you mean 'b2' or 'b1'",
    "optimiser.b1=0.9": "config has no key 'optimiser'. Did you mean 'optimizer'",
    "batch_size.x=1": "config.batch_size is 16, it has no key 'x'",
    "batch_size=many": "config.batch_size='many': expected a value of type int, as 16",
    "batch_size=1.5": "config.batch_size='1.5': expected a value of type int, as 16",
    "learning_rate=fast": "='fast': expected a value of type float, as 0.01",
    "batch_size=2000": "batch_size=2000: expected at most 1437",
    "batch_size=0": "batch_size=0: expected",
    "num_steps=none": "config.num_steps=None and config.num_epochs=None: set exact",
    "num_epochs=3": "config.num_steps=20 and config.num_epochs=3: set exactly one",
    "num_steps=0": "config.num_steps=0: expected an integer from 1 to 2147483647",
    "log_every=sometimes": "config.log_every='sometimes': expected a period",
    "eval_every=1 week": "config.eval_every='1 week': expected a period",
    "save_every=-3": "config.save_every='-3': expected a period",
    "steps_per_call=0": "config.steps_per_call=0: expected an integer from 1 to 10",
    "keep=0": "config.keep=0: expected an integer from 1",
    "best=accuracy": "config.best='accuracy': expected 'min METRIC' or 'max METRIC'",
    "mesh.data=64": "config.mesh={'data': 64}: expected at most 4 devices",
    "mesh.data=3": "batch_size=16: expected a multiple of 3 devices",
    "seed=-1": "config.seed=-1: expected an integer from 0 to 9223372036854775807",
    f"seed={2**63}": "config.seed=9223372036854775808: expected an integer from 0",
    "num_steps=3e9": "config.num_steps=3000000000: expected an integer from 1 to 21",
    f"num_steps={'9' * 400}": "expected an integer from 1 to 2147483647",
    f"learning_rate={'9' * 400}": "9': expected a value of type float, as 0.01",
    "steps_per_call=1e8": "config.steps_per_call=100000000: expected an integer from 1",
    "steps_per_call=nan": "='nan': expected a value of type int, as 3",
    "model.name=MPL": "fdl.models has no 'MPL'. Did you mean 'MLP'",
    "model.dropout=none": "config.model.dropout='none': expected a value of type float",
    "optimizer.name=adamm": "optax has no 'adamm'. Did you mean 'adam",
}


def is_one_line(error: str) -> bool:
    return bool(re.fullmatch(r"fdl: [^\n]{10,}\n", error)) and "Traceback" not in error


def left(folder="run"):
    """What a mistake leaves behind: no run, so that the mended command can begin."""
    return [path.name for path in pathlib.Path(folder).glob("*.json*")]


@pytest.mark.parametrize("changes, expected", FILES.values(), ids=FILES)
def test_a_mistake_in_the_file_is_told_with_its_place(
    fdl, experiment, changes, expected
):
    called = fdl("train", experiment(*changes), "--workdir", "run")
    assert called.code == 2, called
    assert is_one_line(called.error) and re.search(expected, called.error), called.error
    if "best" not in expected:
        assert not left()


@pytest.mark.parametrize("override", VALUES, ids=lambda text: text.replace("=", " "))
def test_a_mistake_in_a_key_is_told_with_what_was_meant(fdl, experiment, override):
    called = fdl("train", experiment(), "--workdir", "run", f"--config.{override}")
    assert called.code == 2, called
    assert is_one_line(called.error) and VALUES[override] in called.error
    assert not left()


ARGUMENTS = {
    "an unknown file": (["train", "tinny.py"], "there is no experiment 'tinny.py'"),
    "an unknown size": (
        ["show", "sized.py:smok"],
        "there is no size 'smok'. Did you mean 'smoke'?",
    ),
    "an unknown size of a shipped one": (
        ["show", "digits_mlp:smal"],
        "there is no size 'smal'. There is: full, smoke.",
    ),
    "a near name": (["train", "deep/tinny"], "Did you mean 'deep/tiny'"),
    "no seeds": (
        ["train", "tiny.py", "--seeds", "0"],
        "--seeds=0: expected an integer from 1 to 1000",
    ),
    "a billion seeds": (
        ["train", "tiny.py", "--seeds", "1000000000"],
        "--seeds=1000000000: expected an integer from 1 to 1000",
    ),
    "no run": (["resume", "nowhere"], "is no run directory: it has no run.json"),
    "no run to evaluate": (["eval", "nowhere"], "nowhere is no run directory"),
    "no folder": (["list", "nowhere"], "there is no folder 'nowhere'"),
    "an empty folder": (["list", "empty"], "there is no experiment in 'empty'"),
    "no argument": (
        ["show", "plain.py:x"],
        "get_config takes no argument, 'x' was given",
    ),
    "no Python": (["show", "notes.txt"], "notes.txt is no Python file"),
}


@pytest.mark.parametrize("arguments, expected", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_mistake_on_the_command_line_is_told(fdl, experiment, arguments, expected):
    experiment(('get_config(size: str = "full")', "get_config(size='full')"))
    experiment(
        ('size: str = "full"', ""), ('if size == "full" else 2', ""), name="plain"
    )
    experiment(('size: str = "full"', "size: SIZE = 'full'"), name="sized")
    sized = pathlib.Path("sized.py")
    sized.write_text(
        sized.read_text().replace(
            "def get_config",
            "import typing\nSIZE = typing.Literal['full', 'smoke']\ndef get_config",
        )
    )
    pathlib.Path("notes.txt").touch()
    pathlib.Path("empty").mkdir()
    pathlib.Path("experiments/deep").mkdir(parents=True)
    pathlib.Path("tiny.py").rename("experiments/deep/tiny.py")
    pathlib.Path("tiny.py").symlink_to("experiments/deep/tiny.py")
    called = fdl(*arguments)
    assert called.code == 2, called
    assert is_one_line(called.error) and expected in called.error


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["trian", "tiny.py"], "invalid choice: 'trian'"),
        (["train"], "required: experiment"),
        (["train", "tiny.py", "--sedes", "3"], "unrecognized arguments: --sedes"),
        # No short form of --seeds.
        (["train", "tiny.py", "--seed", "3"], "unrecognized arguments: --seed"),
        (
            ["train", "tiny.py", "--batch_size=3"],
            "unrecognized arguments: --batch_size=3; keys of the config are set by "
            "--config.KEY=VALUE",
        ),
        (["train", "tiny.py", "--seeds", "x"], "invalid int value: 'x'"),
        (
            ["train", "tiny.py", "--config.seed", "3"],
            "needs a value: --config.seed=VALUE",
        ),
        (["eval", "run", "--config.seed=3"], "eval takes no --config"),
    ],
)
def test_a_command_that_makes_no_sense_is_told_with_its_usage(fdl, arguments, expected):
    called = fdl(*arguments)
    assert called.code == 2 and expected in called.error
    assert called.error.startswith("usage: fdl") and "Traceback" not in called.error


@pytest.mark.parametrize(
    "changes, code",
    [([(BUILD, BUILD + "    raise KeyError('x')\n")], 2), ([("max acc", "max ac")], 2)],
)
def test_debug_shows_where(fdl, experiment, changes, code):
    path = experiment(*changes)
    for options, shown in (([], False), (["--debug"], True)):
        called = fdl("train", path, "--workdir", f"run{shown}", *options)
        assert called.code == code
        assert ("Traceback (most recent call last)" in called.error) == shown
        assert called.error.splitlines()[-1].startswith("fdl: ")


@pytest.mark.parametrize(
    "place, code", [("/proc/run", 1), ("tiny.py/run", 2), ("tiny.py", 2)]
)
def test_a_folder_that_cannot_be_written_is_named(fdl, experiment, place, code):
    called = fdl("train", experiment(), "--workdir", place)
    assert called.code == code and is_one_line(called.error)
    said = f"cannot write in {place}" if code == 1 else f"{place}: expected the path"
    assert said in called.error


def test_a_loss_that_is_not_finite_ends_the_run_at_once(fdl, experiment):
    called = fdl(
        "train", experiment(), "--workdir", "run", "--config.learning_rate=1e30"
    )
    assert called.code == 1 and is_one_line(called.error)
    found = re.search(
        r"metric '(\w+)' became NaN or infinite at step (\d+)", called.error
    )
    assert found and int(found[2]) < 4
    assert "last good: no checkpoint yet, in run" in called.error
    assert Checkpoints(pathlib.Path("run/checkpoints")).steps() == []


LATER = "learning_rate=lambda step: jnp.where(step < 12, 1e-2, 1e30)"


def test_the_last_good_checkpoint_of_a_failed_run_is_named_and_good(fdl, experiment):
    path = experiment(("learning_rate=config.learning_rate", LATER))
    called = fdl("train", path, "--workdir", "run")
    assert called.code == 1 and is_one_line(called.error)
    step = int(re.search(r"at step (\d+)", called.error)[1])
    assert step in (13, 14, 15)
    assert "last good: checkpoint of step 12, in run" in called.error
    assert Checkpoints(pathlib.Path("run/checkpoints")).steps()[-1] == 12
    lines = pathlib.Path("run/metrics.jsonl").read_text().splitlines()
    assert [int(re.search(r'"step": (\d+)', line)[1]) for line in lines] == [6, 10, 12]
    assert fdl("eval", "run").code == 0
    again = fdl("resume", "run")  # It fails again, in the same way.
    assert again.code == 1 and again.error == called.error


def test_an_evaluation_that_fails_does_not_lose_what_was_saved(fdl, experiment):
    path = experiment(("180, shuffle=False", "179, shuffle=False"), (EVALUATE, "1 / 0"))
    called = fdl("train", path, "--workdir", "run")
    assert called.code == 2 and "ZeroDivisionError" in called.error
    path = experiment(
        ("evaluate=fdl.on_dataset", "evaluate=lambda state: 1 / 0 and"), name="other"
    )
    called = fdl("train", path, "--workdir", "other")
    assert called.code == 1 and is_one_line(called.error)
    where = r"other\.py:\d+: ZeroDivisionError: division by zero; last good"
    assert re.search(where, called.error)
    assert "last good: checkpoint of step 8, in other" in called.error
    assert Checkpoints(pathlib.Path("other/checkpoints")).steps()[-1] == 8


class MuteError(Exception):
    """Exception whose message cannot be had."""

    def __str__(self):
        """Message."""
        raise ValueError("no message")


UNUSUAL = {
    "SystemExit: 0": SystemExit(0),
    "SystemExit: text": SystemExit("text"),
    "BrokenPipeError": BrokenPipeError(),
    "CancelledError": asyncio.CancelledError(),
    "StopIteration": StopIteration(),
    "GeneratorExit": GeneratorExit(),
    "MuteError": MuteError(),
}


@pytest.mark.parametrize("name, error", UNUSUAL.items(), ids=UNUSUAL)
def test_whatever_the_code_of_an_experiment_raises_is_told(
    fdl, finished, monkeypatch, name, error
):
    def fail(*_):
        raise error

    place, line = pathlib.Path(__file__), fail.__code__.co_firstlineno + 1
    with pytest.raises(UserError, match=f"{place}:{line}: {name}$"), user_code(place):
        fail()
    with (
        pytest.raises(RunError, match=f"{place}:{line}: {name}; last good: no"),
        train.failing(pathlib.Path("run"), place),
        train.snapshot_on_failure(None, None, None, []),
    ):
        fail()
    monkeypatch.setattr("fdl.cli.list.name_of", fail)
    called = fdl("list", finished)
    assert called.code == 1 and f"{name} (--debug shows where)" in called.error


def test_a_file_that_changes_folder_and_path_is_trained_where_it_was_called(
    fdl, experiment, tmp_path
):
    away = "import os, sys\n\nimport fdl\n\nos.chdir('/')\nsys.path.pop(0)\n"
    path = experiment(("import fdl\n", away))
    called = fdl("train", path, "--workdir", "run", "--config.num_steps=2")
    assert (called.code, called.error) == (0, "")
    assert (tmp_path / "run/metrics.jsonl").is_file()


def test_a_current_folder_that_was_removed_is_told(fdl, done, monkeypatch):
    gone = done.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in (["show", done.parent / "tiny.py"], ["eval", done]):
        called = fdl(*command)
        assert (called.code, called.out) == (2, "")
        assert called.error == "fdl: the current folder was removed: go to another\n"


def test_the_code_of_an_experiment_cannot_end_a_run_in_silence(fdl, experiment):
    path = experiment(
        ("evaluate=fdl.on_dataset", "evaluate=lambda variables: exit() and")
    )
    called = fdl("train", path, "--workdir", "run", "--config.eval_every=never")
    assert called.code == 1 and is_one_line(called.error)
    assert "SystemExit: None; last good: checkpoint of step 16, in run" in called.error


def test_a_broken_pipe_is_that_of_the_output_only_if_nobody_reads_it(monkeypatch):
    read, write = os.pipe()
    with open(write, "w", closefd=True) as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        assert not reader_gone()
        os.close(read)
        assert reader_gone()


def test_data_that_cannot_be_reached_is_told(fdl, experiment, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file"))
    called = fdl("train", experiment(), "--workdir", "run")
    assert called.code == 2 and is_one_line(called.error)
    assert str(tmp_path / "file") in called.error


def test_an_error_of_fdl_itself_is_told_as_such(fdl, finished, monkeypatch):
    monkeypatch.setattr("fdl.cli.list.name_of", None)
    called = fdl("list", finished)
    assert called.code == 1 and is_one_line(called.error)
    assert "TypeError" in called.error and "(--debug shows where)" in called.error


@pytest.mark.parametrize("arguments", [["list", "."], ["show", "tiny.py"]])
def test_ctrl_c_while_nothing_runs_is_no_traceback(
    fdl, experiment, monkeypatch, arguments
):
    def interrupt(*_):
        raise KeyboardInterrupt

    experiment()
    monkeypatch.setattr(f"fdl.cli.{arguments[0]}.summary", interrupt)
    called = fdl(*arguments)
    assert called.code == 130 and is_one_line(called.error)

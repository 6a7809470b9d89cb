"""Settings of the process, seen in processes of their own."""

import os
import platform
import subprocess
import sys

import jax
import pytest

from fdl.runs import process

FAULTS = """
import resource, sys
from fdl.runs.process import prepare
prepare(keep_memory=sys.argv[1] == "keep")
import jax, jax.numpy as jnp

@jax.jit
def step(x):
    for _ in range(3):  # Each is a buffer of 36 MB that the next one needs.
        x = (x @ x[:, :8]) @ x[:8]
    return x

x, faults = jnp.ones((3000, 3000)) / 3000, []
for _ in range(14):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x = step(x).block_until_ready()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[7])  # The heap still grows now and then.
"""


def output(code, *arguments, **env):
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_a_step_faults_in_memory_unless_it_is_kept(tmp_path):
    # As many threads as a user has: each has an arena of its own beside the main one.
    env = {"FDL_CACHE_DIR": str(tmp_path), "NPROC": str(os.cpu_count())}
    assert int(output(FAULTS, "return", **env)) > 5000
    assert int(output(FAULTS, "keep", **env)) < 500


@pytest.mark.parametrize("keep", [True, False])
def test_memory_is_kept_if_the_config_says_so(monkeypatch, keep):
    called = []
    monkeypatch.setattr(process, "cache_compilations", lambda: None)
    monkeypatch.setattr(process, "keep_freed_memory", lambda: called.append(True))
    process.prepare(keep_memory=keep)
    assert called == [True] * keep


@pytest.mark.parametrize(
    "place", ["cache", pytest.param("off", marks=pytest.mark.slow)]
)
def test_compiled_programs_are_kept_where_the_variable_says(tmp_path, place):
    code = (
        "import jax; from fdl.runs.process import prepare; prepare(keep_memory=False);"
        "jax.jit(lambda x: x + 1)(1.0).block_until_ready();"
        "print(jax.config.jax_compilation_cache_dir)"
    )
    folder = tmp_path / "cache"
    env = {"FDL_CACHE_DIR": "off" if place == "off" else str(folder)}
    assert (output(code, **env) == "None") == (place == "off")
    assert any(folder.rglob("*-cache")) == (place != "off")


def test_without_a_home_folder_nothing_is_kept(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    for variable in ("HOME", "FDL_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(jax.config, "update", pytest.fail)
    process.cache_compilations()
    monkeypatch.setenv("HOME", "/proc/nowhere")  # One that cannot be written.
    process.cache_compilations()


@pytest.mark.parametrize("devices, enough", [("6", True), ("1", False), ("2²", False)])
def test_simulated_devices_get_threads_enough(monkeypatch, devices, enough):
    monkeypatch.setenv("NPROC", "0")
    monkeypatch.delenv("NPROC")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", devices)
    process.spare_threads()
    assert (int(os.environ.get("NPROC", 0)) > 6) == enough


LOST = """
from fdl.runs.process import prepare
prepare()
import jax, jax.numpy as jnp
x = jnp.full((64, 128), jnp.nan)
print(jax.jit(lambda x: (x.max(), jnp.maximum(x, 0).mean(), x[0].max()))(x))
"""


def test_no_nan_is_lost(tmp_path):
    """By the maximum and the mean of many numbers, as if there were none."""
    found = output(LOST, FDL_CACHE_DIR=str(tmp_path), XLA_FLAGS="")
    assert found.count("nan") == 3, found


def test_flags_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp")
    process.propagate_nan()
    assert os.environ["XLA_FLAGS"] == f"--xla_dump_to=/tmp {process.WITHOUT_FUSION}"
    process.propagate_nan()
    assert os.environ["XLA_FLAGS"].count(process.WITHOUT_FUSION) == 1


@pytest.mark.parametrize("env", [{}, {"PYTHONIOENCODING": "ascii"}])
def test_output_never_fails_for_want_of_a_letter_or_of_a_place(tmp_path, env):
    (tmp_path / "one.py").write_text('"""One ± two."""\n\ndef get_config(): ...\n')
    code = "import sys; from fdl.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "list", str(tmp_path)]
    given = {"env": os.environ | env, "encoding": "utf-8"}
    done = subprocess.run(command, capture_output=True, **given)
    assert (done.returncode, done.stderr) == (0, "")
    letter = r"\xb1" if env else "±"
    assert done.stdout == f"one  One {letter} two.\n"
    shell = ["sh", "-c", '"$@" >&-', "sh", *command]
    closed = subprocess.run(shell, stderr=subprocess.PIPE, **given)
    assert (closed.returncode, closed.stderr) == (0, "")

"""scripts/fdl in a copy of what it reads, without a network."""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path):
    """The files that set-up reads, under a path with a space."""
    tree = tmp_path / "a tree"
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    for name in "constraints.txt", "pyproject.toml":
        shutil.copy(ROOT / name, tree)
    return tree


def fdl(tree, *args, **env):
    """Calls scripts/fdl where no index can be reached, and no cache helps."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("FDL_", "PIP_"))}
    offline = {
        "FDL_PYTHON": sys.executable,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
    }
    return subprocess.run(
        [tree / "scripts/fdl", *args],
        env=keep | offline | env,
        cwd=tree.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def set_up(tree, script):
    """Fakes an environment that is ready, with a script in the place of fdl."""
    venv = tree / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(sys.executable)
    (venv / "bin/fdl").write_text(f"#!/bin/sh\n{script}\n")
    (venv / "bin/fdl").chmod(0o755)
    files = [tree / "constraints.txt", tree / "pyproject.toml"]
    content = b"".join(path.read_bytes() for path in files)
    (venv / "stamp").write_bytes(os.fsencode(venv) + b"\n" + content)
    tree.joinpath(".venv.lock").touch()
    return venv


@pytest.mark.slow  # Making an environment takes seconds: once by default, below.
@pytest.mark.parametrize("killed", [False, True])
def test_a_failed_download_is_explained_and_leaves_nothing_half_made(tree, killed):
    if killed:  # What a killed call left is not used.
        (set_up(tree, "echo half-made") / "stamp").unlink()
    explained(tree, fdl(tree))
    assert not (tree / ".venv").exists()


def explained(tree, result):
    assert result.returncode == 1
    assert result.stdout == ""
    assert "failed while installing the build tools" in result.stderr
    assert "No matching distribution found" in result.stderr
    assert "HTTPS_PROXY" in result.stderr
    assert "Traceback" not in result.stderr
    log = tree / ".venv.log"
    assert str(log) in result.stderr and "127.0.0.1" in log.read_text()


@pytest.mark.slow
def test_a_failed_renewal_keeps_the_environment_that_was_there(tree):
    venv = set_up(tree, "echo old")
    lock = tree / "constraints.txt"
    before = lock.read_text()
    lock.write_text(before + "\n")
    explained(tree, fdl(tree))
    lock.write_text(before)
    assert fdl(tree).stdout == "old\n"
    assert not venv.with_name(".venv.old").exists()


def test_an_environment_made_by_others_is_left_alone(tree):
    other = tree / ".venv"
    other.mkdir()
    (other / "precious").touch()
    result = fdl(tree)
    assert result.returncode == 1
    assert "was not made by" in result.stderr and "FDL_VENV" in result.stderr
    assert (other / "precious").exists()


def test_a_moved_environment_is_not_used(tree):
    set_up(tree, "echo moved")
    moved = tree.rename(tree.with_name("elsewhere"))
    result = fdl(moved, FDL_PYTHON="nowhere")  # It would be made anew.
    assert result.returncode == 1 and "nowhere: not found" in result.stderr
    assert "moved" not in result.stdout


def test_no_suitable_python_is_explained_with_what_there_is(tree, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in "sh", "readlink", "cat", "cmp", "head":
        (programs / name).symlink_to(shutil.which(name))
    stubs = {"python3.13": "echo broken shim >&2; exit 127", "python3": "exit 1"}
    for name, script in stubs.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    result = fdl(tree, FDL_PYTHON="", PATH=str(programs))
    assert result.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr
    assert "python3.13: broken shim" in result.stderr
    assert "python3.12: not found" in result.stderr
    assert not (tree / ".venv").exists()


def test_arguments_and_exit_status_pass_through_unchanged(tree, tmp_path):
    set_up(tree, 'printf "[%s]" "$@"; exit 7')
    args = ["train", "two words", "", "it's", '"$HOME"', "--config.name=*"]
    linked = tmp_path / "linked"
    (linked / "scripts").mkdir(parents=True)
    (linked / "scripts/fdl").symlink_to(tree / "scripts/fdl")
    for place in tree, linked:
        result = fdl(place, *args)
        assert result.stdout == "".join(f"[{arg}]" for arg in args)
        assert result.returncode == 7
        assert result.stderr == ""


def test_fdl_venv_names_another_environment(tree):
    venv = set_up(tree, "echo other")
    other = venv.rename(tree / ".venv-other")
    stamp = (other / "stamp").read_bytes()
    stamp = stamp.replace(os.fsencode(venv), os.fsencode(other), 1)
    (other / "stamp").write_bytes(stamp)
    assert fdl(tree, FDL_VENV=".venv-other").stdout == "other\n"


def test_every_build_tool_is_locked_with_what_it_needs():
    """Without build isolation, whatever a backend imports has to be installed first."""
    spec = importlib.util.spec_from_file_location(
        "bootstrap", ROOT / "scripts/bootstrap.py"
    )
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    entries = re.split(r"^(?=\S+==)", bootstrap.CONSTRAINTS.read_text(), flags=re.M)
    locked = {entry.partition("==")[0]: entry for entry in entries}
    needed = {name for name, entry in locked.items() if "hatchling" in entry}
    assert needed | {"setuptools"} == {*bootstrap.BUILD_TOOLS}

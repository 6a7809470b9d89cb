"""Makes the environment named by its argument; called by environment.sh only.

Standard library only, since nothing else is there yet. What holds: an environment with
a stamp is whole; one without is thrown away; one call at a time works on it.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
# The build backend of fdl and all that it imports, and that of packages without wheels.
BUILD_TOOLS = (
    *("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers"),
    "setuptools",
)
CLEAR = "\r\033[K"  # The line of a terminal.


class SetupError(Exception):
    """Setup that failed; its text follows "failed while"."""


def main(venv: pathlib.Path) -> None:
    """Makes or renews the environment, or explains why that failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lock_path = venv.with_name(venv.name + ".lock")
    log_path = venv.with_name(venv.name + ".log")
    # The lock outlives what it guards, so a folder without one is somebody else's.
    if venv.exists() and not lock_path.exists():
        sys.exit(
            f"{venv} was not made by {ROOT / 'scripts'}, which would replace it.\n"
            "Remove it, or name another folder in FDL_VENV."
        )
    try:
        with locked(lock_path) as lock, log_path.open("w", encoding="utf-8") as log:
            setup(venv, lambda doing, *command: run(doing, command, log, lock))
            log_path.unlink()
    except KeyboardInterrupt:
        sys.exit(130)
    except SetupError as error:
        free = shutil.disk_usage(venv.parent).free / 1e9
        sys.exit(
            f"\nSetting up {venv} failed while {error}\n"
            f"The whole log: {log_path}\n"
            "Does the network work (a proxy goes into HTTPS_PROXY, a mirror into "
            "PIP_INDEX_URL)?\n"
            f"Is there room (2 GB are needed, {free:.1f} GB are free)? "
            "Then call again: it starts anew."
        )
    except OSError as error:
        sys.exit(
            f"\nSetting up {venv} failed: {error}\n"
            "Make room there, or name another folder in FDL_VENV."
        )


@contextlib.contextmanager
def locked(path):
    """Holds a lock; waits for it where another call has it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another call that sets the environment up.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def setup(venv, run):
    """Does what is left to do."""
    packages = os.fsencode(venv) + b"\n" + CONSTRAINTS.read_bytes()
    wanted = packages + (ROOT / "pyproject.toml").read_bytes()
    stamp = venv / "stamp"
    present = b""
    if stamp.exists() and (venv / "bin/python").exists():
        present = stamp.read_bytes()
    if present == wanted:
        return
    whole = present.startswith(packages)
    kept = contextlib.nullcontext()
    with kept if whole else replaced(venv, keep=bool(present)):
        if not whole:
            install_packages(venv, run)
        install_fdl(venv, run)
        # Written last and at once: a stamp says that all before it is done.
        draft = venv / "stamp.draft"
        draft.write_bytes(wanted)
        draft.replace(stamp)


@contextlib.contextmanager
def replaced(venv, *, keep):
    """Makes way for a new environment; puts the old one back if none comes of it."""
    old = venv.with_name(venv.name + ".old")
    if keep:
        remove(old)
        venv.rename(old)
    remove(venv)
    try:
        yield
    except BaseException:
        # A second Ctrl-C would stop the clearing up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        remove(venv)
        if old.exists():
            old.rename(venv)
        raise
    remove(old)


def install_packages(venv, run):
    """Installs what is locked, and nothing that is not."""
    version = ".".join(map(str, sys.version_info[:2]))
    say(f"Setting up {venv} with Python {version} (once, about a minute):")
    run("making the environment", sys.executable, "-I", "-m", "venv", venv)
    # The build tools come first, so that packages without a wheel are built with them
    # rather than with whatever is newest on that day.
    tools = venv / "tools.txt"
    locked_tool = rf"^(?:{'|'.join(BUILD_TOOLS)})==(?:.*\\\n)*.*\n"
    tools.write_text("".join(re.findall(locked_tool, CONSTRAINTS.read_text(), re.M)))
    install = *pip(venv), "--require-hashes", "--requirement"
    run("installing the build tools", *install, tools)
    run(f"installing the packages of {CONSTRAINTS.name}", *install, CONSTRAINTS)


def install_fdl(venv, run):
    """Installs fdl itself such that changes of its source need no further call."""
    run("installing fdl", *pip(venv), "--no-index", "--editable", ROOT)


def pip(venv):
    """The beginning of every call of pip."""
    command = "-m pip install --no-deps --no-build-isolation --use-pep517"
    return venv / "bin/python", *command.split()


def run(doing, command, log, lock):
    """Runs a command, and shows what it is at."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Users may have asked pip for --user installs, which an environment refuses.
        env=env | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        # It keeps the lock if only this process is killed: nobody else may begin
        # before it has ended.
        pass_fds=[lock.fileno()],
    )
    errors = []
    try:
        say(f"  {doing}")
        for line in process.stdout:
            log.write(line)
            if line.startswith("ERROR:"):
                errors.append(line)
            if line.startswith(("Collecting", "Installing")) and sys.stderr.isatty():
                width = shutil.get_terminal_size().columns - 5
                say(f"{CLEAR}    {line.strip()[:width]}", end="")
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
        if sys.stderr.isatty():
            say(CLEAR, end="")
    if process.returncode:
        why = "".join(errors[-1:]) or f"exit status {process.returncode}\n"
        raise SetupError(f"{doing}:\n  {why.rstrip()}")


def remove(folder):
    """Removes a folder and all in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def say(text, end="\n"):
    """Writes to standard error: standard output belongs to fdl."""
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

"""The command line: one file a command; nothing heavy is imported unasked."""

import argparse
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence

from fdl.cli.output import silence
from fdl.errors import RunError, UserError

COMMANDS = {
    "train": "train an experiment; go on with it if it was stopped",
    "resume": "go on with a run that was stopped",
    "eval": "evaluate a checkpoint of a run",
    "show": "say what an experiment is, without training",
    "list": "list the experiments of a folder",
    "models": "list the models of the zoo, or say what one is made of",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
      The exit code: 0, 1 for a failed run, 2 for a user's mistake, 130 or 143 for a run
      that was stopped and can be resumed.
    """
    # `list` and `eval` are the names of modules here, once they have been imported.
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    overrides = [a for a in arguments if a.startswith("--config.")]
    for option in overrides:
        if "=" not in option:
            parser().error(f"{option} needs a value: {option}=VALUE")
    options = parser().parse_args([a for a in arguments if a not in overrides])
    options.overrides = [a.removeprefix("--config.") for a in overrides]
    if overrides and options.command not in ("train", "show"):
        parser().error(f"{options.command} takes no --config: a run keeps its config")
    if argv is None and not options.debug:  # In a process of its own.
        # What fails is told once, and not again by the threads that it leaves behind.
        sys.unraisablehook = lambda _: None
    try:
        return _command(options)
    except KeyboardInterrupt:
        return _fail("stopped before there was anything to save", 130)
    except BrokenPipeError:
        silence()
        return 128 + signal.SIGPIPE
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        if isinstance(error, UserError):
            return _fail(error, 2)
        if isinstance(error, RunError):
            return _fail(error, 1)
        text = str(error).strip().splitlines() or [""]
        return _fail(f"{type(error).__name__}: {text[0]} (--debug shows where)", 1)


def parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    top = argparse.ArgumentParser(
        prog="fdl", description="Functional deep learning: launch and read experiments."
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = {
        name: commands.add_parser(
            name, help=text, description=text.capitalize() + ".", parents=[common]
        )
        for name, text in COMMANDS.items()
    }
    for name in ("train", "show"):
        add[name].add_argument(
            "experiment", help="a file, or a name that `fdl list` shows; FILE:ARG too"
        )
        add[name].epilog = "--config.KEY=VALUE sets a key of the experiment's config."
    add["train"].add_argument(
        "--workdir", help="run folder (default: runs/NAME-DIGEST, one for each config)"
    )
    add["train"].add_argument(
        "--seeds", type=int, default=1, metavar="N", help="train N seeds at once"
    )
    for name in ("resume", "eval"):
        add[name].add_argument("workdir", help="the folder of a run")
        add[name].add_argument(
            "--experiment", help="where the experiment's file is, if it has moved"
        )
    add["eval"].add_argument(
        "--checkpoint", default="latest", help="best, latest (default) or a step"
    )
    add["list"].add_argument("folder", nargs="?", default="experiments")
    add["models"].add_argument(
        "pattern", nargs="?", help="a part of names or families, a glob, or one name"
    )
    add["models"].add_argument(
        "--depth", type=int, metavar="N", help="how deep the table of one model goes"
    )
    return top


def _command(options: argparse.Namespace) -> int:
    code = importlib.import_module(f"fdl.cli.{options.command}").main(options)
    sys.stdout.flush()  # Here, and not where nobody catches what comes of it.
    return code


def _fail(error: object, code: int) -> int:
    print(f"fdl: {' '.join(str(error).split())}", file=sys.stderr)
    return code

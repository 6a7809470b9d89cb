"""Command line of fdl: one module a command, imported when it is called."""

import argparse
import contextlib
import errno
import importlib
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from fdl.cli.console import prepare, reader_gone, say, silence, warn
from fdl.cli.signals import stoppable
from fdl.errors import RunError, UserError, describe, printable

COMMANDS = {
    "train": "train an experiment; go on with it if it was stopped",
    "resume": "go on with a run that was stopped",
    "eval": "evaluate a checkpoint of a run",
    "show": "print config, parameters, optimizer and FLOPs of an experiment",
    "list": "list the shipped experiments and your own, or those of a folder",
    "new": "copy an experiment to a file of your own",
    "models": "list the models of the zoo, or print the layers of one",
    "check-gradients": "compare an experiment's gradients with finite differences",
    "overfit": "overfit one batch, or diagnose why that fails",
    "lr-find": "run a learning rate range test, and suggest a rate",
    "plot": "draw the plots of a run anew, from any checkpoint",
    "predict": "predict new examples with a trained model",
    "generate": "continue texts with a trained language model",
    "translate": "translate texts with a trained encoder-decoder, or several of them",
    "score": "likelihood and perplexity of texts under a trained language model",
    "sample": "draw samples of a generative model: a grid of images, or arrays",
    "embed": "embed examples by a trained model, a row for each",
    "interpolate": "decode points between the embeddings of examples",
    "play": "watch the trained policy of a run, and record its episodes",
    "export": "write the trained model of a run into a folder of its own",
    "runs": "list runs: their state, what differs in their configs, their metrics",
    "compare": "compare runs: on the same examples, over seeds, or over folds",
    "replay": "run a step of a run again, and trace NaN or infinity to its operation",
}
# Names that no file can have: nothing but what a user gives leads to one.
NO_NAME = (errno.ENAMETOOLONG, errno.EILSEQ)
STOPPABLE = ("train", "resume")
STARTED = time.perf_counter()  # From here on, imports count as a stage of a run.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
      argv: Arguments; default: those of the process.

    Returns:
      Exit code: 0, 1 for a failed run, 2 for a user's mistake, 130 or 143 for a run
      that was stopped and can be resumed.
    """
    if argv is None:
        prepare()
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    debug = "--debug" in arguments
    if argv is None and not debug:
        # In a process of its own an error is printed once, and not again by the threads
        # and generators that it leaves behind.
        sys.unraisablehook = lambda _: None
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return _fail("stopped before there was anything to save", 130)
    except SystemExit:  # Of the parser of arguments.
        raise
    except BaseException as error:
        if isinstance(error.__cause__ or error, BrokenPipeError) and reader_gone():
            silence()
            return 128 + signal.SIGPIPE
        if debug:
            say(traceback.format_exc(), end="", file=sys.stderr)
        if isinstance(error, UserError):
            return _fail(error, 2)
        if isinstance(error, RunError):
            return _fail(error, 1)
        if isinstance(error, OSError) and error.errno in NO_NAME:
            return _fail(f"{error.filename}: {error.strerror}", 2)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            place = error.filename or "the output"
            return _fail(f"{place}: {error.strerror}", 1)
        return _fail(f"{describe(error)} (--debug shows where)", 1)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options):
        # `--seed 3` is not to mean `--seeds 3`.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def parser(
    name: str | None = None, command: ModuleType | None = None
) -> argparse.ArgumentParser:
    """Parser of all commands, with the arguments of one of them.

    Args:
      name: Name of that command.
      command: Module of the command, with a function ``add_arguments(parser)``.
    """
    top = _Parser(
        prog="fdl", description="Functional deep learning: launch and read experiments."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for each, text in COMMANDS.items():
        sub = commands.add_parser(each, help=text, description=text.capitalize() + ".")
        if each == name and command is not None:
            command.add_arguments(sub)
            sub.add_argument("--debug", action="store_true", help="show tracebacks")
    return top


def _run(arguments: list[str]) -> int:
    name = next((a for a in arguments if not a.startswith("-")), None)
    # A signal during an import makes it fail in unforeseen ways, so that for a run that
    # can be stopped and resumed signals are recorded before its module is imported.
    recording: contextlib.AbstractContextManager[list[int]] = (
        stoppable() if name in STOPPABLE else contextlib.nullcontext([])
    )
    with recording as stopped:
        command = _module(name) if name in COMMANDS else None
        options = _parse(arguments, name, command)
        options.stopped = stopped
        assert command is not None  # Without one, parsing has ended the process.
        try:
            code = command.main(options)
        except SystemExit as error:  # Of an experiment, as no command raises it.
            raise RunError(f"{describe(error)} (--debug shows where)") from error
    # Flushed here, where a closed pipe raises a BrokenPipeError that `main` handles.
    sys.stdout.flush()
    return code


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"fdl.cli.{name.replace('-', '_')}")


def _parse(
    arguments: list[str], name: str | None, command: ModuleType | None
) -> argparse.Namespace:
    # Argparse cannot know the keys of a config, so overrides are taken out before it.
    top = parser(name, command)
    overrides = [a for a in arguments if a.startswith("--config.")]
    for option in overrides:
        if "=" not in option:
            top.error(f"{option} needs a value: {option}=VALUE")
    options, unknown = top.parse_known_args(
        [a for a in arguments if a not in overrides]
    )
    takes_config = getattr(options, "takes_config", False)
    if unknown:
        hint = "; keys of the config are set by --config.KEY=VALUE"
        message = f"unrecognized arguments: {' '.join(unknown)}"
        top.error(message + hint * takes_config)
    if overrides and not takes_config:
        top.error(f"{options.command} takes no --config: a run keeps its config")
    options.overrides = [a.removeprefix("--config.") for a in overrides]
    return options


def _fail(error: object, code: int) -> int:
    """Prints an error in one line; returns the exit code."""
    warn(" ".join(str(error).split()))
    return code

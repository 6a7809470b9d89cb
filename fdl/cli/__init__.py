"""The command line: one file a command; nothing heavy is imported unasked."""

import argparse
import importlib
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence

from fdl.cli.output import prepare, silence
from fdl.errors import RunError, UserError

COMMANDS = {
    "train": "train an experiment; go on with it if it was stopped",
    "resume": "go on with a run that was stopped",
    "eval": "evaluate a checkpoint of a run",
    "show": "say what an experiment is, without training",
    "list": "list the experiments of a folder",
    "models": "list the models of the zoo, or say what one is made of",
    "check-gradients": "hold an experiment's gradients against finite differences",
    "overfit": "learn one batch by heart, or say what stands in the way",
    "lr-find": "try rising learning rates, and suggest one",
    "pictures": "draw the pictures of a run anew, from any checkpoint",
    "predict": "ask a trained model about new examples",
    "compare": "compare two runs on the same examples",
    "replay": "run a step of a run again, and name what made it NaN or infinite",
}
# Those that load an experiment, and take its keys.
CONFIGURED = ("train", "show", "check-gradients", "overfit", "lr-find")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
      The exit code: 0, 1 for a failed run, 2 for a user's mistake, 130 or 143 for a run
      that was stopped and can be resumed.
    """
    if argv is None:
        prepare()
    # `list` and `eval` are the names of modules here, once they have been imported.
    arguments = [*(sys.argv[1:] if argv is None else argv)]
    overrides = [a for a in arguments if a.startswith("--config.")]
    for option in overrides:
        if "=" not in option:
            parser().error(f"{option} needs a value: {option}=VALUE")
    options = parser().parse_args([a for a in arguments if a not in overrides])
    options.overrides = [a.removeprefix("--config.") for a in overrides]
    if overrides and options.command not in CONFIGURED:
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
    for name in CONFIGURED:
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
    add["train"].add_argument(
        "--folds", type=int, metavar="K", help="cross-validate: train K folds at once"
    )
    for name in ("resume", "eval", "pictures", "predict", "replay"):
        add[name].add_argument("workdir", help="the folder of a run")
        add[name].add_argument(
            "--experiment", help="where the experiment's file is, if it has moved"
        )
    for name in ("eval", "pictures", "predict", "compare"):
        add[name].add_argument(
            "--checkpoint", default="latest", help="best, latest (default) or a step"
        )
    add["replay"].add_argument(
        "--step", type=int, metavar="N", help="default: the one that went wrong"
    )
    add["list"].add_argument("folder", nargs="?", default="experiments")
    add["models"].add_argument(
        "pattern", nargs="?", help="a part of names or families, a glob, or one name"
    )
    add["models"].add_argument(
        "--depth", type=int, metavar="N", help="how deep the table of one model goes"
    )
    _add_trials(add)
    _add_questions(add)
    return top


def _add_trials(add: Mapping[str, argparse.ArgumentParser]) -> None:
    """The options of what tries an experiment for a while."""
    check, overfit, find = (add[name] for name in CONFIGURED[2:])
    check.add_argument(
        "--examples", type=int, default=8, metavar="N", help="of the batch (default: 8)"
    )
    check.add_argument(
        "--directions", type=int, default=4, metavar="N", help="a leaf (default: 4)"
    )
    check.add_argument(
        "--tolerance", type=float, default=1e-7, help="relative (default: 1e-7)"
    )
    overfit.add_argument(
        "--steps", type=int, default=1000, metavar="N", help="at most (default: 1000)"
    )
    overfit.add_argument(
        "--target", type=float, metavar="LOSS", help="default: a hundredth of the first"
    )
    find.add_argument(
        "--steps", type=int, default=100, metavar="N", help="rates (default: 100)"
    )
    for name, rate in (("start", 1e-6), ("end", 10.0)):
        find.add_argument(
            f"--{name}", type=float, default=rate, help=f"rate (default: {rate:g})"
        )
    find.add_argument(
        "--key", help="which key of the config is the learning rate, if not obvious"
    )
    find.add_argument("--output", help="the picture (default: runs/NAME-lr-find.png)")


def _add_questions(add: Mapping[str, argparse.ArgumentParser]) -> None:
    """The options of what asks trained models."""
    predict, compare = add["predict"], add["compare"]
    predict.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="images, or one CSV or npz file"
    )
    predict.add_argument("--output", help="a .csv or .jsonl file (default: terminal)")
    predict.add_argument(
        "--invert", action="store_true", help="images: swap black and white"
    )
    compare.add_argument("first", help="the folder of a run")
    compare.add_argument("second", help="the folder of another")
    compare.add_argument("--output", help="a .csv file for what differs")
    for command in (add["pictures"], predict, compare):
        command.add_argument("--seed", type=int, help="which, of a run of several")


def _command(options: argparse.Namespace) -> int:
    module = options.command.replace("-", "_")
    code = importlib.import_module(f"fdl.cli.{module}").main(options)
    sys.stdout.flush()  # Here, and not where nobody catches what comes of it.
    return code


def _fail(error: object, code: int) -> int:
    print(f"fdl: {' '.join(str(error).split())}", file=sys.stderr)
    return code

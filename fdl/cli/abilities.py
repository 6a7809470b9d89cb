"""Commands that ask a trained model: one ability each, a row for each example."""

import argparse

from fdl import data, evaluation
from fdl.cli.arguments import (
    MODEL,
    add_checkpoint,
    add_run,
    add_seed,
    existing_output_path,
)
from fdl.cli.console import say, warn, write
from fdl.errors import UserError
from fdl.runs.directory import write_text
from fdl.runs.process import prepare
from fdl.runs.trained_model import ability, load_trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the inputs and the output."""
    add_run(parser, MODEL)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="images, or one CSV or npz file; of texts one .txt, .csv or .jsonl file",
    )
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument("--output", help="a .csv or .jsonl file (default: terminal)")
    parser.add_argument(
        "--invert", action="store_true", help="images: swap black and white"
    )
    parser.add_argument(
        "--column", metavar="NAME", help="texts: the column of a CSV, or the JSON key"
    )


def answer(name: str, options: argparse.Namespace) -> int:
    """Applies an ability of a trained model to each example of files.

    Args:
      name: Name of the ability, such as "predict".
      options: Options of `add_arguments`.

    Returns:
      Exit code.
    """
    output = existing_output_path(options.output, (".csv", ".jsonl"))
    prepare()
    trained = load_trained(
        options.workdir,
        checkpoint=options.checkpoint,
        seed=options.seed,
        experiment_file=options.experiment,
        warn=warn,
    )
    asked = ability(trained, name, options.workdir)
    if asked.inputs is None:
        raise UserError(f"{options.workdir}: {name!r} takes no inputs, so no files")
    inputs, names = data.read_inputs(
        asked.inputs,
        options.inputs,
        invert=options.invert,
        column=options.column,
        warn=warn,
    )
    outputs = evaluation.predict(asked, trained.variables, inputs)
    rows = evaluation.prediction_rows(outputs, names, asked.outputs)
    as_json = output is not None and output.suffix == ".jsonl"
    text = evaluation.as_json(rows) if as_json else evaluation.as_csv(rows)
    if output is None:
        write(text)
        return 0
    write_text(output, text)
    noun = "example" if len(names) == 1 else "examples"
    say(f"{trained.title}: {len(names)} {noun}, in {output}")
    return 0

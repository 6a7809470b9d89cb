"""Commands that ask a trained model: one ability each, a row for each example."""

import argparse
import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from fdl import data, evaluation
from fdl.cli.arguments import (
    MODEL,
    add_checkpoint,
    add_run,
    add_seed,
    existing_output_path,
)
from fdl.cli.console import say, warn, write
from fdl.cli.own_examples import own_examples
from fdl.errors import UserError
from fdl.files import write_bytes
from fdl.runs.directory import write_text, writing
from fdl.runs.process import prepare
from fdl.runs.trained_model import TrainedModel, ability, load_trained
from fdl.types import Ability

OUTPUTS = (".csv", ".jsonl", ".npz", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the inputs and the output."""
    add_inputs(parser)
    parser.add_argument(
        "--output", help="a .csv, .jsonl, .npz or .parquet file (default: terminal)"
    )


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, and the inputs."""
    add_run(parser, MODEL)
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="images, or one CSV or npz file; of texts one .txt, .csv or .jsonl file "
        "(default: the test examples of the run)",
    )
    add_checkpoint(parser)
    add_seed(parser)
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
    output = existing_output_path(options.output, OUTPUTS)
    prepare()
    trained = load(options)
    asked = ability(trained, name, options.workdir)
    inputs, names, labels = read(asked, name, options)
    outputs = evaluation.predict(asked, trained.variables, inputs) | labels
    if output is None:
        write(
            evaluation.as_csv(evaluation.prediction_rows(outputs, names, asked.outputs))
        )
        return 0
    write_rows(output, outputs, names, asked)
    noun = "example" if len(names) == 1 else "examples"
    say(f"{trained.title}: {len(names)} {noun}, in {output}")
    return 0


def load(options: argparse.Namespace) -> TrainedModel:
    """Loads the trained model that options name."""
    return load_trained(
        options.workdir,
        checkpoint=options.checkpoint,
        seed=options.seed,
        experiment_file=options.experiment,
        warn=warn,
    )


def read(
    asked: Ability, name: str, options: argparse.Namespace
) -> tuple[dict[str, np.ndarray], list[str], dict[str, np.ndarray]]:
    """Inputs of an ability, names of the examples, and their labels, if known.

    Raises:
      UserError: The ability has no inputs, or they cannot be read.
    """
    if asked.inputs is None:
        raise UserError(f"{options.workdir}: {name!r} takes no inputs, so no files")
    if not options.inputs:
        return own_examples(asked, options)
    inputs, names = data.read_inputs(
        asked.inputs,
        options.inputs,
        invert=options.invert,
        column=options.column,
        warn=warn,
    )
    return inputs, names, {}


def write_rows(
    path: pathlib.Path,
    outputs: Mapping[str, np.ndarray],
    names: Sequence[str],
    asked: Ability,
) -> None:
    """Writes a row for each example, in the format of the suffix."""
    if path.suffix == ".npz":
        return write_npz(path, {"example": np.array(names), **outputs})
    rows = evaluation.prediction_rows(outputs, names, asked.outputs)
    if path.suffix == ".parquet":
        return _write_parquet(path, [*rows])
    as_json = path.suffix == ".jsonl"
    write_text(path, evaluation.as_json(rows) if as_json else evaluation.as_csv(rows))


def write_npz(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name into an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with writing(path):
        write_bytes(path, buffer.getvalue())


def _write_parquet(path: pathlib.Path, rows: Sequence[Mapping]) -> None:
    import pyarrow  # Imported late, as it takes long.
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([*rows]), buffer)
    with writing(path):
        write_bytes(path, buffer.getvalue())

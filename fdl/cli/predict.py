"""`fdl predict`: predict new examples with a trained model."""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from fdl import evaluation
from fdl.cli.arguments import add_checkpoint, add_run, add_seed, existing_output_path
from fdl.cli.console import warn
from fdl.data.image.image_files import read_images
from fdl.data.npz_files import as_dtype, read_npz
from fdl.data.tabular.csv_files import encode_csv
from fdl.data.tabular.numeric_csv import read_numeric_csv
from fdl.errors import UserError
from fdl.runs.directory import write_text
from fdl.runs.load_trained import load_trained
from fdl.types import Predictor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="images, or one CSV or npz file"
    )
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument("--output", help="a .csv or .jsonl file (default: terminal)")
    parser.add_argument(
        "--invert", action="store_true", help="images: swap black and white"
    )


def main(options: argparse.Namespace) -> int:
    """Reads examples, predicts each, and writes a row for each."""
    output = existing_output_path(options.output, (".csv", ".jsonl"))
    trained = load_trained(
        options.workdir,
        warn,
        checkpoint=options.checkpoint,
        seed=options.seed,
        experiment_file=options.experiment,
    )
    predictor = trained.predictor
    paths = [pathlib.Path(name) for name in options.inputs]
    inputs, names = read(predictor, paths, invert=options.invert)
    predictions = evaluation.predict(predictor, trained.state, inputs)
    rows = evaluation.prediction_rows(predictions, names, predictor.classes)
    as_json = output is not None and output.suffix == ".jsonl"
    text = evaluation.as_json(rows) if as_json else evaluation.as_csv(rows)
    if output is None:
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    noun = "example" if len(names) == 1 else "examples"
    print(f"{trained.name} at step {trained.step}: {len(names)} {noun}, in {output}")
    return 0


def read(
    predictor: Predictor, paths: Sequence[pathlib.Path], *, invert: bool
) -> tuple[np.ndarray, list[str]]:
    """Inputs [N, ...] encoded as those of the test set, and names of the examples.

    Args:
      predictor: Predictor of the experiment.
      paths: Paths of images, or of one CSV or npz file.
      invert: True if black and white of images are to be swapped.

    Raises:
      UserError: A file cannot be read, or does not have the shape that the model takes.
    """
    example = evaluation.expected_input(predictor)
    kinds = {path.suffix.lower() for path in paths} & {".csv", ".npz"}
    if kinds and len(paths) > 1:
        raise UserError("expected images, or else one CSV or npz file")
    if invert and kinds:
        raise UserError(f"--invert: expected images, not {paths[0]}")
    if not kinds:
        # Between 0 and 1, and then in the range of the test set's pixels.
        pixels = read_images(paths, example.shape, invert=invert)
        inputs = predictor.encode(pixels * evaluation.white_level(predictor))
        if example.dtype.kind in "iu":
            inputs = inputs.round()
    elif kinds == {".csv"}:
        if len(example.shape) != 1:
            raise UserError(
                f"{paths[0]}: the model takes {list(example.shape)} of each example, "
                "not a row of a table: expected images, or an npz file"
            )
        inputs = read_table(predictor, paths[0], example.shape[0])
    else:
        inputs = predictor.encode(read_npz(paths[0], predictor.inputs))
    names = [str(i) for i in range(len(inputs))] if kinds else [*map(str, paths)]
    return as_dtype(inputs, example.dtype, predictor.inputs), names


def read_table(
    predictor: Predictor, path: pathlib.Path, num_columns: int
) -> np.ndarray:
    """Inputs [N, F] of the rows of a CSV file."""
    if predictor.encode_rows is not None:
        return encode_csv(path, predictor.encode_rows)
    return predictor.encode(read_numeric_csv(path, num_columns, predictor.columns))

"""`fdl predict`: ask a trained model about new examples."""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any


def main(options: argparse.Namespace) -> int:
    """Reads examples, asks the model about each, and writes down what it says."""
    from fdl import tools
    from fdl.cli import trained
    from fdl.train.folder import write_text

    output = trained.output(options.output, (".csv", ".jsonl"))
    run = trained.load(options, options.workdir, options.experiment)
    paths = [pathlib.Path(name) for name in options.inputs]
    inputs, names = read(run.predictor, paths, invert=options.invert)
    answers = tools.ask(run.predictor, run.state, inputs)
    found = tools.rows(answers, names, run.predictor.classes)
    write = tools.as_json if output and output.suffix == ".jsonl" else tools.as_csv
    if output is None:
        sys.stdout.write(write(found))
        return 0
    write_text(output, write(found))
    noun = "example" if len(names) == 1 else "examples"
    print(f"{run.name} at step {run.step}: {len(names)} {noun}, in {output}")
    return 0


def read(
    predictor: Any, paths: Sequence[pathlib.Path], *, invert: bool
) -> tuple[Any, list[str]]:
    """The inputs [N, ...] as the data of the test has them, and the names of examples.

    Raises:
      UserError: They cannot be read, or are nothing that the model takes.
    """
    from fdl import tools
    from fdl.errors import UserError

    example = tools.expected(predictor)
    kinds = {path.suffix.lower() for path in paths} & {".csv", ".npz"}
    if kinds and len(paths) > 1:
        raise UserError("expected images, or else one CSV or npz file")
    if invert and kinds:
        raise UserError("--invert is for images")
    if not kinds:
        pixels = tools.images(paths, example.shape, invert=invert)
        inputs = predictor.encode(pixels * tools.white(predictor))
        if example.dtype.kind in "iu":
            inputs = inputs.round()
    elif kinds == {".csv"}:
        if len(example.shape) != 1:
            raise UserError(
                f"the model takes {list(example.shape)} of each example, and no row of "
                "a table: give it images, or an npz file"
            )
        inputs = table(predictor, paths[0], example.shape[0])
    else:
        inputs = predictor.encode(tools.arrays(paths[0], predictor.inputs))
    names = [str(i) for i in range(len(inputs))] if kinds else [*map(str, paths)]
    return tools.fitted(inputs, example.dtype, predictor.inputs), names


def table(predictor: Any, path: pathlib.Path, num_columns: int) -> Any:
    """The inputs of a CSV file, [N, F]."""
    from fdl import tools

    if predictor.encode_rows is not None:
        return tools.encoded(path, predictor.encode_rows)
    return predictor.encode(tools.table(path, num_columns, predictor.columns))

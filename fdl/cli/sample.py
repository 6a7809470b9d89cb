"""`fdl sample`: draw samples of a trained generative model."""

import argparse
import pathlib

import numpy as np

from fdl import evaluation
from fdl.cli.abilities import write_npz
from fdl.cli.arguments import MODEL, add_checkpoint, add_run, existing_output_path
from fdl.cli.console import say, warn
from fdl.config import in_range
from fdl.errors import UserError
from fdl.runs.directory import writing
from fdl.runs.process import prepare
from fdl.runs.trained_model import ability, load_trained

MAX_SAMPLES, MAX_DRAWN = 1 << 20, 10_000
MAX_TEMPERATURE = 1e6
PICTURE, ARRAYS = ".png", ".npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, and what to draw."""
    add_run(parser, MODEL)
    add_checkpoint(parser)
    add = parser.add_argument
    add("--num", type=int, default=64, help="number of samples (default: 64)")
    add("--seed", type=int, default=0, help="of the samples (default: 0)")
    add("--run-seed", type=int, help="seed of the run (default: its first)")
    add(
        "--temperature",
        type=float,
        default=1.0,
        help="below 1: nearer to what is most likely (default: 1)",
    )
    add(
        "--output",
        default="samples.png",
        help="a .png of all samples, or an .npz of the arrays (default: samples.png)",
    )


def main(options: argparse.Namespace) -> int:
    """Draws samples, and writes them."""
    output = existing_output_path(options.output, (PICTURE, ARRAYS))
    assert output is not None
    most = MAX_DRAWN if output.suffix == PICTURE else MAX_SAMPLES
    in_range("--num", options.num, 1, most)
    in_range("--seed", options.seed, 0, 2**32 - 1)
    if not 0 <= options.temperature <= MAX_TEMPERATURE:
        raise UserError(
            f"--temperature={options.temperature}: expected a number from 0 to "
            f"{MAX_TEMPERATURE:g}"
        )
    prepare()
    trained = load_trained(
        options.workdir,
        checkpoint=options.checkpoint,
        seed=options.run_seed,
        experiment_file=options.experiment,
        warn=warn,
    )
    drawn = evaluation.predict(
        ability(trained, "sample", options.workdir),
        trained.variables,
        {"temperature": np.full(options.num, options.temperature, np.float32)},
        seed=options.seed,
    )
    write(output, drawn, trained.title)
    noun = "sample" if options.num == 1 else "samples"
    say(f"{trained.title}: {options.num} {noun}, in {output}")
    return 0


def write(
    path: pathlib.Path,
    arrays: dict[str, np.ndarray],
    title: str,
    num_columns: int | None = None,
) -> None:
    """Writes ``sample`` as a picture, or all arrays, by the suffix of a path."""
    if path.suffix == ARRAYS:
        return write_npz(path, arrays)
    from fdl import plots  # Imports matplotlib.

    figure = plots.samples(arrays["sample"], title=title, num_columns=num_columns)
    with writing(path):
        plots.save(figure, path)

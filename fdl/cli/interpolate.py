"""`fdl interpolate`: decode points between the embeddings of examples."""

import argparse

import numpy as np

from fdl import evaluation
from fdl.cli import abilities, sample
from fdl.cli.arguments import existing_output_path
from fdl.cli.console import say
from fdl.config import in_range
from fdl.errors import UserError
from fdl.runs.process import prepare
from fdl.runs.trained_model import ability

MAX_STEPS = 100  # As many fit into a picture.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the trained model, the examples, and the number of points."""
    abilities.add_inputs(parser)
    add = parser.add_argument
    add(
        "--rows",
        type=int,
        nargs="+",
        help="numbers of the examples, from 0 on, one after another (default: 0 to 4)",
    )
    add("--steps", type=int, default=10, help="points on each line (default: 10)")
    add("--spherical", action="store_true", help="along great circles, not lines")
    add(
        "--output",
        default="interpolation.png",
        help="a .png, or an .npz of the arrays (default: interpolation.png)",
    )


def main(options: argparse.Namespace) -> int:
    """Embeds examples, interpolates between neighbours, and decodes the points."""
    output = existing_output_path(options.output, (sample.PICTURE, sample.ARRAYS))
    assert output is not None
    in_range("--steps", options.steps, 2, MAX_STEPS)
    prepare()
    trained = abilities.load(options)
    embed, decode = (
        ability(trained, name, options.workdir) for name in ("embed", "decode")
    )
    inputs, names, _ = abilities.read(embed, "embed", options)
    rows = chosen_rows(options.rows, len(names))
    inputs = {name: array[rows] for name, array in inputs.items()}
    ends = evaluation.predict(embed, trained.variables, inputs)["embedding"]
    between = spherical if options.spherical else linear
    points = between(ends[:-1], ends[1:], np.linspace(0, 1, options.steps))
    points = points.reshape(-1, ends.shape[1]).astype(np.float32)
    found = evaluation.predict(decode, trained.variables, {"embedding": points})
    arrays = {**found, "embedding": points}
    kind = "great circles" if options.spherical else "lines"
    shown = ", ".join(names[row] for row in rows)
    title = f"{trained.title}: {kind} through the examples {shown}"
    sample.write(output, arrays, title, num_columns=options.steps)
    noun = "line" if len(rows) == 2 else "lines"
    say(f"{trained.title}: {len(rows) - 1} {noun} of {options.steps}, in {output}")
    return 0


def chosen_rows(rows: list[int] | None, count: int) -> list[int]:
    """Numbers of the examples to interpolate between; by default the first five.

    Raises:
      UserError: There are fewer than two, or no such example.
    """
    chosen = [*range(min(5, count))] if rows is None else rows
    for row in chosen:
        in_range("--rows", row, 0, count - 1)
    if len(chosen) < 2:
        raise UserError(f"--rows: expected two examples or more, got {len(chosen)}")
    return chosen


def linear(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on lines, (1 - t) a + t b.

    Args:
      start: Starts a, float [N, D].
      end: Ends b, float [N, D].
      t: Positions between 0 and 1, float [T].

    Returns:
      Float [N, T, D].
    """
    t = t[:, None]
    return (1 - t) * start[:, None] + t * end[:, None]


def spherical(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Spherical linear interpolation, (sin((1 - t) ω) a + sin(t ω) b) / sin ω.

    ω is the angle between a and b. Where they are parallel, it is linear.

    Args:
      start: Starts a, float [N, D].
      end: Ends b, float [N, D].
      t: Positions between 0 and 1, float [T].

    Returns:
      Float [N, T, D].

    References:
      Shoemake, `Animating Rotation with Quaternion Curves
      <https://doi.org/10.1145/325165.325242>`_, 1985.
    """
    lengths = np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
    cosine = (start * end).sum(axis=1) / np.where(lengths == 0, 1, lengths)
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None, None]
    t = t[:, None]
    parallel = np.sin(angle) < 1e-6
    sine = np.where(parallel, 1, np.sin(angle))
    curved = np.sin((1 - t) * angle) / sine * start[:, None]
    curved = curved + np.sin(t * angle) / sine * end[:, None]
    return np.where(parallel, linear(start, end, t[:, 0]), curved)

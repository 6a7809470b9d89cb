"""Plots of a generative model: samples, reconstructions, and its embeddings.

Matplotlib is imported late: a training begins without it.
"""

import functools
import pathlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.evaluation import only_input
from fdl.files import write_bytes
from fdl.runs.directory import writing
from fdl.types import Experiment, Variables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("sample", "reconstruct", "embed")  # Abilities that are drawn.
NUM_SAMPLES, NUM_RECONSTRUCTIONS, NUM_EMBEDDINGS = 64, 32, 1000
STEPS = "samples"  # Folder of a run, for the pictures of its evaluations.
GIF_RATE = 4.0  # Evaluations a second.

Draw = Callable[[Variables, str], "Figure"]


def drawer(experiment: Experiment) -> Draw | None:
    """Function ``draw(variables, title)`` of what a model makes; None if it has none.

    Samples are drawn from the same key each time, at temperature 1; reconstructions and
    embeddings are of the first test examples.

    Args:
      experiment: Experiment with one of the abilities ``sample``, ``reconstruct`` and
        ``embed``. The latter two are drawn if there are examples.
    """
    abilities = {k: a for k, a in experiment.abilities.items() if k in NAMES}
    if experiment.examples is None:
        abilities = {k: a for k, a in abilities.items() if k == "sample"}
    if not abilities:
        return None

    @jax.jit
    def arrays(variables: Variables, batch: Any, originals: Any) -> dict[str, Any]:
        key, found = jax.random.key(0), dict(originals)
        for name, inputs, output, shown in (
            ("sample", {"temperature": jnp.ones(NUM_SAMPLES)}, "sample", "samples"),
            ("reconstruct", batch, "reconstruction", "reconstructions"),
            ("embed", batch, "embedding", "embedding"),
        ):
            if name in abilities:
                values = abilities[name].function(variables, inputs, key)
                found[shown] = values[output]
        if "reconstructions" in found:
            found["reconstructions"] = found["reconstructions"][:NUM_RECONSTRUCTIONS]
        return found

    @functools.cache
    def examples() -> tuple[Any, dict]:
        # Once for all evaluations, and not before the first one.
        batch, shown = _examples(experiment, "reconstruct" in abilities)
        if "embed" not in abilities:
            shown.pop("labels", None)
        return batch, shown

    def draw(variables: Variables, title: str) -> "Figure":
        from fdl import plots

        batch, shown = examples()
        found = jax.device_get(arrays(variables, batch, shown))
        return plots.generative(**found, title=title)

    return draw


def _examples(experiment: Experiment, with_originals: bool) -> tuple[Any, dict]:
    """First test examples as they are stored, and what is drawn of them."""
    examples = experiment.examples
    if examples is None:
        return None, {}
    batches = examples.batches
    batch = batches.take(jax.device_put(batches.data), next(batches.stream(0)))
    batch = jax.tree.map(lambda x: x[:NUM_EMBEDDINGS], batch)
    shown = {}
    if with_originals:
        name = only_input(experiment.abilities["reconstruct"].inputs)
        originals = examples.preprocess(batch)[name]
        shown["originals"] = originals[:NUM_RECONSTRUCTIONS]
    if "label" in batch and batch["label"].ndim == 1:
        shown["labels"] = batch["label"]
    return batch, shown


def figures(
    experiment: Experiment, variables: Variables, title: str
) -> Iterator[tuple[str, "Figure"]]:
    """Figures of a generative model by name; see `drawer`."""
    draw = drawer(experiment)
    if draw is not None:
        yield "samples", draw(variables, title)


def save_step(figure: "Figure", workdir: pathlib.Path, step: int) -> pathlib.Path:
    """Writes the picture of an evaluation; `RunError` if that fails."""
    from fdl import plots

    path = workdir / STEPS / f"{step:08d}.png"
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        return plots.save(figure, path)


def animate(workdir: pathlib.Path) -> pathlib.Path:
    """Writes the pictures of all evaluations as an animated GIF.

    Raises:
      UserError: There are none.
      RunError: The file cannot be written.
    """
    from PIL import Image

    from fdl import plots
    from fdl.runs.metric_plots import FOLDER

    found = sorted((workdir / STEPS).glob("[0-9]*.png"))
    if not found:
        raise UserError(
            f"{workdir}: expected pictures of its evaluations in {STEPS}/, which runs "
            "of models that sample, reconstruct or embed have"
        )
    frames = [Image.open(path).convert("RGB") for path in found]
    path = workdir / FOLDER / "samples.gif"
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        write_bytes(path, plots.gif(frames, rate=GIF_RATE))
    return path

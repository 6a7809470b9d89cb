"""`fdl pictures`: draw all that can be drawn of a run."""

import argparse
import pathlib
from collections.abc import Callable
from typing import Any

Drawing = tuple[str, Callable[[], Any]]  # What is drawn, and what draws it.


def main(options: argparse.Namespace) -> int:
    """Draws the pictures of a run anew, from any checkpoint."""
    from fdl.cli.output import warn
    from fdl.cli.recorded import opened, place_of

    run = opened(options.workdir, options.experiment)
    place = place_of(options.seed, run.loaded.config.seed, run.seeds, run.workdir)
    drawings = of_metrics(run.workdir) + of_answers(
        run.workdir,
        run.loaded,
        run.experiments,
        run.setting,
        options.checkpoint,
        place,
    )
    drawn, whole = draw(drawings, warn)
    for path in drawn:
        print(f"  {path}")
    return 0 if whole else 1


def draw(
    drawings: list[Drawing], warn: Callable[[str], None]
) -> tuple[list[pathlib.Path], bool]:
    """Draws one after another, as far as it goes.

    Args:
      drawings: What to draw.
      warn: Told in one line of each that fails; a file that cannot be written is told
        once, and ends it.

    Returns:
      The paths of the pictures, and whether all went well.
    """
    from fdl.errors import RunError, UserError
    from fdl.train.digests import reason

    drawn: list[pathlib.Path] = []
    whole = True
    for what, make in drawings:
        try:
            drawn += make()
        except RunError as error:
            warn(f"no more pictures: {error}")
            return drawn, False
        except UserError as error:
            warn(f"no picture of {what}: {error}")
            whole = False
        except Exception as error:  # Whatever comes up, the run has ended well.
            warn(f"no picture of {what}: {type(error).__name__}: {reason(error)}")
            whole = False
    return drawn, whole


def of_metrics(workdir: pathlib.Path) -> list[Drawing]:
    """What is drawn from the numbers that a run has written down."""
    from fdl.train import curves

    def all_of(make):
        path = make(workdir)
        return [path] if path else []

    return [
        ("the curves", lambda: all_of(curves.draw)),
        ("the arms", lambda: all_of(curves.draw_arms)),
        ("the layers", lambda: all_of(curves.draw_layers)),
    ]


def of_answers(
    workdir: pathlib.Path,
    loaded: Any,
    experiments: Any,
    setting: Any,
    checkpoint: str = "latest",
    place: int = 0,
) -> list[Drawing]:
    """What is drawn from a checkpoint of one seed, if the experiment can be asked."""
    import jax

    from fdl.cli.answers import figures
    from fdl.cli.recorded import restore
    from fdl.train import curves

    seeds, predictor = len(experiments), experiments[place].predictor
    if predictor is None:
        return []

    def make() -> list[pathlib.Path]:
        step, carry = restore(workdir, setting, loaded.config, checkpoint)
        state = carry.state
        if seeds > 1:
            state = jax.tree.map(lambda x: x[place], state)
        seed = f", seed {loaded.config.seed + place}" if seeds > 1 else ""
        title = f"{loaded.name}{seed}, step {step}"
        return [
            curves.save(figure, workdir, f"{name}.png")
            for name, figure in figures(predictor, state, title)
        ]

    return [("what the model answers", make)]

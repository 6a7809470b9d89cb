"""All plots of a run: of its metrics, and of its predictions on the test set."""

import functools
import pathlib
from collections.abc import Callable, Sequence

import jax

from fdl.errors import RunError, UserError, reason
from fdl.runs import metric_plots
from fdl.runs.experiment import LoadedExperiment
from fdl.runs.open_run import restore
from fdl.runs.prediction_plots import figures
from fdl.runs.run_setup import RunSetup
from fdl.types import Experiment

# A description, and a function that draws and returns the paths of its files.
Plot = tuple[str, Callable[[], list[pathlib.Path]]]


def draw(
    plots: Sequence[Plot], warn: Callable[[str], None]
) -> tuple[list[pathlib.Path], bool]:
    """Draws plots one after another, also if some of them fail.

    Args:
      plots: Plots of `metric_plots_of` and `prediction_plots_of`.
      warn: Called with one line for each plot that fails.

    Returns:
      Paths of the files, and True if no plot failed.
    """
    paths: list[pathlib.Path] = []
    all_drawn = True
    for description, make in plots:
        try:
            paths += make()
        # A file that cannot be written: the others could not be written either.
        except RunError as error:
            warn(f"no more plots: {error}")
            return paths, False
        except UserError as error:
            warn(f"no plot of {description}: {error}")
            all_drawn = False
        # A plot must not fail a run that has ended well, whatever matplotlib raises.
        except Exception as error:
            warn(f"no plot of {description}: {type(error).__name__}: {reason(error)}")
            all_drawn = False
    return paths, all_drawn


def metric_plots_of(workdir: pathlib.Path) -> list[Plot]:
    """Plots of the metrics that a run has logged."""

    def paths(make: Callable[[pathlib.Path], pathlib.Path | None]):
        path = make(workdir)
        return [path] if path else []

    return [
        ("the curves", functools.partial(paths, metric_plots.draw)),
        ("the comparison", functools.partial(paths, metric_plots.draw_comparison)),
        ("the layers", functools.partial(paths, metric_plots.draw_layers)),
    ]


def prediction_plots_of(
    workdir: pathlib.Path,
    loaded: LoadedExperiment,
    experiments: Sequence[Experiment],
    setup: RunSetup,
    checkpoint: str = "latest",
    member: int = 0,
) -> list[Plot]:
    """Plots of the predictions of one seed; none if the experiment has no predictor.

    Args:
      workdir: Directory of the run.
      loaded: File and config of its experiment.
      experiments: Experiments that were built, one for each seed.
      setup: Setup of the run.
      checkpoint: "best", "latest" or a step.
      member: Index of the seed among those of the run.
    """
    num_seeds, predictor = len(experiments), experiments[member].predictor
    if predictor is None:
        return []

    def make() -> list[pathlib.Path]:
        step, loop_state = restore(workdir, setup, loaded.config, checkpoint)
        state = loop_state.state
        if num_seeds > 1:
            state = jax.tree.map(lambda x: x[member], state)
        seed = f", seed {loaded.config.seed + member}" if num_seeds > 1 else ""
        title = f"{loaded.name}{seed}, step {step}"
        return [
            metric_plots.save(figure, workdir, f"{name}.png")
            for name, figure in figures(predictor, state, title)
        ]

    return [("the predictions", make)]

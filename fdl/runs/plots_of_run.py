"""All plots of a run: of its metrics, and of its predictions on the test set."""

import functools
import pathlib
from collections.abc import Callable, Sequence

from fdl.errors import RunError, UserError, describe
from fdl.runs import (
    density_plots,
    generative_plots,
    language_plots,
    metric_plots,
    prediction_plots,
    translation_plots,
)
from fdl.types import Experiment, Variables

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
        except KeyboardInterrupt:
            raise
        # A plot must not fail a run that has ended well, whatever matplotlib raises, or
        # an ability of the experiment.
        except BaseException as error:
            warn(f"no plot of {description}: {describe(error)}")
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
    workdir: pathlib.Path, experiment: Experiment, variables: Variables, title: str
) -> list[Plot]:
    """Plots of the predictions of one seed on the test examples, if there are any.

    Args:
      workdir: Directory of the run.
      experiment: Experiment of the seed.
      variables: Variables of the trained model, of the seed.
      title: Title of the plots: experiment, seed and step.
    """
    if experiment.examples is None and "sample" not in experiment.abilities:
        return []
    kinds = {
        "predict": ("the predictions", prediction_plots.figures),
        "score": ("the text", language_plots.figures),
        "translate": ("the attention", translation_plots.figures),
        "log_density": ("the density", density_plots.figures),
    }
    made = next((x for x in generative_plots.NAMES if x in experiment.abilities), None)
    if made is not None:
        kinds[made] = ("what the model makes", generative_plots.figures)

    def make(figures: Callable) -> list[pathlib.Path]:
        return [
            metric_plots.save(figure, workdir, f"{name}.png")
            for name, figure in figures(experiment, variables, title)
        ]

    return [
        (description, functools.partial(make, figures))
        for ability, (description, figures) in kinds.items()
        if ability in experiment.abilities
    ]

"""What tools try things on: an experiment at its beginning, and its first batch."""

import argparse
from typing import Any, NamedTuple


class Trial(NamedTuple):
    """An experiment at its beginning.

    Attributes:
      loaded: Its file and config.
      experiment: What was built.
      state: The first.
      batch: The first.
    """

    loaded: Any
    experiment: Any
    state: Any
    batch: Any


def begin(options: argparse.Namespace, overrides: Any = None) -> Trial:
    """Loads and builds what was asked for, and makes the first state and batch.

    Args:
      options: Of the command.
      overrides: Makes more ``key=value`` of the config.

    Raises:
      UserError: There is no such experiment, or it does not learn from data that is
        given by the gradient of one objective.
    """
    import jax

    from fdl import config as configs
    from fdl.cli import loading
    from fdl.cli.start import start
    from fdl.errors import UserError

    loaded = loading.load(options.experiment, options.overrides)
    if overrides is not None:
        configs.override(loaded.config, overrides(loaded.config))
    start(keep_memory=loaded.config.keep_memory)
    (experiment,) = loading.build(loaded)
    if experiment.learner.objective is None:
        raise UserError(
            f"{loaded.name} has no objective of its own (it compares several learners, "
            f"or makes its own experience): fdl {options.command} needs a learner as "
            "fdl.gradient_learner makes it"
        )
    with loading.user_code(loaded.path):
        state = jax.jit(experiment.learner.init)(jax.random.key(loaded.config.seed))
        batches = experiment.batches
        batch = jax.jit(batches.take)(batches.data, next(batches.stream(0)))
        jax.eval_shape(experiment.learner.step, state, batch)  # Mistakes show here.
    return Trial(loaded, experiment, state, batch)


def num_examples(batch: Any) -> int:
    """How many examples are in a batch."""
    import jax

    return jax.tree.leaves(batch)[0].shape[0]

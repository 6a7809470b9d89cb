"""Order of metrics by their names: one for all tables, plots and logs."""

from collections.abc import Iterable

FIRST = ("loss", "accuracy")
LAST = ("learning_rate", "update_ratio", "grad_norm")


def in_order(names: Iterable[str]) -> list[str]:
    """Names of metrics in reading order: loss, accuracy, others, those of optimizers.

    JAX sorts the keys of a dict, so that metrics arrive in alphabetical order. Others
    stay as they were, and metrics called ``learner/metric`` with their learner.

    Args:
      names: Names of metrics.

    Example:
      >>> in_order(["accuracy", "grad_norm", "mae", "loss"])
      ['loss', 'accuracy', 'mae', 'grad_norm']
      >>> in_order(["relu/accuracy", "relu/loss", "tanh/loss"])
      ['relu/loss', 'relu/accuracy', 'tanh/loss']
    """
    names = [*names]
    learners = [name.rpartition("/")[0] for name in names]
    # Metrics without a learner come before all others.
    place = {learner: i for i, learner in enumerate(dict.fromkeys(["", *learners]))}

    def rank(name: str) -> tuple[int, int]:
        learner, _, metric = name.rpartition("/")
        if metric in FIRST:
            return place[learner], FIRST.index(metric) - len(FIRST)
        return place[learner], LAST.index(metric) + 1 if metric in LAST else 0

    return sorted(names, key=rank)

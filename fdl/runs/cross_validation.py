"""K-fold cross-validation: all folds of an experiment, trained as one learner."""

from collections.abc import Sequence

from fdl.errors import UserError
from fdl.learners import evaluate_each, replicate
from fdl.types import Experiment


def combine_folds(experiments: Sequence[Experiment]) -> Experiment:
    """Combines the experiments of K folds into one; see `replicate`.

    Each fold computes what it computes alone, all from the same key.

    Args:
      experiments: One experiment for each fold, on its part of the data.

    Returns:
      Experiment whose metrics and evaluations have one value for each fold, [K].

    Raises:
      UserError: Two folds have the same data.
    """
    fingerprints = [fold.batches.fingerprint for fold in experiments]
    if len({*fingerprints}) < len(fingerprints):
        raise UserError("two folds have the same data: build them with fdl.data.fold")
    learner, batches = replicate(
        [fold.learner for fold in experiments], [fold.batches for fold in experiments]
    )
    tests = [fold.test for fold in experiments if fold.test is not None]
    return Experiment(
        learner,
        batches,
        evaluate_each([fold.evaluate for fold in experiments]),
        evaluate_each(tests) if len(tests) == len(experiments) else None,
        weights=experiments[0].weights,
        signatures=experiments[0].signatures,
    )

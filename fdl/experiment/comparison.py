"""Comparison of several experiments, trained side by side."""

from collections.abc import Mapping, Sequence

from fdl.errors import UserError
from fdl.learners import evaluate_each, replicate
from fdl.types import Claim, Experiment


def compare(
    arms: Mapping[str, Experiment], *, claims: Sequence[Claim] = ()
) -> Experiment:
    """Comparison of experiments on the same batches and from the same key, as one.

    Each arm has the results that it would have alone.

    Args:
      arms: Experiments by name, on the same training data in the same order: all see
        the batches of the first.
      claims: Claims to test after training, about metrics called ``name/metric``.

    Returns:
      An experiment whose metrics are called ``name/metric``. It has a test if all arms
      have one.

    Raises:
      UserError: There are no arms, a name is empty or has a slash, or the batches of
        an arm are not those of the first.

    Example:
      >>> import fdl
      >>> coin = fdl.monte_carlo(lambda key: {"x": fdl.types.Mean(1.0, 2.0)})
      >>> arm = fdl.Experiment(coin, fdl.data.no_data(), fdl.monte_carlo_estimates)
      >>> experiment = compare({"left": arm, "right": arm})
      >>> state = fdl.train.run(experiment.learner, experiment.batches, num_steps=1)
      >>> experiment.evaluate(experiment.learner.variables(state))
      {'left/x': 0.5, 'right/x': 0.5}
    """
    evaluate = evaluate_each({name: arm.evaluate for name, arm in arms.items()})
    batches = next(iter(arms.values())).batches
    for name, arm in arms.items():
        for field in ("fingerprint", "unit", "per_step", "steps_per_epoch"):
            value, expected = getattr(arm.batches, field), getattr(batches, field)
            if value != expected:
                raise UserError(
                    f"arms[{name!r}].batches.{field}={value!r}: expected {expected!r}, "
                    "as of the first"
                )
    learners = {name: arm.learner for name, arm in arms.items()}
    learner, batches = replicate(learners, batches)
    tests = {name: arm.test for name, arm in arms.items() if arm.test is not None}
    return Experiment(
        learner,
        batches,
        evaluate,
        test=evaluate_each(tests) if len(tests) == len(arms) else None,
        claims=claims,
    )

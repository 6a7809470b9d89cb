"""Diagnosis of a failed overfit test."""

from collections.abc import Iterator, Sequence

import numpy as np

from fdl.diagnostics.overfit import LeafStats, Overfit

VANISHING = 1e-6  # Gradient norm of a leaf, relative to the largest of all leaves.
NOISY = 0.2  # Evaluation loss, relative to the training loss of the same weights.
STUCK = 1e-3  # Distance of all parameters, relative to their initial norm.


def diagnose_overfit(result: Overfit) -> list[str]:
    """Likely causes of a failed overfit test, most informative first.

    Args:
      result: Result of `overfit`.

    Returns:
      One line for each cause; none if the target was reached.

    Example:
      >>> flat = Overfit(np.full(100, 0.7), target=0.007, eval_loss=0.7, leaves=[])
      >>> diagnose_overfit(flat)
      ['the loss stays at 0.7 since step 1: a plateau']
    """
    if result.reached:
        return []
    return [*_loss_causes(result), *_leaf_causes(result.leaves)]


def _loss_causes(result: Overfit) -> Iterator[str]:
    """Causes that show in the curve of the loss."""
    losses = result.losses
    nonfinite = np.flatnonzero(~np.isfinite(losses))
    if nonfinite.size:
        first = nonfinite[0]
        # Before the first update the learning rate cannot be the cause.
        advice = "" if first == 0 else ": try a lower learning rate"
        yield f"the loss is {losses[first]} at step {first + 1}{advice}"
        return
    quarter = max(1, len(losses) // 4)
    best_before, after = losses[:-quarter].min(initial=np.inf), losses[-quarter:]
    if result.eval_loss < max(result.target, NOISY * after.mean()):
        yield (
            f"as in evaluation the loss is {result.eval_loss:.3g}: the noise of "
            "training (dropout, say) stands in the way"
        )
    if after.mean() > 1.5 * losses.min() + 1e-3 * losses[0]:
        yield (
            f"the loss jumps about or rises, {after.min():.3g} to {after.max():.3g} in "
            "the last quarter: try a lower learning rate"
        )
    elif after.min() < 0.98 * best_before:
        yield "the loss still falls: try more steps, or a higher learning rate"
    else:
        since = int(np.argmax(losses <= 1.02 * losses.min())) + 1
        yield f"the loss stays at {losses.min():.3g} since step {since}: a plateau"


def _leaf_causes(leaves: Sequence[LeafStats]) -> Iterator[str]:
    """Causes that show in the gradients and the updates of the parameters."""
    # The norm of the norms of all leaves is the norm of the whole vector.
    distance = np.linalg.norm([leaf.distance for leaf in leaves])
    initial_norm = np.linalg.norm([leaf.initial_norm for leaf in leaves])
    if 0 < distance < STUCK * initial_norm:
        yield (
            f"the parameters moved by {distance / initial_norm:.1g} of their norm "
            "only: try a higher learning rate"
        )
    grad_norms = [leaf.final_grad_norm for leaf in leaves]
    largest = max((norm for norm in grad_norms if np.isfinite(norm)), default=0)
    for leaf in leaves:
        if not np.isfinite(leaf.final_grad_norm):
            yield f"the gradient of {leaf.name} is not finite"
        elif leaf.initial_grad_norm == leaf.final_grad_norm == 0:
            yield f"no gradient reaches {leaf.name}, from the beginning on"
        elif leaf.final_grad_norm == 0:
            yield f"no gradient reaches {leaf.name} any more"
        elif leaf.distance == 0:
            yield f"{leaf.name} does not move: frozen, or a learning rate of zero"
        elif leaf.final_grad_norm < VANISHING * largest:
            share = leaf.final_grad_norm / largest
            yield f"the gradient of {leaf.name} vanishes: {share:.1g} of the largest"
        elif leaf.num_dead_units:
            yield (
                f"{leaf.num_dead_units} of {leaf.num_units} units of {leaf.name} are "
                "dead: no example gives them a gradient"
            )

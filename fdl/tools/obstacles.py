"""What stands in the way of a model that does not learn a batch by heart."""

from collections.abc import Iterator, Sequence

import numpy as np

from fdl.tools.overfitting import Leaf, Overfit

VANISHING = 1e-6  # Of the largest gradient of a leaf.
NOISY = 0.2  # Of the loss of training, that of the same weights without its noise.
STUCK = 1e-3  # Of the norm of all parameters; what learns moves further.


def obstacles(result: Overfit) -> list[str]:
    """What stands in the way, most telling first; nothing where the target is reached.

    Example:
      >>> flat = Overfit(np.full(100, 0.7), target=0.007, evaluated=0.7, leaves=[])
      >>> obstacles(flat)
      ['the loss stays at 0.7 since step 1: a plateau']
    """
    if result.reached:
        return []
    return [*_of_losses(result), *_of_leaves(result.leaves)]


def _of_losses(result: Overfit) -> Iterator[str]:
    losses = result.losses
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        rate = "" if bad[0] == 0 else ": try a lower learning rate"
        yield f"the loss is {losses[bad[0]]} at step {bad[0] + 1}{rate}"
        return
    quarter = max(1, len(losses) // 4)
    before, after = losses[:-quarter].min(initial=np.inf), losses[-quarter:]
    if result.evaluated < max(result.target, NOISY * after.mean()):
        yield (
            f"as in evaluation the loss is {result.evaluated:.3g}: the noise of "
            "training (dropout, say) stands in the way"
        )
    if after.mean() > 1.5 * losses.min() + 1e-3 * losses[0]:
        yield (
            f"the loss jumps about or rises, {after.min():.3g} to {after.max():.3g} in "
            "the last quarter: try a lower learning rate"
        )
    elif after.min() < 0.98 * before:
        yield "the loss still falls: try more steps, or a higher learning rate"
    else:
        since = int(np.argmax(losses <= 1.02 * losses.min())) + 1
        yield f"the loss stays at {losses.min():.3g} since step {since}: a plateau"


def _of_leaves(leaves: Sequence[Leaf]) -> Iterator[str]:
    moved = np.linalg.norm([leaf.moved for leaf in leaves])
    size = np.linalg.norm([leaf.size for leaf in leaves])
    if 0 < moved < STUCK * size:
        yield (
            f"the parameters moved by {moved / size:.1g} of their norm only: try a "
            "higher learning rate"
        )
    largest = max((leaf.last for leaf in leaves if np.isfinite(leaf.last)), default=0)
    for leaf in leaves:
        if not np.isfinite(leaf.last):
            yield f"the gradient of {leaf.name} is not finite"
        elif leaf.first == leaf.last == 0:
            yield f"no gradient reaches {leaf.name}, from the beginning on"
        elif leaf.last == 0:
            yield f"no gradient reaches {leaf.name} any more"
        elif leaf.moved == 0:
            yield f"{leaf.name} does not move: frozen, or a learning rate of zero"
        elif leaf.last < VANISHING * largest:
            share = leaf.last / largest
            yield f"the gradient of {leaf.name} vanishes: {share:.1g} of the largest"
        elif leaf.dead:
            yield (
                f"{leaf.dead} of {leaf.units} units of {leaf.name} are dead: no "
                "example gives them a gradient"
            )

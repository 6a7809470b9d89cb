"""Contrastive divergence (CD-k), also persistent (PCD), of energy-based models."""

import jax

from fdl import losses, metrics
from fdl.errors import UserError, check_positive, check_type
from fdl.losses.half_precision import at_least_float32
from fdl.objectives import supervised
from fdl.types import Array, Model, Objective, Variables

CHAINS = "chains"


def contrastive_divergence(
    model: Model,
    *,
    inputs: str = "image",
    num_steps: int = 1,
    persistent: bool = False,
) -> Objective:
    """Contrastive divergence: free energies of the data minus those of samples.

    The gradient of −log p(v) is that of F(v) minus its expectation under the model. In
    its place are samples of k steps of Gibbs sampling, which begin at the data (CD-k),
    or where those of the last training step have ended (persistent, PCD); the steps
    themselves are not differentiated.

    The difference is no likelihood, and says little about one: watch the
    log-likelihood itself, see `evaluation.annealed_importance_sampling`.

    Args:
      model: Model of visible states [B, ...] to free energies, float [B], with the
        methods ``gibbs`` and ``reconstruct``, such as `models.RBM`.
      inputs: Name of the visible states in a batch.
      num_steps: Number k of steps.
      persistent: Whether to continue the chains in the model's collection ``chains``,
        which a training step updates.

    Returns:
      An objective with the metrics ``loss``, the difference, and
      ``reconstruction_error``, the mean squared error of p(v = 1 | h = E[h | v]).

    Raises:
      UserError: The number of steps is not positive; or, when the objective is called,
        there is no key, or the model has no chains.

    References:
      Hinton, `Training Products of Experts by Minimizing Contrastive Divergence
      <https://doi.org/10.1162/089976602760128018>`_, 2002; Tieleman, `Training
      Restricted Boltzmann Machines using Approximations to the Likelihood Gradient
      <https://doi.org/10.1145/1390156.1390290>`_, 2008.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_positive(num_steps=num_steps)

    def objective(variables, batch, key=None, *, train=False):
        supervised.check_key(key, ", which samples are drawn from")
        data, mask = supervised.take(batch, inputs), batch.get("mask")
        start = _chains(variables) if persistent else data
        samples, _ = model.apply(
            variables, start, key=key, num_steps=num_steps, method="gibbs"
        )
        samples = jax.lax.stop_gradient(samples)
        restored, _ = model.apply(variables, data, method="reconstruct")
        energies, model_state = model.apply(variables, data, train=train)
        model_energies, _ = model.apply(variables, samples)
        loss = metrics.mean(at_least_float32(energies), mask)
        negative = metrics.mean(
            at_least_float32(model_energies), None if persistent else mask
        )
        # Weighted as the data are, so that batches merge, and none learns from nothing.
        loss = loss._replace(
            total=loss.total - loss.weight * supervised.to_minimise(negative)
        )
        if persistent and train:
            model_state = {**model_state, CHAINS: {"visible": samples}}
        errors = metrics.mean(losses.squared_error(restored, data), mask)
        watched = {"loss": loss, "reconstruction_error": errors}
        return supervised.to_minimise(loss), (model_state, watched)

    return objective


def _chains(variables: Variables) -> Array:
    """States of the persistent chains, float [C, V]."""
    if CHAINS not in variables:
        raise UserError(
            f"persistent=True: expected variables with {CHAINS!r}, such as those of "
            "models.RBM(num_chains=100, ...)"
        )
    return variables[CHAINS]["visible"]

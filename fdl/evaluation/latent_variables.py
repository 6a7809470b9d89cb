"""Evaluation of latent variable models: log-likelihood, and the latents in use."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses
from fdl.data.batches import keyed_items
from fdl.errors import UserError
from fdl.evaluation.dataset import check_epochs
from fdl.objectives.importance_weighted import sample_log_weights
from fdl.objectives.supervised import Loss
from fdl.types import Array, Batch, Batches, Evaluate, Model, Variables


def importance_sampled(
    model: Model,
    batches: Batches,
    *,
    num_samples: int = 1000,
    samples_at_once: int | None = None,
    seed: int = 0,
    inputs: str = "image",
    likelihood: Loss = losses.bernoulli_nll,
    preprocess: Callable[[Batch], Batch] | None = None,
) -> Evaluate:
    """Importance-sampled log-likelihood of a VAE, log p(x) ≈ log (1 / K) Σₖ wₖ.

    The samples are from the approximate posterior. The estimate is too low on average,
    by about half of its variance, which vanishes with K.

    Args:
      model: Model with the methods ``encode``, of inputs to mean and log-variance, and
        ``decode``, of latents [B, L] to outputs, such as `models.VAE`.
      batches: Batches of the data, not shuffled.
      num_samples: Number of samples K of each example.
      samples_at_once: Number of samples that are decoded at once, which bounds the
        memory; divides K. Default: the largest divisor up to 50.
      seed: Seed of the samples, which are the same each time.
      inputs: Name of the inputs in a batch.
      likelihood: Function of outputs and inputs to the negative log-likelihood of each
        example, [B].
      preprocess: ``preprocess(batch) -> batch``, on the device. Default: none.

    Returns:
      ``evaluate(variables)``, to

      * ``log_likelihood``, the mean over examples, in nats,
      * ``log_likelihood_error``, its standard error by the spread of the examples,
      * ``monte_carlo_error``, its standard error by the spread of the samples, for
        these examples; by the delta method, and too small where few samples have all
        of the weight.

    Raises:
      UserError: The numbers of samples do not go with each other, or the batches have
        no epochs.

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_, 2015.
    """
    check_epochs(batches)
    if num_samples < 2:
        raise UserError(f"num_samples={num_samples}: expected at least 2")
    if samples_at_once is None:
        samples_at_once = max(n for n in range(1, 51) if num_samples % n == 0)
    if samples_at_once < 1 or num_samples % samples_at_once:
        raise UserError(
            f"samples_at_once={samples_at_once}: expected a divisor of "
            f"num_samples={num_samples}"
        )

    @jax.jit
    def measure(variables, data, item, key):
        batch = batches.take(data, item)
        batch = batch if preprocess is None else preprocess(batch)

        def some(key):
            return sample_log_weights(
                model,
                variables,
                batch[inputs],
                key,
                num_samples=samples_at_once,
                likelihood=likelihood,
            )[0]

        keys = jax.random.split(key, num_samples // samples_at_once)
        log_weights = jax.lax.map(some, keys).reshape(num_samples, -1)
        bounds = losses.importance_weighted_elbo(log_weights)
        return bounds, _variance(log_weights), batch.get("mask")

    def evaluate(variables: Variables) -> Mapping[str, float]:
        bounds, variances = _kept(measure, variables, batches, seed)
        count = len(bounds)
        return {
            "log_likelihood": float(bounds.mean()),
            "log_likelihood_error": float(bounds.std(ddof=1) / np.sqrt(count)),
            "monte_carlo_error": float(np.sqrt(variances.sum()) / count),
        }

    return evaluate


def active_units(
    model: Model,
    batches: Batches,
    *,
    threshold: float = 0.01,
    inputs: str = "image",
    preprocess: Callable[[Batch], Batch] | None = None,
) -> Evaluate:
    """Active units of a VAE: latents whose posterior mean depends on the example.

    A latent is active if the variance of its posterior mean over the examples is above
    a threshold. Others have collapsed: they are samples of the prior, whatever the
    example.

    Args:
      model: Model with the method ``encode``, of inputs to mean and log-variance.
      batches: Batches of the data, not shuffled.
      threshold: Variance above which a latent is active.
      inputs: Name of the inputs in a batch.
      preprocess: ``preprocess(batch) -> batch``, on the device. Default: none.

    Returns:
      ``evaluate(variables)``, to the number of ``active_units``.

    Raises:
      UserError: The batches have no epochs.

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_, 2015.
    """
    check_epochs(batches)

    @jax.jit
    def measure(variables, data, item, key):
        batch = batches.take(data, item)
        batch = batch if preprocess is None else preprocess(batch)
        (mean, _), _ = model.apply(variables, batch[inputs], key=key, method="encode")
        return mean.astype(jnp.float32), batch.get("mask")

    def evaluate(variables: Variables) -> Mapping[str, float]:
        (means,) = _kept(measure, variables, batches)
        return {"active_units": float((means.var(axis=0) > threshold).sum())}

    return evaluate


def _variance(log_weights: Array) -> Array:
    """Variance of log Σₖ wₖ by the delta method, float [B], of log-weights [K, B]."""
    # Relative to the largest weight of an example, sums do not overflow.
    weights = jnp.exp(log_weights - log_weights.max(axis=0, keepdims=True))
    relative = weights / weights.mean(axis=0, keepdims=True)
    return relative.var(axis=0, ddof=1) / len(weights)


def _kept(
    measure: Callable, variables: Variables, batches: Batches, seed: int = 0
) -> list[np.ndarray]:
    """Arrays of all examples, float64 [N, ...], without padding.

    Args:
      measure: ``measure(variables, data, item, key)``, arrays of a batch [B, ...], and
        last its mask or None.
      variables: Variables of the model.
      batches: Batches of the data.
      seed: Seed of the keys.
    """
    data = jax.device_put(batches.data)
    parts = []
    for item, key in keyed_items(batches, seed):
        *arrays, mask = jax.device_get(measure(variables, data, item, key))
        rows = slice(None) if mask is None else mask > 0
        parts.append([np.asarray(x, np.float64)[rows] for x in arrays])
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

"""Density estimation: maximum likelihood of models with a tractable density."""

import math

import jax

from fdl import losses, metrics
from fdl.errors import check_type
from fdl.losses.arguments import check_array
from fdl.losses.half_precision import at_least_float32
from fdl.objectives import supervised
from fdl.types import Model, Objective


def density(
    model: Model,
    *,
    inputs: str = "image",
    levels: int | None = None,
    method: str | None = None,
) -> Objective:
    """Maximum likelihood: the mean of −log p(x), in nats per example.

    Of discrete values the likelihood is that of probabilities: with ``levels``, inputs
    are dequantised by uniform noise, and the loss, −log p(y) + D log L, is a bound from
    above on −log P(x), in the mean over the noise. It is drawn from the key: an
    evaluation by `evaluation.on_dataset` gives the same one each time.

    Args:
      model: Model of inputs [B, ...] to log-densities, float [B], such as
        `models.RealNVP`.
      inputs: Name of the inputs in a batch.
      levels: Number L of values of each input, k / (L − 1); None for continuous ones.
      method: Method of the model that returns log-densities. Default: calling it.

    Returns:
      An objective with the metric ``loss`` and, of discrete values,
      ``bits_per_dimension``.

    Raises:
      UserError: The model does not return one number per example; or there is no key
        to dequantise with.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")

    def objective(variables, batch, key=None, *, train=False):
        x, mask = supervised.take(batch, inputs), batch.get("mask")
        if levels is not None:
            supervised.check_key(key, ", to dequantise the inputs")
            noise_key, key = jax.random.split(key)
            x = losses.dequantize(x, noise_key, levels=levels)
        log_density, model_state = model.apply(
            variables, x, key=key, train=train, method=method
        )
        check_array("log-densities", log_density, "float", x.shape[:1], "as of inputs")
        nll = -at_least_float32(log_density)
        if levels is None:
            loss = metrics.mean(nll, mask)
            return supervised.to_minimise(loss), (model_state, {"loss": loss})
        size = math.prod(x.shape[1:])
        loss = metrics.mean(nll + size * math.log(levels), mask)
        bits = losses.bits_per_dimension(nll, size, levels=levels)
        watched = {"loss": loss, "bits_per_dimension": metrics.mean(bits, mask)}
        return supervised.to_minimise(loss), (model_state, watched)

    return objective

"""Importance-weighted autoencoders (IWAE), and the log-weights they are made of."""

import jax
import jax.numpy as jnp

from fdl import losses, metrics
from fdl.errors import check_parameters, check_positive, check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss
from fdl.objectives.variational import OF_LATENTS
from fdl.types import Array, Key, Model, Objective, PyTree, Variables


def importance_weighted(
    model: Model,
    *,
    num_samples: int = 8,
    inputs: str = "image",
    likelihood: Loss = losses.bernoulli_nll,
) -> Objective:
    """Importance-weighted autoencoder (IWAE): negative bound of K samples, in nats.

    With one sample it is the negative ELBO, with the divergence estimated too. Latents
    are sampled in evaluation as well; see `variational`.

    Args:
      model: Model with the methods ``encode``, of inputs to mean and log-variance, and
        ``decode``, of latents [B, L] to outputs, such as `models.VAE`.
      num_samples: Number of samples K of each example.
      inputs: Name of the inputs in a batch.
      likelihood: Function of outputs and inputs to the negative log-likelihood of each
        example, [B].

    Returns:
      An objective with the metrics ``loss``, the negative bound of K samples, and
      ``negative_elbo``, that of one, estimated from the same samples.

    Raises:
      UserError: There are no samples; or, when called, there is no key.

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_, 2015.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("likelihood", likelihood, "outputs, inputs")
    check_positive(num_samples=num_samples)

    def objective(variables, batch, key=None, *, train=False):
        supervised.check_key(key, OF_LATENTS)
        originals, mask = supervised.take(batch, inputs), batch.get("mask")
        log_weights, model_state = sample_log_weights(
            model,
            variables,
            originals,
            key,
            num_samples=num_samples,
            likelihood=likelihood,
            train=train,
        )
        bounds = losses.importance_weighted_elbo(log_weights)
        loss = metrics.mean(-bounds, mask)
        elbo = metrics.mean(-log_weights.mean(axis=0), mask)
        measured = {"loss": loss, "negative_elbo": elbo}
        return supervised.to_minimise(loss), (model_state, measured)

    return objective


def sample_log_weights(
    model: Model,
    variables: Variables,
    inputs: Array,
    key: Key,
    *,
    num_samples: int,
    likelihood: Loss = losses.bernoulli_nll,
    train: bool = False,
) -> tuple[Array, PyTree]:
    """Log-weights log p(x | z) + log p(z) − log q(z | x) of samples z from q(z | x).

    Args:
      model: Model with the methods ``encode`` and ``decode``.
      variables: Its variables.
      inputs: Inputs x, float [B, ...].
      key: Key of the samples.
      num_samples: Number of samples K of each input.
      likelihood: Function of outputs and inputs to −log p(x | z), [B].
      train: Whether it is a training step.

    Returns:
      Log-weights, float32 [K, B], and the model state.
    """
    sample_key, encode_key, decode_key = jax.random.split(key, 3)
    (mean, log_var), model_state = model.apply(
        variables, inputs, key=encode_key, train=train, method="encode"
    )
    mean, log_var = (
        x.astype(jnp.promote_types(x.dtype, "float32")) for x in (mean, log_var)
    )
    noise = jax.random.normal(sample_key, (num_samples, *mean.shape), mean.dtype)
    mean, log_var = mean[None], log_var[None]
    latents = mean + jnp.exp(log_var / 2) * noise
    outputs, model_state = model.apply(
        {"params": variables["params"], **model_state},
        latents.reshape(-1, latents.shape[-1]),
        key=decode_key,
        train=train,
        method="decode",
    )
    nll = jax.vmap(likelihood, (0, None))(
        outputs.reshape(num_samples, -1, *outputs.shape[1:]), inputs
    )
    # The constants of both normal densities cancel.
    log_ratio = 0.5 * (jnp.square(noise) + log_var - jnp.square(latents)).sum(axis=-1)
    return log_ratio - nll, model_state

"""Variational autoencoders and β-VAEs: evidence lower bound, free nats."""

import jax
import jax.numpy as jnp

from fdl import losses, metrics
from fdl.errors import UserError, check_parameters, check_type
from fdl.objectives import supervised
from fdl.objectives.supervised import Loss
from fdl.types import Array, Model, Objective

# Of the key that they need.
OF_LATENTS = ", as latents are sampled in evaluation as well"


def variational(
    model: Model,
    *,
    inputs: str = "image",
    beta: float = 1.0,
    free_nats: float = 0.0,
    likelihood: Loss = losses.bernoulli_nll,
) -> Objective:
    """Negative evidence lower bound (ELBO) of a VAE, in nats per example.

    The latents are sampled once for each example, in evaluation as well, so that it
    needs a key: `on_dataset` gives it one that is a function of the seed and the batch,
    and measures the same each time.

    In training, the divergence may have a weight β, which gives the β-VAE, and free
    nats, below which a latent costs the same: its divergence has no gradient there, so
    that it does not collapse onto the prior. The metrics are without either, so that
    they are comparable.

    Args:
      model: Model of inputs [B, ...] to ``(outputs, mean, log_var)``, with the option
        ``sample``, such as `models.VAE`.
      inputs: Name of the inputs in a batch.
      beta: Weight β of the divergence, at least zero.
      free_nats: Free nats λ of each latent: its divergence, averaged over the examples
        of the batch, is replaced by λ where it is less.
      likelihood: Function of outputs and inputs to the negative log-likelihood of each
        example, [B].

    Returns:
      An objective with the metrics ``loss`` (−ELBO), ``reconstruction`` (negative
      log-likelihood given the latents) and ``kl``, all in nats per example.

    Raises:
      UserError: An option is negative; or, when called, there is no key.

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes
      <https://arxiv.org/abs/1312.6114>`_, 2013; Higgins et al., `beta-VAE
      <https://openreview.net/forum?id=Sy2fzU9gl>`_, 2017; Kingma et al., `Improving
      Variational Inference with Inverse Autoregressive Flow
      <https://arxiv.org/abs/1606.04934>`_, appendix C.8, 2016, for free nats.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("likelihood", likelihood, "outputs, inputs")
    for name, value in {"beta": beta, "free_nats": free_nats}.items():
        if not value >= 0:
            raise UserError(f"{name}={value}: expected a number from 0 on")

    def objective(variables, batch, key=None, *, train=False):
        supervised.check_key(key, OF_LATENTS)
        originals, mask = supervised.take(batch, inputs), batch.get("mask")
        (outputs, mean, log_var), model_state = model.apply(
            variables, originals, key=key, train=train, sample=True
        )
        nll = likelihood(outputs, originals)
        kl = losses.gaussian_kl(mean, log_var)
        measured = {
            "loss": metrics.mean(losses.negative_elbo(nll, kl), mask),
            "reconstruction": metrics.mean(nll, mask),
            "kl": metrics.mean(kl.sum(axis=-1), mask),
        }
        loss = supervised.to_minimise(measured["loss"])
        if train and (beta != 1 or free_nats):
            divergence = beta * jnp.maximum(_of_latents(kl, mask), free_nats).sum()
            # Of a batch that is masked entirely there are no free nats to pay.
            divergence *= measured["kl"].weight > 0
            loss = supervised.to_minimise(measured["reconstruction"]) + divergence
        return loss, (model_state, measured)

    return objective


def _of_latents(kl: Array, mask: Array | None) -> Array:
    """Divergence of each latent, float [L], averaged over the examples; 0 if none."""
    means = jax.vmap(lambda x: metrics.mean(x, mask), in_axes=1)(kl)
    return supervised.to_minimise(means)

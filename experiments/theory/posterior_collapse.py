"""Latents collapse onto the prior; free nats keep them in use.

fdl train experiments/theory/posterior_collapse.py --seeds 5

VAEs of binarised 8x8 digits with eight latents, after 40 epochs; divergence from the
prior and negative ELBO of 360 test images, in nats (mean ± standard error of the seeds
0 to 4):

* pixels independent given the latents: 5.46 ± 0.04 and 18.79 ± 0.03;
* the same with β = 16: 0.0008 and 24.64 ± 0.01, as of independent pixels, no latent
  active; with 0.5 free nats for each latent 3.45 ± 0.01 and 20.07 ± 0.08, all eight
  active;
* pixels that see those before them: 0.72 ± 0.03 and 18.09 ± 0.03; with free nats 4.07
  ± 0.01 and 18.71 ± 0.03.

All five claims hold. The decoder that sees pixels has the better bound while it hardly
uses its latents: free nats cost it 0.6 nats, and buy a code. Its eight latents are
active by the variance of their means, little as they say. All five take 51 seconds of
processor time.

Bowman et al., `Generating Sentences from a Continuous Space
<https://arxiv.org/abs/1511.06349>`_, 2015, describe the collapse; free nats are of
Kingma et al., 2016 (see `fdl.objectives.variational`).
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_epochs = 40 if size == "full" else 1
    config.log_every = "5 epochs"
    config.eval_every = "10 epochs"
    config.save_every = "never"
    config.steps_per_call = 41
    config.best = "min factorised/loss"

    config.batch_size = 32
    config.num_units = 256
    config.latent_size = 8
    config.beta = 16.0  # Weight of the divergence, where it is large.
    config.free_nats = 0.5  # Of each latent.
    config.optimizer = {
        "name": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "weight_decay": 0.3,
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    splits = fdl.data.binarized(fdl.data.load_splits("digits"), threshold=8)
    sizes = config.num_units, config.latent_size
    factorised = fdl.models.VAE(sizes[:1], sizes[1], input_shape=(8, 8, 1))
    autoregressive = AutoregressiveVAE(*sizes)
    free = {"free_nats": config.free_nats}
    kinds = {
        "factorised": (factorised, {}),
        "large_beta": (factorised, {"beta": config.beta}),
        "large_beta_free": (factorised, {"beta": config.beta, **free}),
        "autoregressive": (autoregressive, {}),
        "autoregressive_free": (autoregressive, free),
    }
    arms = {}
    for name, (network, options) in kinds.items():
        arm = fdl.supervised(
            config,
            splits,
            fdl.data.preprocessing.images((8, 8, 1), white=1),
            network,
            fdl.experiment.variational(**options),
        )
        arms[name] = with_active_units(arm, config, splits)
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "with a large β all latents collapse (nats of divergence)",
                lambda m: m["large_beta/kl"],
                at_most=0.01,
            ),
            fdl.Claim(
                "free nats keep all of them active",
                lambda m: m["large_beta_free/active_units"],
                at_least=8,
            ),
            fdl.Claim(
                "and win back most of the bound (nats)",
                lambda m: m["large_beta/loss"] - m["large_beta_free/loss"],
                at_least=4,
            ),
            fdl.Claim(
                "a decoder that sees the pixels hardly needs latents (divergence of "
                "that which sees none, over its own)",
                lambda m: m["factorised/kl"] / m["autoregressive/kl"],
                at_least=4,
            ),
            fdl.Claim(
                "free nats make it use them (nats of divergence)",
                lambda m: m["autoregressive_free/kl"],
                at_least=2.5,
            ),
        ],
    )


def with_active_units(
    arm: fdl.Experiment, config: ConfigDict, splits: fdl.data.Splits
) -> fdl.Experiment:
    """Also counts the latents that depend on the image."""

    def beside(evaluate, split):
        batches = fdl.data.batches(split, len(split["image"]), shuffle=False)
        count = fdl.evaluation.active_units(
            arm.model, batches, preprocess=arm.examples.preprocess
        )
        return lambda variables: {**evaluate(variables), **count(variables)}

    return arm._replace(
        evaluate=beside(arm.evaluate, splits.validation),
        test=beside(arm.test, splits.test),
    )


class AutoregressiveVAE(nn.Module):
    """VAE whose decoder sees the pixels before each one, beside the latents (MADE).

    The latents shift the logits that the pixels before give.

    Attributes:
      num_units: Number of hidden units of the encoder, and of the decoder.
      latent_size: Number of latents.
    """

    num_units: int
    latent_size: int

    def setup(self):
        """Creates the layers."""
        self.hidden = nn.Dense(self.num_units)
        self.mean = nn.Dense(self.latent_size)
        self.log_var = nn.Dense(self.latent_size)
        self.of_latents = nn.Dense(64)
        self.of_pixels = MaskedDense(64, self.num_units)
        self.direct = MaskedDense(64, 64)
        self.logits = MaskedDense(self.num_units, 64, to_pixels=True)

    def __call__(self, images, *, train=False, sample=None):
        """Maps images [B, 8, 8, 1] to logits, and to mean and log-variance."""
        mean, log_var = self.encode(images)
        latents = mean
        if train if sample is None else sample:
            noise = jax.random.normal(self.make_rng("dropout"), mean.shape)
            latents = mean + jnp.exp(log_var / 2) * noise
        pixels = images.reshape(len(images), 64)
        logits = self.logits(nn.relu(self.of_pixels(pixels)))
        logits += self.direct(pixels) + self.of_latents(latents)
        return fdl.models.VAEOutput(logits.reshape(images.shape), mean, log_var)

    def encode(self, images):
        """Maps images [B, 8, 8, 1] to posterior mean and log-variance."""
        hidden = nn.relu(self.hidden(images.reshape(len(images), 64)))
        return self.mean(hidden), self.log_var(hidden)

    def example(self):
        """Example inputs: one image."""
        return (jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32),)


class MaskedDense(nn.Module):
    """Dense layer of MADE, without the connections from a pixel to itself or before.

    Hidden unit i has degree d = i mod the number of pixels: it sees the pixels 0 to
    d - 1, and is seen by the pixels from d on.

    Attributes:
      num_inputs: Number of inputs: of pixels, or of hidden units.
      num_outputs: Number of outputs: of hidden units, or of pixels.
      to_pixels: Whether the outputs are pixels.

    References:
      Germain et al., `MADE <https://arxiv.org/abs/1502.03509>`_, 2015.
    """

    num_inputs: int
    num_outputs: int
    to_pixels: bool = False

    @nn.compact
    def __call__(self, inputs):
        """Maps inputs [B, num_inputs] to outputs [B, num_outputs]."""
        rows, columns = np.arange(self.num_inputs), np.arange(self.num_outputs)
        if self.to_pixels:
            mask = rows[:, None] % self.num_outputs <= columns
        else:
            mask = rows[:, None] < columns % self.num_inputs
        init = nn.initializers.lecun_normal()
        kernel = self.param("kernel", init, (self.num_inputs, self.num_outputs))
        bias = self.param("bias", nn.initializers.zeros, (self.num_outputs,))
        return inputs @ (kernel * mask) + bias[None]

"""Variational autoencoders (VAE), dense and convolutional."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.generative.autoencoder import Decoder, Encoder
from fdl.types import Array


class VAEOutput(NamedTuple):
    """Reconstruction and approximate posterior of a variational autoencoder.

    Attributes:
      logits: Logits of the reconstructed pixels, float of the shape of the inputs.
      mean: Posterior means of the latents, float [B, latent_size].
      log_var: Posterior log-variances of the latents, float [B, latent_size].
    """

    logits: Array
    mean: Array
    log_var: Array


class VAE(nn.Module):
    """Variational autoencoder with Gaussian posterior and standard normal prior.

    In training, latents are sampled by the reparameterisation trick, mean +
    exp(log_var / 2) ε with ε ~ N(0, I) from the random stream ``dropout``; in
    evaluation they are the mean, and nothing is random. The methods `encode` and
    `decode` are the two halves; decoding ε ~ N(0, I) samples from the model.
    Intermediates: ``latents``.

    Attributes:
      hidden_sizes: Units of the encoder's dense layers; the decoder mirrors them.
      latent_size: Number of latents.
      features: Channels of the convolutions in front of the dense layers; each halves
        height and width. If empty, the network is dense.
      activation: Activation after each hidden layer.
      input_shape: Shape of an example, which is that of the outputs of `decode`.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes
      <https://arxiv.org/abs/1312.6114>`_, 2013.
    """

    hidden_sizes: Sequence[int]
    latent_size: int
    features: Sequence[int] = ()
    activation: Callable[[Array], Array] = nn.relu
    input_shape: Sequence[int] = (28, 28, 1)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the encoder and the decoder."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layers: Any = {"features": self.features, "activation": self.activation}
        self.encoder = Encoder(self.hidden_sizes, None, **layers, **dtypes)
        self.mean = nn.Dense(self.latent_size, **dtypes)
        self.log_var = nn.Dense(self.latent_size, **dtypes)
        self.decoder = Decoder(self.hidden_sizes, **layers, **dtypes)

    def __call__(
        self, inputs: Array, *, train: bool = False, sample: bool | None = None
    ) -> VAEOutput:
        """Maps inputs [B, ...] to logits of their reconstruction and the posterior.

        Args:
          inputs: Pixels between 0 and 1, float [B, ...].
          train: Whether to run in training mode.
          sample: Whether to sample the latents instead of taking their mean; `train` if
            None. Pass True to estimate the evidence lower bound of test data.
        """
        mean, log_var = self.encode(inputs)
        latents = mean
        if train if sample is None else sample:
            # In training, `functional` provides this one random stream.
            # Drawn in float32: of the 128 random numbers that bfloat16 has, the mean is
            # not zero.
            wide = jnp.promote_types(mean.dtype, jnp.float32)
            noise = jax.random.normal(self.make_rng("dropout"), mean.shape, wide)
            latents = mean + jnp.exp(log_var / 2) * noise.astype(mean.dtype)
        self.sow("intermediates", "latents", latents)
        return VAEOutput(self.decoder(latents, inputs.shape[1:]), mean, log_var)

    def encode(self, inputs: Array) -> tuple[Array, Array]:
        """Maps inputs [B, ...] to posterior mean and log-variance, [B, latent_size]."""
        x = self.encoder(inputs)
        return self.mean(x), self.log_var(x)

    def decode(self, latents: Array) -> Array:
        """Maps latents [B, latent_size] to logits, float [B, *input_shape]."""
        return self.decoder(latents, self.input_shape)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one example, `input_shape`."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def vae_mnist(**options: Any) -> VAE:
    """VAE for MNIST with 500 hidden units and 20 latents; 815,824 parameters.

    As in flax's examples. With ``hidden_sizes=(400,)`` it is that of PyTorch's
    examples, with 652,824 parameters.

    Args:
      **options: Other attributes of `VAE`.

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes
      <https://arxiv.org/abs/1312.6114>`_, 2013.
    """
    return VAE(**{"hidden_sizes": (500,), "latent_size": 20, **options})


def conv_vae(**options: Any) -> VAE:
    """Small convolutional VAE for MNIST; 258,025 parameters.

    Args:
      **options: Other attributes of `VAE`.
    """
    sizes: Any = {"hidden_sizes": (), "latent_size": 20, "features": (32, 64)}
    return VAE(**{**sizes, **options})

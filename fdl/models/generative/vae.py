"""Variational autoencoders, dense and convolutional."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.generative.autoencoder import Decoder, Encoder
from fdl.types import Array


class VAEOutput(NamedTuple):
    """What the inputs were restored to, and from which distribution of the latents.

    Attributes:
      logits: Of the pixels, float of the shape of the inputs.
      mean: Of the latents, float [B, latent_size].
      log_var: Logarithms of their variances, float [B, latent_size].
    """

    logits: Array
    mean: Array
    log_var: Array


class VAE(nn.Module):
    """Maps inputs to normal distributions of a few latents, and a sample of it back.

    In training the sample is drawn, from the random numbers named ``dropout``, so that
    gradients reach the distribution: latents = mean + exp(log_var / 2) ε with ε ~ N(0,
    I). In evaluation it is the mean, and nothing is random. Methods `encode` and
    `decode` are the halves; decoding ε is sampling from the model. Intermediates:
    ``latents``.

    Attributes:
      hidden_sizes: Units of the encoder's dense layers; the decoder mirrors them.
      latent_size: How many latents there are.
      features: Channels of the convolutions that come first, on images; each halves
        height and width. None makes a dense network.
      activation: Applied after each hidden layer.
      input_shape: Shape of an example, which `decode` restores.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        """Makes the halves."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layers: Any = {"features": self.features, "activation": self.activation}
        self.encoder = Encoder(self.hidden_sizes, None, **layers, **dtypes)
        self.mean = nn.Dense(self.latent_size, **dtypes)
        self.log_var = nn.Dense(self.latent_size, **dtypes)
        self.decoder = Decoder(self.hidden_sizes, **layers, **dtypes)

    def __call__(
        self, inputs: Array, *, train: bool = False, sample: bool | None = None
    ) -> VAEOutput:
        """Maps inputs [B, ...] to logits of the same shape, by way of their latents.

        Args:
          inputs: Pixels between 0 and 1, float [B, ...].
          train: Whether it is training.
          sample: Whether latents are drawn, and not their mean; as in training or not
            where None. The bound on the likelihood of test data wants it too.
        """
        mean, log_var = self.encode(inputs)
        latents = mean
        if train if sample is None else sample:
            noise = jax.random.normal(self.make_rng("dropout"), mean.shape, mean.dtype)
            latents = mean + jnp.exp(log_var / 2) * noise
        self.sow("intermediates", "latents", latents)
        return VAEOutput(self.decoder(latents, inputs.shape[1:]), mean, log_var)

    def encode(self, inputs: Array) -> tuple[Array, Array]:
        """Maps inputs [B, ...] to means and log-variances, float [B, latent_size]."""
        x = self.encoder(inputs)
        return self.mean(x), self.log_var(x)

    def decode(self, latents: Array) -> Array:
        """Maps latents [B, latent_size] to logits, float [B, *input_shape]."""
        return self.decoder(latents, self.input_shape)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One example of `input_shape`; a dense network takes others too."""
        return (jax.ShapeDtypeStruct((1, *self.input_shape), jnp.float32),)


def vae_mnist(**options: Any) -> VAE:
    """A VAE of MNIST with 500 hidden units and 20 latents; 815,824 parameters.

    The one of flax's examples. With ``hidden_sizes=(400,)`` it is the one of PyTorch's;
    652,824 parameters.

    Args:
      **options: All others of `VAE`.

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes
      <https://arxiv.org/abs/1312.6114>`_, 2013.
    """
    return VAE(**{"hidden_sizes": (500,), "latent_size": 20, **options})


def conv_vae(**options: Any) -> VAE:
    """A small convolutional VAE of MNIST; 258,025 parameters.

    Args:
      **options: All others of `VAE`.
    """
    sizes: Any = {"hidden_sizes": (), "latent_size": 20, "features": (32, 64)}
    return VAE(**{**sizes, **options})

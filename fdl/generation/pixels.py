"""Sampling of images, pixel by pixel."""

import math

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.generation.decoder import decoder
from fdl.models import PixelCNN, PixelTransformer, functional
from fdl.trees import select_variables
from fdl.types import Array, Key, Model, Variables


def sample_pixels(
    model: Model, variables: Variables, temperature: Array, key: Key
) -> Array:
    """Ancestral sampling of images: each pixel is drawn, given those before it.

    A `models.PixelTransformer` computes each pixel once, by its key-value cache; a
    `models.PixelCNN` computes the whole image for each of its pixels.

    Args:
      model: Model of one of these modules.
      variables: Variables of the model.
      temperature: Temperature of each image, float [B], by which its logits are
        divided; zero takes the most likely value of each pixel.
      key: Key of all draws.

    Returns:
      Values 0 to V − 1 of the pixels, int32 [B, H, W, C].

    Raises:
      UserError: The model is none of these.
    """
    module = model.module
    if isinstance(module, PixelTransformer):
        values = _by_cache(module, variables, temperature, key)
    elif isinstance(module, PixelCNN):
        values = _by_image(model, variables, temperature, key)
    else:
        raise UserError(
            f"model of {type(module).__name__}: expected a PixelCNN or PixelTransformer"
        )
    return values.reshape(-1, *module.input_shape)


def _by_cache(module, variables, temperature, key):
    """Values [B, N] of a Transformer over pixels."""
    gpt = decoder(functional(module.language_model()))
    variables = select_variables(variables, "gpt")
    size = math.prod(module.input_shape)
    begin = jnp.full((len(temperature), 1), module.num_values, jnp.int32)
    mask = jnp.ones_like(begin, bool)
    cache, logits = gpt.prefill(variables, begin, mask, size)

    def draw(logits, i):
        # The begin token, which is the last one, is no pixel.
        return _draw(logits[:, :-1], temperature, jax.random.fold_in(key, i))

    def step(carry, i):
        cache, value = carry
        cache, logits = gpt.step(variables, cache, value)
        value = draw(logits, i)
        return (cache, value), value

    first = draw(logits, 0)
    _, rest = jax.lax.scan(step, (cache, first), jnp.arange(1, size))
    return jnp.concatenate([first[None], rest]).swapaxes(0, 1)


def _by_image(model, variables, temperature, key):
    """Values [B, N] of a PixelCNN."""
    shape = (len(temperature), *model.module.input_shape)
    size = math.prod(shape[1:])

    def step(i, values):
        # Later pixels, which are zero here, have no part in the logits of this one.
        logits, _ = model.apply(variables, values.reshape(shape))
        logits = logits.reshape(*values.shape, -1)[:, i]
        value = _draw(logits, temperature, jax.random.fold_in(key, i))
        return values.at[:, i].set(value)

    return jax.lax.fori_loop(0, size, step, jnp.zeros((shape[0], size), jnp.int32))


def _draw(logits, temperature, key):
    """Values int32 [B] of softmax(logits / temperature), by the Gumbel-max trick."""
    logits = logits.astype(jnp.float32)
    noise = jax.random.gumbel(key, logits.shape)
    scores = logits + temperature.astype(jnp.float32)[:, None] * noise
    return scores.argmax(axis=-1).astype(jnp.int32)

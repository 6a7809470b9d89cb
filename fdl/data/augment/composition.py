"""Composition of augmentations, and batching of functions of one example."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array, Key

# ``augment(key, images) -> images`` [B, H, W, C], or ``mix(key, batch) -> batch``.
Augment = Callable[[Key, Any], Any]


def compose(*augments: Augment) -> Augment:
    """Applies augmentations one after the other, each with a key of its own.

    Args:
      *augments: Augmentations, in order.

    Example:
      >>> augment = compose(lambda key, x: x + 1, lambda key, x: 2 * x)
      >>> augment(jax.random.key(0), jnp.ones(()))
      Array(4., dtype=float32)
    """

    def composed(key: Any, images: Any) -> Any:
        for i, augment in enumerate(augments):
            # Evaluation has no key: augmentations that are not random, such as
            # `normalize`, need none.
            own: Any = None if key is None else jax.random.fold_in(key, i)
            images = augment(own, images)
        return images

    return composed


def one_of(*augments: Augment) -> Augment:
    """Applies one of several augmentations, drawn uniformly for the whole batch.

    Args:
      *augments: Augmentations to draw from.

    Raises:
      UserError: There are none.
    """
    if not augments:
        raise UserError("augments=(): expected at least one augmentation")

    def chosen(key: Key, images: Any) -> Any:
        choice_key, key = jax.random.split(key)
        choice = jax.random.randint(choice_key, (), 0, len(augments))
        # The index is one for the batch, so only its branch is computed; an index for
        # each image would turn `switch` into a select of all branches.
        return jax.lax.switch(choice, augments, key, images)

    return chosen


def sometimes(augment: Augment, probability: float = 0.5) -> Augment:
    """Applies an augmentation to each example of a batch with some probability.

    Args:
      augment: Augmentation.
      probability: Probability, for each example.

    Raises:
      UserError: The probability is not in [0, 1].
    """
    check_probability(probability)

    def maybe(key: Key, images: Array) -> Array:
        choice_key, key = jax.random.split(key)
        choose = per_example(
            lambda key, old, new: jnp.where(
                jax.random.bernoulli(key, probability), new, old
            )
        )
        return choose(choice_key, images, augment(key, images))

    return maybe


def per_example(function: Callable[..., Array]) -> Callable[..., Array]:
    """Batches a function of one example, ``(key, example, ...)``, with a key for each.

    Keys depend on the index in the batch, but not on its size. The function computes in
    float32 at least; the result has the dtype of the batch.

    Raises:
      UserError: The examples are not floats; by the function that is returned.
    """

    def augment(key: Key, images: Array, *more: Array) -> Array:
        check_floats(images)
        # `split` would give other keys for another number of examples.
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(images)))
        wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
        return jax.vmap(function)(keys, wide, *more).astype(images.dtype)

    return augment


def per_image(function: Callable[[Key, Array], Array]) -> Augment:
    """As `per_example`, for images [B, H, W, C].

    Raises:
      UserError: The images are of another rank; by the function that is returned.
    """
    each = per_example(function)

    def augment(key: Key, images: Array) -> Array:
        if images.ndim != 4:
            raise UserError(f"images.shape={list(images.shape)}: expected [B, H, W, C]")
        return each(key, images)

    return augment


def check_probability(probability: float) -> None:
    """Raises `UserError` unless the probability is in [0, 1]."""
    if not 0 <= probability <= 1:
        raise UserError(f"probability={probability}: expected 0 to 1")


def check_floats(images: Array) -> None:
    """Raises `UserError` unless images are floats.

    Results have the dtype of the images, so bytes would be rounded.
    """
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(
            f"images.dtype={images.dtype}: expected floats in [0, 1], see "
            "`fdl.data.scale`"
        )

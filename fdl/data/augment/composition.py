"""Augmentations made of augmentations, and of functions of one example."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.types import Array, Key

# Of a key and images [B, H, W, C], to images; or of a key and a batch, to a batch.
Augment = Callable[[Key, Any], Any]


def compose(*augments: Augment) -> Augment:
    """One augmentation after the other, each with a key of its own.

    Example:
      >>> augment = compose(lambda key, x: x + 1, lambda key, x: 2 * x)
      >>> augment(jax.random.key(0), jnp.ones(()))
      Array(4., dtype=float32)
    """

    def composed(key: Any, images: Any) -> Any:
        for i, augment in enumerate(augments):
            # In evaluation there may be none, for what needs none.
            own: Any = None if key is None else jax.random.fold_in(key, i)
            images = augment(own, images)
        return images

    return composed


def one_of(*augments: Augment) -> Augment:
    """One of several augmentations, the same for the whole batch; each as likely.

    Raises:
      ValueError: There are none.
    """
    if not augments:
        raise ValueError("one_of needs at least one augmentation.")

    def chosen(key: Key, images: Any) -> Any:
        choice_key, key = jax.random.split(key)
        choice = jax.random.randint(choice_key, (), 0, len(augments))
        return jax.lax.switch(choice, augments, key, images)

    return chosen


def sometimes(augment: Augment, probability: float = 0.5) -> Augment:
    """An augmentation of some examples of a batch, each with this probability."""
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
    """Of a function of one example, ``(key, example, ...)``, one of a batch of them.

    Keys are those of the places in the batch, whatever its size. Inside, numbers are
    at least float32; the result has the type of the batch.

    Raises:
      ValueError: The numbers are no floats; by the function that is returned.
    """

    def augment(key: Key, images: Array, *more: Array) -> Array:
        check_floats(images)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(images)))
        wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
        return jax.vmap(function)(keys, wide, *more).astype(images.dtype)

    return augment


def per_image(function: Callable[[Key, Array], Array]) -> Augment:
    """As `per_example`, of images [B, H, W, C].

    Raises:
      ValueError: They have another rank; by the function that is returned.
    """
    each = per_example(function)

    def augment(key: Key, images: Array) -> Array:
        if images.ndim != 4:
            raise ValueError(f"images are {list(images.shape)}: expected [B, H, W, C]")
        return each(key, images)

    return augment


def check_probability(probability: float) -> None:
    """Raises `ValueError` if it is none."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability is {probability}, but has to be in [0, 1].")


def check_floats(images: Array) -> None:
    """Raises `ValueError` if numbers are no floats: bytes would be rounded."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"images are {images.dtype}, but have to be floats in [0, 1]: "
            "see `fdl.data.scale`."
        )

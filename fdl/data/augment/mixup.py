"""Augmentations that mix examples, and their labels: of a whole batch."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box
from fdl.data.augment.composition import Augment
from fdl.errors import UserError, near
from fdl.types import Array, Batch, Key


def mixup(
    num_classes: int | None = None,
    *,
    alpha: float = 0.2,
    inputs: str = "image",
    labels: str = "label",
) -> Augment:
    """Mixes each example with another one, x = λ xᵢ + (1 − λ) xⱼ, and so its label.

    λ is drawn from Beta(α, α), for each example (the paper's code draws one for each
    batch); j from those that the ``mask`` of the batch lets through: what is padding,
    is never mixed in.

    Args:
      num_classes: Class indices become distributions [B, C]. Default: labels are mixed
        as the numbers that they are: those of a regression, or answers of yes or no.
      alpha: α; the larger, the more is mixed.
      inputs: Name of the inputs in a batch, float [B, ...].
      labels: Name of the labels in a batch, [B] or [B, ...].

    Returns:
      ``mix(key, batch) -> batch``, for `fdl.objectives.mixed`.

    References:
      Zhang et al., `mixup: Beyond Empirical Risk Minimization
      <https://arxiv.org/abs/1710.09412>`_, 2017.
    """
    _check(alpha)

    def mix(key: Key, batch: Batch) -> Batch:
        share_key, pair_key = jax.random.split(key)
        x, y = _given(batch, inputs, labels, num_classes)
        share = jax.random.beta(share_key, alpha, alpha, x.shape[:1])
        other = partners(pair_key, len(x), batch.get("mask"))
        mixed = _blend(share, x, x[other])
        return {**batch, inputs: mixed, labels: _blend(share, y, y[other])}

    return mix


def cutmix(
    num_classes: int | None = None,
    *,
    alpha: float = 1.0,
    inputs: str = "image",
    labels: str = "label",
) -> Augment:
    """Puts a box of another image into each one, and mixes the labels by area.

    The box covers a share 1 − λ of the image, where λ is drawn from Beta(α, α) for each
    image; its centre is any pixel, and what lies outside is cut off and not counted.

    Args:
      num_classes: As of `mixup`.
      alpha: α.
      inputs: Name of the images in a batch, float [B, H, W, C].
      labels: Name of the labels in a batch, [B] or [B, ...].

    Returns:
      ``mix(key, batch) -> batch``, for `fdl.objectives.mixed`.

    References:
      Yun et al., `CutMix: Regularization Strategy to Train Strong Classifiers with
      Localizable Features <https://arxiv.org/abs/1905.04899>`_, 2019.
    """
    _check(alpha)

    def mix(key: Key, batch: Batch) -> Batch:
        share_key, pair_key, place_key = jax.random.split(key, 3)
        x, y = _given(batch, inputs, labels, num_classes)
        if x.ndim != 4:
            raise ValueError(f"images are {list(x.shape)}: expected [B, H, W, C]")
        size, height, width, _ = x.shape
        share = jax.random.beta(share_key, alpha, alpha, (size,))
        place = jax.random.randint(
            place_key, (size, 2), 0, jnp.array([[height, width]])
        )
        inside = jax.vmap(lambda s, p: mixed_box(s, p, height, width))(share, place)
        other = partners(pair_key, size, batch.get("mask"))
        mixed = jnp.where(inside[..., None], x[other], x)
        kept = 1 - inside.mean(axis=(1, 2))
        return {**batch, inputs: mixed, labels: _blend(kept, y, y[other])}

    return mix


def mixed_box(share: Array, place: Array, height: int, width: int) -> Array:
    """Which pixels come from the other image, bool [H, W].

    Args:
      share: λ, what is to be kept, float [].
      place: The centre (y, x) of the box, int [2].
      height: Of the image.
      width: Of the image.
    """
    half = 0.5 * jnp.sqrt(1 - share)
    high, wide = (half * height).astype(jnp.int32), (half * width).astype(jnp.int32)
    box = Box(place[0] - high, place[1] - wide, 2 * high, 2 * wide)
    return box.mask(height, width)


def partners(key: Key, size: int, mask: Array | None) -> Array:
    """Another example for each, int [B]: a permutation of those with a mask above 0.

    The others are their own partners.

    Raises:
      UserError: The mask is not one of examples.
    """
    if mask is None:
        return jax.random.permutation(key, size)
    if mask.shape != (size,):
        raise UserError(
            f"mask is {list(mask.shape)}: expected [{size}] to mix examples"
        )
    counts = mask > 0
    # Those that count come first, in random order.
    order = jnp.argsort(jnp.where(counts, jax.random.uniform(key, (size,)), 2.0))
    return jnp.where(counts, order[jnp.cumsum(counts) - 1], jnp.arange(size))


def _given(batch, inputs, labels, num_classes):
    """Inputs and labels, the latter as floats; distributions, if there are classes."""
    for name in (inputs, labels):
        if name not in batch:
            raise UserError(f"There is no {name!r} in a batch. {near(name, batch)}")
    y = batch[labels]
    if num_classes is not None and not jnp.issubdtype(y.dtype, jnp.floating):
        # Where a label is no class, all are 0: the loss is NaN, and so it is seen.
        y = jax.nn.one_hot(y, num_classes)
    return batch[inputs], y.astype(jnp.promote_types(y.dtype, jnp.float32))


def _blend(share, mine, others):
    share = share.reshape(share.shape + (1,) * (mine.ndim - 1))
    return (share * mine + (1 - share) * others).astype(mine.dtype)


def _check(alpha: float) -> None:
    if not alpha > 0:
        raise ValueError(f"alpha is {alpha}, but has to be above 0.")

"""Mixup and CutMix: augmentations of whole batches that mix examples and labels."""

import jax
import jax.numpy as jnp

from fdl.data.augment.boxes import Box
from fdl.data.augment.composition import Augment, check_floats
from fdl.errors import UserError, near
from fdl.types import Array, Batch, Key


def mixup(
    num_classes: int | None = None,
    *,
    alpha: float = 0.2,
    inputs: str = "image",
    labels: str = "label",
) -> Augment:
    """Mixup: convex combinations x = λ xᵢ + (1 − λ) xⱼ of examples, and so of labels.

    λ is drawn from Beta(α, α) for each example, where the code of the paper draws one
    for each batch. Partners j are drawn from the examples with a ``mask`` above 0:
    padding is never mixed in.

    Args:
      num_classes: Number of classes C, to convert class indices to distributions
        [B, C]. Default: labels are mixed as they are, for regression and binary labels.
      alpha: α, above 0; mixing is stronger with larger values.
      inputs: Name of the inputs in a batch, float [B, ...].
      labels: Name of the labels in a batch, [B] or [B, ...].

    Returns:
      ``mix(key, batch) -> batch``, for `fdl.objectives.mixed`.

    Raises:
      UserError: ``alpha`` is not positive; by the function that is returned, the inputs
        are no floats.

    References:
      Zhang et al., `mixup: Beyond Empirical Risk Minimization
      <https://arxiv.org/abs/1710.09412>`_, 2017.
    """
    _check(alpha)

    def mix(key: Key, batch: Batch) -> Batch:
        share_key, pair_key = jax.random.split(key)
        x, y = _inputs_and_labels(batch, inputs, labels, num_classes)
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
    """CutMix: pastes a box of another image into each one, and mixes labels by area.

    The box covers 1 − λ of the image, with λ drawn from Beta(α, α) for each image. Its
    centre is any pixel; the box is clipped at the border, and labels are mixed by the
    area that is left.

    Args:
      num_classes: See `mixup`.
      alpha: α, above 0.
      inputs: Name of the images in a batch, float [B, H, W, C].
      labels: Name of the labels in a batch, [B] or [B, ...].

    Returns:
      ``mix(key, batch) -> batch``, for `fdl.objectives.mixed`.

    Raises:
      UserError: ``alpha`` is not positive; by the function that is returned, the images
        are no floats, or of another rank.

    References:
      Yun et al., `CutMix: Regularization Strategy to Train Strong Classifiers with
      Localizable Features <https://arxiv.org/abs/1905.04899>`_, 2019.
    """
    _check(alpha)

    def mix(key: Key, batch: Batch) -> Batch:
        share_key, pair_key, center_key = jax.random.split(key, 3)
        x, y = _inputs_and_labels(batch, inputs, labels, num_classes)
        if x.ndim != 4:
            raise UserError(f"images.shape={list(x.shape)}: expected [B, H, W, C]")
        size, height, width, _ = x.shape
        share = jax.random.beta(share_key, alpha, alpha, (size,))
        centers = jax.random.randint(
            center_key, (size, 2), 0, jnp.array([[height, width]])
        )
        inside = jax.vmap(lambda s, c: mixed_box(s, c, height, width))(share, centers)
        other = partners(pair_key, size, batch.get("mask"))
        mixed = jnp.where(inside[..., None], x[other], x)
        # Boxes are rounded to pixels and clipped, so their true area is counted.
        own_share = 1 - inside.mean(axis=(1, 2))
        return {**batch, inputs: mixed, labels: _blend(own_share, y, y[other])}

    return mix


def mixed_box(share: Array, place: Array, height: int, width: int) -> Array:
    """Mask of the pixels that come from the other image, bool [H, W].

    Args:
      share: λ, the area of the image outside the box before clipping, float [].
      place: Centre (y, x) of the box, int [2].
      height: Height H of the image.
      width: Width W of the image.
    """
    half = 0.5 * jnp.sqrt(1 - share)
    high, wide = (half * height).astype(jnp.int32), (half * width).astype(jnp.int32)
    box = Box(place[0] - high, place[1] - wide, 2 * high, 2 * wide)
    return box.mask(height, width)


def partners(key: Key, size: int, mask: Array | None) -> Array:
    """Index of a mixing partner for each example, int [B].

    It is a random permutation of the examples with a mask above 0; the others are their
    own partners.

    Args:
      key: Random key.
      size: Number of examples B.
      mask: Mask of the examples, [B], or None for all.

    Raises:
      UserError: The mask is not of shape [B].
    """
    if mask is None:
        return jax.random.permutation(key, size)
    if mask.shape != (size,):
        raise UserError(
            f"mask.shape={list(mask.shape)}: expected [{size}] to mix examples"
        )
    counts = mask > 0
    # Masked examples sort after all uniform numbers. The n-th of the others is then
    # paired with the n-th of their random order, in shapes that do not depend on the
    # mask.
    order = jnp.argsort(jnp.where(counts, jax.random.uniform(key, (size,)), 2.0))
    return jnp.where(counts, order[jnp.cumsum(counts) - 1], jnp.arange(size))


def _inputs_and_labels(batch, inputs, labels, num_classes):
    """Inputs and float labels of a batch; distributions, if there are classes."""
    for argument, name in (("inputs", inputs), ("labels", labels)):
        if name not in batch:
            raise UserError(
                f"{argument}={name!r}: expected an array of the batch. "
                f"{near(name, batch)}"
            )
    check_floats(batch[inputs])
    y = batch[labels]
    if num_classes is not None and not jnp.issubdtype(y.dtype, jnp.floating):
        # A label that is not a class becomes all zeros, and the loss of it NaN, which
        # is noticed.
        y = jax.nn.one_hot(y, num_classes)
    return batch[inputs], y.astype(jnp.promote_types(y.dtype, jnp.float32))


def _blend(share, mine, others):
    share = share.reshape(share.shape + (1,) * (mine.ndim - 1))
    return (share * mine + (1 - share) * others).astype(mine.dtype)


def _check(alpha: float) -> None:
    if not alpha > 0:  # Unlike `alpha <= 0`, true for NaN.
        raise UserError(f"alpha={alpha}: expected above 0")

"""Images that are turned, shifted, sheared and resized."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from fdl.types import Array

Number = Array | float


def warp(image: Array, matrix: Array, fill: float = 0.0) -> Array:
    """Fetches each pixel from another place, bilinearly: out(p) = in(M · (p, 1)).

    Args:
      image: Float [H, W, C].
      matrix: M, of places (x, y) in pixels as seen from the centre, float [2, 3].
      fill: What lies outside.
    """
    height, width, _ = image.shape
    middle = jnp.array([(width - 1) / 2, (height - 1) / 2])
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    places = jnp.stack([x - middle[0], y - middle[1], jnp.ones(x.shape)])
    # Rounded as some accelerators round products, places would be off by pixels.
    found = jnp.einsum("ij,jhw->ihw", matrix, places, precision="highest")
    coordinates = [found[1] + middle[1], found[0] + middle[0]]

    def channel(values):
        return map_coordinates(values, coordinates, 1, mode="constant", cval=fill)

    return jax.vmap(channel, in_axes=-1, out_axes=-1)(image)


def affine_matrix(
    angle: Number = 0.0,
    translate: tuple[Number, Number] = (0.0, 0.0),
    scale: Number = 1.0,
    shear: tuple[Number, Number] = (0.0, 0.0),
    center: tuple[Number, Number] = (0.0, 0.0),
) -> Array:
    """The matrix for `warp` that turns, shears, scales and shifts, in this order.

    It is the inverse of T(t) C(c) R(α) s Y(ψ) X(χ) C(−c), where X moves x by −y tan χ,
    and Y moves y by −x tan ψ.

    Args:
      angle: α in degrees, clockwise.
      translate: t in pixels, to the right and down.
      scale: s; above one it enlarges.
      shear: χ and ψ in degrees.
      center: c, what stays where it is, in pixels as seen from the centre.
    """
    degree = jnp.pi / 180
    angle, chi, psi = (jnp.asarray(a) * degree for a in (angle, *shear))
    sin, cos, x, y = jnp.sin(angle), jnp.cos(angle), jnp.tan(chi), jnp.tan(psi)
    a, c = cos + sin * y, sin - cos * y
    b, d = -a * x - sin, -c * x + cos
    # The determinant of R Y X is one.
    inverse = jnp.array([[d, -b], [-c, a]]) / scale
    at = jnp.array([jnp.asarray(value, jnp.float32) for value in center])
    shift = jnp.array([jnp.asarray(value, jnp.float32) for value in translate])
    offset = at - (inverse * (at + shift)[None]).sum(axis=1)
    return jnp.concatenate([inverse, offset[:, None]], axis=1)


def crop_and_resize(
    image: Array, box: tuple[Number, Number, Number, Number], size: tuple[int, int]
) -> Array:
    """A part of an image, resized bilinearly and, where it shrinks, without aliasing.

    Args:
      image: Float [H, W, C].
      box: Top, left, height and width of the part, in pixels; may be traced.
      size: Height and width of the result.
    """
    top, left, height, width = box
    rows = _weights(image.shape[0], top, height, size[0])
    columns = _weights(image.shape[1], left, width, size[1])
    return jnp.einsum("ih,jw,hwc->ijc", rows, columns, image, precision="highest")


def _weights(length: int, start: Number, part: Number, size: int) -> Array:
    """How much of each of the pixels goes into each of the results, [size, length]."""
    step = jnp.asarray(part, jnp.float32) / size
    centers = (jnp.arange(size) + 0.5) * step + start - 0.5
    pixels = jnp.arange(length)
    distance = jnp.abs(centers[:, None] - pixels[None]) / jnp.maximum(step, 1)
    inside = (pixels >= start) & (pixels < start + part)
    weights = jnp.maximum(1 - distance, 0) * inside[None]
    return weights / weights.sum(axis=1, keepdims=True)

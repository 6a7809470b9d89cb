"""Affine warping, cropping and resizing of images."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from fdl.types import Array

Number = Array | float


def warp(image: Array, matrix: Array, fill: float = 0.0) -> Array:
    """Affine warp with bilinear interpolation: out(p) = in(M · (p, 1)).

    Args:
      image: Image, float [H, W, C].
      matrix: M, float [2, 3], for positions (x, y) in pixels relative to the centre.
      fill: Value of pixels from outside the image.
    """
    height, width, _ = image.shape
    middle = jnp.array([(width - 1) / 2, (height - 1) / 2])
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    positions = jnp.stack([x - middle[0], y - middle[1], jnp.ones(x.shape)])
    # By default, some accelerators round the factors of products to fewer bits than a
    # float32 has, which would move positions by whole pixels.
    sources = jnp.einsum("ij,jhw->ihw", matrix, positions, precision="highest")
    # Positions are (x, y), coordinates (row, column).
    coordinates = [sources[1] + middle[1], sources[0] + middle[0]]

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
    """Matrix for `warp` of rotation, translation, scale and shear.

    It is the inverse of T(t) C(c) R(α) s Y(ψ) X(χ) C(−c), where X moves x by −y tan χ,
    and Y moves y by −x tan ψ. The inverse, because `warp` maps pixels of the result to
    those of the image.

    Args:
      angle: α in degrees, clockwise.
      translate: t in pixels, to the right and down.
      scale: s; it enlarges if above 1.
      shear: χ and ψ in degrees.
      center: c, the fixed point of all but t, in pixels relative to the centre.
    """
    degree = jnp.pi / 180
    angle, chi, psi = (jnp.asarray(a) * degree for a in (angle, *shear))
    sin, cos, x, y = jnp.sin(angle), jnp.cos(angle), jnp.tan(chi), jnp.tan(psi)
    a, c = cos + sin * y, sin - cos * y
    b, d = -a * x - sin, -c * x + cos
    # The determinant of R Y X is one, so its inverse is its adjugate.
    inverse = jnp.array([[d, -b], [-c, a]]) / scale
    fixed = jnp.array([jnp.asarray(value, jnp.float32) for value in center])
    shift = jnp.array([jnp.asarray(value, jnp.float32) for value in translate])
    # A product and a sum, not a matrix product, which accelerators may round to fewer
    # bits.
    offset = fixed - (inverse * (fixed + shift)[None]).sum(axis=1)
    return jnp.concatenate([inverse, offset[:, None]], axis=1)


def crop_and_resize(
    image: Array, box: tuple[Number, Number, Number, Number], size: tuple[int, int]
) -> Array:
    """Crops a box and resizes it, bilinearly and with antialiasing where it shrinks.

    Args:
      image: Image, float [H, W, C].
      box: Top, left, height and width in pixels; may be traced.
      size: Height and width of the result.
    """
    top, left, height, width = box
    rows = _weights(image.shape[0], top, height, size[0])
    columns = _weights(image.shape[1], left, width, size[1])
    return jnp.einsum("ih,jw,hwc->ijc", rows, columns, image, precision="highest")


def _weights(length: int, start: Number, part: Number, size: int) -> Array:
    """Weights of the input pixels in each output pixel, float [size, length]."""
    step = jnp.asarray(part, jnp.float32) / size
    # Pixels have their centres at half-integers.
    centers = (jnp.arange(size) + 0.5) * step + start - 0.5
    pixels = jnp.arange(length)
    # Where the box shrinks, the triangle kernel is widened to the step: this is the
    # antialiasing.
    distance = jnp.abs(centers[:, None] - pixels[None]) / jnp.maximum(step, 1)
    # As if the box were cut out first: pixels around it have no weight, and the others
    # of a row are normalised to one.
    inside = (pixels >= start) & (pixels < start + part)
    weights = jnp.maximum(1 - distance, 0) * inside[None]
    return weights / weights.sum(axis=1, keepdims=True)

"""Image files in any format that Pillow reads, as arrays of one size."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError


def read_images(
    paths: Sequence[pathlib.Path],
    shape: Sequence[int],
    *,
    invert: bool = False,
) -> np.ndarray:
    """Reads images and brings them to one size.

    They are turned as their camera says, made grey (ITU-R 601) or RGB, as the shape has
    one channel or three, and resized to it without regard to their proportions: large
    ones by the mean of the pixels that become one, others by bilinear interpolation.
    What is transparent becomes white.

    Args:
      paths: Files in any format that Pillow reads, PNG and JPEG among them.
      shape: Height, width and channels.
      invert: Whether to swap black and white, for dark ink where the data has light.

    Returns:
      Float32 [N, H, W, C], from black, 0, to white, 1.

    Raises:
      UserError: A file is no image, or the shape is that of none.
    """
    from PIL import Image, ImageOps

    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise UserError(
            f"the model takes {list(shape)}, which is no image of one channel or "
            "three: give it an npz file"
        )
    height, width, channels = shape
    found = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                image = _eight_bits(path, ImageOps.exif_transpose(opened))
        except FileNotFoundError:
            raise UserError(f"there is no file {path}") from None
        except UserError:
            raise
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise UserError(f"{path} is no image, or a damaged one") from None
        paper = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
        flat = flat.convert("L") if channels == 1 else flat
        larger = flat.width >= width and flat.height >= height
        kind = Image.Resampling.BOX if larger else Image.Resampling.BILINEAR
        small = flat.resize((width, height), kind)
        found.append(np.asarray(small, np.float32).reshape(shape))
    pixels = np.stack(found) / 255
    return 1 - pixels if invert else pixels


def _eight_bits(path: pathlib.Path, image: Any) -> Any:
    """A grey image of 16 bits in 8: Pillow would take all above 255 for white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray(np.uint8(np.rint(np.asarray(image) / 257)))
    if image.mode in ("I", "F"):
        raise UserError(
            f"{path} has pixels of 32 bits: what is white there is not known. Give it "
            "an npz file"
        )
    return image

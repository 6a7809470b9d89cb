"""Reading of image files into arrays of one size."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError
from fdl.files import opened

# Filters of Pillow.
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def read_images(
    paths: Sequence[pathlib.Path],
    shape: Sequence[int],
    *,
    invert: bool = False,
    resample: str = "box",
) -> np.ndarray:
    """Reads image files, and resizes them to one shape.

    Images are rotated by their EXIF orientation, converted to greyscale (ITU-R 601) or
    RGB for one or three channels, and resized without preserving the aspect ratio by a
    filter of choice. In place of a box filter, images that are smaller in a dimension
    are interpolated bilinearly.
    Transparent pixels are blended with white. Of an animation, the first frame is read.

    Args:
      paths: Files in any format that Pillow reads, such as PNG and JPEG, but for
        PostScript.
      shape: Height, width and number of channels, 1 or 3.
      invert: Whether to swap black and white, as for dark ink on white paper where the
        dataset has light strokes on black.
      resample: Filter of Pillow: "nearest", "lanczos", "bilinear", "bicubic", "box" or
        "hamming".

    Returns:
      Images, float32 [N, H, W, C], from 0, black, to 1, white.

    Raises:
      UserError: A file is no image, or one of too many pixels for Pillow; or the shape
        is not that of an image.
    """
    from PIL import Image, ImageOps

    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise UserError(
            f"shape={list(shape)} of the inputs: expected [H, W, C] of an image with C "
            "1 or 3; give an npz file instead of images"
        )
    # PostScript is a program, which Pillow has Ghostscript run.
    Image.init()
    formats = [name for name in Image.ID if name != "EPS"]
    height, width, channels = shape
    images = []
    for path in paths:
        try:
            # Pillow warns of half as many pixels as it refuses.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with opened(path) as file, Image.open(file, formats=formats) as picture:
                    image = _to_8_bits(path, ImageOps.exif_transpose(picture))
        except UserError:
            raise
        except Image.DecompressionBombError as error:
            size_and_limit = str(error).partition(", could be")[0]
            raise UserError(f"{path}: {size_and_limit}; shrink it first") from None
        # Decoders of Pillow raise all of these for damaged files, that of PNG even a
        # SyntaxError.
        except (OSError, ValueError, SyntaxError):
            raise UserError(f"{path}: expected an undamaged image file") from None
        background = Image.new("RGBA", image.size, "white")
        opaque = Image.alpha_composite(background, image.convert("RGBA"))
        opaque = opaque.convert("RGB")
        opaque = opaque.convert("L") if channels == 1 else opaque
        # A box filter is blocky when an image grows.
        shrinks = opaque.width >= width and opaque.height >= height
        kernel = "bilinear" if resample == "box" and not shrinks else resample
        resized = opaque.resize((width, height), Image.Resampling[kernel.upper()])
        images.append(np.asarray(resized, np.float32).reshape(shape))
    pixels = np.stack(images) / 255
    return 1 - pixels if invert else pixels


def _to_8_bits(path: pathlib.Path, image: Any) -> Any:
    """Image with 8 bits for each channel; images of 16 bits are converted."""
    from PIL import Image

    # Pillow itself clips 16 bits to 255 instead of scaling them. 257 is 65535 / 255.
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.uint8(np.rint(np.asarray(image) / 257)))
    if image.mode in ("I", "F"):
        raise UserError(
            f"{path} has pixels of 32 bits, whose white level is not known: expected 8 "
            "or 16 bits; give an npz file instead"
        )
    return image

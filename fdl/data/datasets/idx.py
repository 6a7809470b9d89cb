"""Image classification data sets in the IDX format of MNIST.

References:
  LeCun, Cortes and Burges, `The MNIST Database of Handwritten Digits
  <http://yann.lecun.com/exdb/mnist>`_, 1998. It describes the format.
  Xiao, Rasul and Vollgraf, `Fashion-MNIST <https://arxiv.org/abs/1708.07747>`_, 2017.
"""

import gzip
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fdl.data.datasets.dataset import Dataset, File, Splits
from fdl.errors import UserError
from fdl.files import opened

PREFIXES = {"train": "train", "test": "t10k"}


def read_images(
    sizes: Mapping[str, int], *, side: int = 28, num_classes: int = 10
) -> Callable[[Mapping[str, Path]], Splits]:
    """Reader of the four files of a data set of images and labels.

    Args:
      sizes: Number of examples, by split.
      side: Height and width of the images.
      num_classes: Number of classes; labels are below it.

    Returns:
      ``read(paths) -> splits``, with image uint8 [N, side, side, 1] and label
      int64 [N]. It raises a `UserError` if a file is not valid.
    """

    def read(paths: Mapping[str, Path]) -> Splits:
        splits = {}
        for split, size in sizes.items():
            image_path = paths[f"{PREFIXES[split]}-images-idx3-ubyte.gz"]
            label_path = paths[f"{PREFIXES[split]}-labels-idx1-ubyte.gz"]
            image = read_idx(image_path, (size, side, side))
            label = read_idx(label_path, (size,))
            if label.max() >= num_classes:
                raise UserError(
                    f"{label_path}: expected labels below {num_classes}, got "
                    f"{label.max()}"
                )
            splits[split] = {"image": image[..., None], "label": label.astype(np.int64)}
        return splits

    return read


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Reads a gzipped IDX file of unsigned bytes.

    Args:
      path: Path of the file.
      shape: Expected shape.

    Returns:
      Array uint8 of that shape.

    Raises:
      UserError: The file is damaged, of another kind, or of another shape.
    """
    rank, size = len(shape), math.prod(shape)
    # The header: two zeros, 8 for unsigned bytes, the rank, and then the length of each
    # axis as a big-endian integer of four bytes.
    start = 4 + 4 * rank
    try:
        with opened(path) as packed, gzip.open(packed) as file:
            # One byte more shows that there are more; all of them may not fit into
            # memory, as a gzip file may unpack to a thousand times its size.
            content = file.read(start + size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged gzip file ({error})") from error
    if len(content) < start or content[:4] != bytes([0, 0, 8, rank]):
        raise UserError(f"{path}: expected an IDX file of bytes with {rank} axes")
    actual = tuple(int(n) for n in np.frombuffer(content, ">u4", rank, offset=4))
    if actual != shape:
        raise UserError(f"{path}: expected shape {shape}, got {actual}")
    found = len(content) - start
    if found != size:
        raise UserError(
            f"{path}: expected {size} bytes of shape {shape}, got "
            f"{found if found < size else 'more'}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _files(folder: str, published: Mapping[str, tuple[int, str]]) -> dict[str, File]:
    """Files in a folder of the web, from their sizes and digests by name."""
    return {name: File(folder + name, *rest) for name, rest in published.items()}


mnist = Dataset(
    description="70,000 handwritten digits of 28x28 pixels.",
    homepage="http://yann.lecun.com/exdb/mnist",
    read=read_images({"train": 60_000, "test": 10_000}),
    num_classes={"label": 10},
    files=_files(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte.gz": (
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            "train-labels-idx1-ubyte.gz": (
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            "t10k-images-idx3-ubyte.gz": (
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        },
    ),
)

fashion_mnist = Dataset(
    description="70,000 pictures of clothes of 28x28 pixels, in 10 kinds.",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    read=read_images({"train": 60_000, "test": 10_000}),
    num_classes={"label": 10},
    files=_files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": (
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            "train-labels-idx1-ubyte.gz": (
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            "t10k-images-idx3-ubyte.gz": (
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        },
    ),
)

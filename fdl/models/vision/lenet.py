"""LeNet-5, in its common modern form and as published in 1998."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.models.cnn import CNN
from fdl.models.layers import conv
from fdl.models.layers.lenet1998 import Subsampling, TableConv, fan_in_uniform, squash
from fdl.types import Array

# Input maps (of S2) of each output map of C3, table I of the paper: three neighbours,
# four neighbours, two pairs of neighbours, all.
TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5)),
    *((0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)

# The digits of figure 3, as they are commonly transcribed: 12 rows of 7 pixels.
DIGITS = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def lenet5(num_outputs: int | None = 10, **options: Any) -> CNN:
    """LeNet-5 in its modern form, for images [B, 28, 28, 1]; 61,706 parameters.

    It has ReLU, max-pooling, a second convolution over all maps and linear outputs.

    Args:
      num_outputs: Size of the output layer; None omits it.
      **options: Other attributes of `CNN`.

    References:
      LeCun et al., `Gradient-Based Learning Applied to Document Recognition
      <https://doi.org/10.1109/5.726791>`_, 1998.
    """
    # Padding the 28×28 images by 2 gives the 32×32 of the paper.
    options = {"kernel_size": 5, "padding": (2, "VALID"), **options}
    return CNN((6, 16), (120, 84), num_outputs, **options)


class LeNet1998(nn.Module):
    """LeNet-5 as published, with sparse connections and radial basis functions.

    The second convolution connects each output map to some input maps only, pooling is
    a sum with a learned scale and bias, every layer ends in a scaled tanh, and logits
    are the negative squared distances between the last hidden layer and a bitmap of
    each class. The paper scales images so that background is -0.1 and ink 1.175.

    The softmax of these logits saturates, and learning stops, long before the hidden
    layer matches the bitmaps. With `rubbish`, the cross-entropy is the paper's
    discriminative criterion (equation 9), under which learning continues.

    Intermediates: ``conv_0`` and ``conv_1``, the outputs of S2 and S4, and ``hidden_0``
    and ``hidden_1``, those of C5 and F6.

    Attributes:
      bitmaps: Target bitmap of each class, side by side, "#" for 1 and "." for -1; F6
        has a unit for each pixel. By default the digits of the paper's figure 3 as they
        are commonly transcribed. None omits the distances and returns F6, of 84 units.
      rubbish: Constant logit of an additional class for inputs of no other class, such
        as -1; None omits the class.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      LeCun et al., `Gradient-Based Learning Applied to Document Recognition
      <https://doi.org/10.1109/5.726791>`_, 1998, section II.B and appendix A.

    Example:
      >>> print(*(line.split()[3] for line in DIGITS.split("\\n")[1:11]), sep="\\n")
      #######
      .....##
      ....##.
      ...##..
      ..####.
      .....##
      .....##
      .....##
      ##...##
      .#####.
    """

    bitmaps: str | None = DIGITS
    rubbish: float | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Maps images [B, 32, 32, 1] to logits, float [B, 10 or 11]."""
        del train  # No layer behaves differently in training.
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        conv_options: Any = {"kernel_size": (5, 5), "padding": "VALID", **dtypes}
        codes = None if self.bitmaps is None else codes_of(self.bitmaps)
        x = squash(
            conv(6, kernel_init=fan_in_uniform(25), name="c1", **conv_options)(images)
        )
        x = squash(Subsampling(name="s2", **dtypes)(x))
        self.sow("intermediates", "conv_0", x)
        x = squash(TableConv(TABLE, 5, name="c3", **dtypes)(x))
        x = squash(Subsampling(name="s4", **dtypes)(x))
        self.sow("intermediates", "conv_1", x)
        x = squash(
            conv(120, kernel_init=fan_in_uniform(400), name="c5", **conv_options)(x)
        )
        x = jax.lax.collapse(x, 1)
        self.sow("intermediates", "hidden_0", x)
        size = 84 if codes is None else codes.shape[1]
        x = squash(
            nn.Dense(size, kernel_init=fan_in_uniform(120), name="f6", **dtypes)(x)
        )
        self.sow("intermediates", "hidden_1", x)
        if codes is None:
            return x
        differences = x[:, None] - jnp.asarray(codes, x.dtype)[None]
        logits = -jnp.square(differences).sum(axis=-1)
        if self.rubbish is None:
            return logits
        return jnp.pad(logits, ((0, 0), (0, 1)), constant_values=self.rubbish)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one image of the published size."""
        return (jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32),)


def lenet5_1998(**options: Any) -> LeNet1998:
    """LeNet-5 as published in 1998, for images [B, 32, 32, 1]; 60,000 parameters.

    Args:
      **options: Attributes of `LeNet1998`.
    """
    return LeNet1998(**options)


def codes_of(bitmaps: str) -> np.ndarray[Any, Any]:
    """Target codes of bitmaps, float [classes, pixels]: 1 for "#", -1 for ".".

    Args:
      bitmaps: Rows of pixels, each with the rows of all classes side by side.

    Example:
      >>> codes_of("#. .#")
      array([[ 1., -1.],
             [-1.,  1.]])
    """
    lines = (line.split() for line in bitmaps.split("\n") if line)
    classes = ("".join(rows) for rows in zip(*lines, strict=True))
    return np.array([[1.0 if c == "#" else -1.0 for c in pixels] for pixels in classes])

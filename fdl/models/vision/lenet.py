"""LeNet-5, as it is taught and as it was."""

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

# Which maps of S2 each map of C3 sees (table I): three neighbours, four neighbours,
# two pairs of neighbours, all.
TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5)),
    *((0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)

# The digits of figure 3, as they are commonly transcribed: 12 by 7 pixels.
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
    """LeNet-5 as it is taught, for images [B, 28, 28, 1]; 61,706 parameters.

    With ReLU and max-pooling, and every map of the second convolution sees all of the
    first.

    Args:
      num_outputs: Size of the readout.
      **options: All others of `CNN`.

    References:
      LeCun et al., `Gradient-Based Learning Applied to Document Recognition
      <https://doi.org/10.1109/5.726791>`_, 1998.
    """
    options = {"kernel_size": 5, "padding": (2, "VALID"), **options}
    return CNN((6, 16), (120, 84), num_outputs, **options)


class LeNet1998(nn.Module):
    """LeNet-5 as it was published, with everything that is left out today.

    Maps of the second convolution see some of those before, pooling is a sum with a
    learned scale and bias, every layer ends in a scaled tanh, and the outputs are minus
    the squared distances between the last hidden layer and a drawing of each class.
    Background was -0.1 there, and ink 1.175.

    Their softmax saturates long before the drawings are reached, and learning ends
    there. With `rubbish`, cross-entropy is the paper's criterion (equation 9), under
    which it goes on.

    Intermediates: ``conv_0`` and ``conv_1``, the outputs of S2 and S4, and ``hidden_0``
    and ``hidden_1``, those of C5 and F6.

    Attributes:
      bitmaps: A drawing of each class, side by side, "#" for 1 and "." for -1; F6 has a
        unit for each pixel. The digits are the paper's figure 3 as it is commonly
        transcribed. None: F6 comes out, of 84 units.
      rubbish: Logit of one more class, of what is none of the others, -1 say; none
        where None.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
        del train  # Nothing differs.
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        five: Any = {"kernel_size": (5, 5), "padding": "VALID", **dtypes}
        codes = None if self.bitmaps is None else codes_of(self.bitmaps)
        x = squash(conv(6, kernel_init=fan_in_uniform(25), name="c1", **five)(images))
        x = squash(Subsampling(name="s2", **dtypes)(x))
        self.sow("intermediates", "conv_0", x)
        x = squash(TableConv(TABLE, 5, name="c3", **dtypes)(x))
        x = squash(Subsampling(name="s4", **dtypes)(x))
        self.sow("intermediates", "conv_1", x)
        x = squash(conv(120, kernel_init=fan_in_uniform(400), name="c5", **five)(x))
        x = x.reshape(x.shape[0], -1)
        self.sow("intermediates", "hidden_0", x)
        size = 84 if codes is None else codes.shape[1]
        x = squash(
            nn.Dense(size, kernel_init=fan_in_uniform(120), name="f6", **dtypes)(x)
        )
        self.sow("intermediates", "hidden_1", x)
        if codes is None:
            return x
        away = x[:, None] - jnp.asarray(codes, x.dtype)[None]
        logits = -jnp.square(away).sum(axis=-1)
        if self.rubbish is None:
            return logits
        return jnp.pad(logits, ((0, 0), (0, 1)), constant_values=self.rubbish)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One image of the published size."""
        return (jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32),)


def lenet5_1998(**options: Any) -> LeNet1998:
    """LeNet-5 as it was published, for images [B, 32, 32, 1]; 60,000 parameters.

    Args:
      **options: Those of `LeNet1998`.
    """
    return LeNet1998(**options)


def codes_of(bitmaps: str) -> np.ndarray[Any, Any]:
    """What drawings mean, float [classes, pixels]: 1 for "#", -1 for ".".

    Example:
      >>> codes_of("#. .#")
      array([[ 1., -1.],
             [-1.,  1.]])
    """
    drawn = zip(*(line.split() for line in bitmaps.split("\n") if line), strict=True)
    return np.array([[1.0 if c == "#" else -1.0 for c in "".join(d)] for d in drawn])

"""Attributes that no network of the zoo can have are told where a model is made."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.models import attributes
from fdl.models.catalog import ZOO

WRONG = {
    "dropout": (-0.1, 5.0, float("nan")),
    "stochastic_depth": (1.5,),
    "hidden_size": (0, -8, 8.0, "8", True),
    "hidden_sizes": ((8, 0), 8),
    "features": ((-1,), 0.5),
    "num_heads": (0,),
    "num_layers": (0, None),
    "num_classes": (0, -3, 2.5),
    "num_outputs": (0,),
    "kernel_size": (0,),
    "patch_size": (0,),
    "image_size": (-32,),
    "vocab_size": (0,),
    "width_multiplier": (float("inf"),),
    "activation": ("relu",),
    "dtype": ("float3", "int8"),
    "param_dtype": (nn.Dense,),
}


def test_every_network_of_the_zoo_refuses_them():
    for entry in ZOO.values():
        module = entry.constructor()
        attributes.check(module)
        wrong = [(n, v) for n in WRONG if hasattr(module, n) for v in WRONG[n]]
        assert len(wrong) > 2
        for name, value in wrong:
            with pytest.raises(UserError, match=rf"\.{name}=.*: expected ") as caught:
                models.functional(module.clone(**{name: value}))
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make, expected",
    [
        (
            lambda: models.MLP((8,), 3, dropout=5.0),
            r"^MLP.dropout=5.0: expected a rate from 0 to 1$",
        ),
        (lambda: models.MLP((8, 0), 3), r"^MLP.hidden_sizes=0: expected at least 1$"),
        (lambda: models.MLP(8, 3), r"^MLP.hidden_sizes=8: expected Sequence\[int\]$"),
        (
            lambda: models.SimCLR(models.resnet18(num_classes=0)),
            r"^ResNet.num_classes=0: expected at least 1$",
        ),
        (
            lambda: models.efficientnet_b0().clone(
                stages=(
                    ZOO["efficientnet_b0"].constructor().stages[0]._replace(kernel=0),
                )
            ),
            r"^EfficientNet.stages=0: expected at least 1$",
        ),
    ],
)
def test_the_attribute_and_its_owner_are_named(make, expected):
    with pytest.raises(UserError, match=expected):
        attributes.check(make())


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_sizes": [8]},
        {"hidden_sizes": ()},
        {"num_outputs": np.int64(3)},
        {"num_outputs": None},
        {"dropout": 0},
        {"dropout": np.float32(0.5)},
        {"dropout": jnp.float32(0.5)},
        {"dtype": jnp.bfloat16, "param_dtype": np.dtype("float32")},
        {"norm": nn.BatchNorm},
    ],
)
def test_what_flax_takes_is_taken(options):
    attributes.check(models.MLP(**{"hidden_sizes": (8,), "num_outputs": 3, **options}))


def test_modules_of_others_are_their_own_business():
    class Mine(nn.Module):
        inner: nn.Module
        dropout: int = 5

    attributes.check(Mine(nn.Dense(0)))
    with pytest.raises(UserError, match=r"^MLP.num_outputs=0"):
        attributes.check(Mine(models.MLP((8,), 0)))

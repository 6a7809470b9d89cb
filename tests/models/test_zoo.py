"""What holds for all families of the zoo, by shapes only."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from fdl import models
from fdl.models.catalog import ZOO
from fdl.models.functional import zeros
from fdl.models.layers.inverted_residual import Stage

SMALLEST = {}  # Of each family and type of module.
for _entry in ZOO.values():
    SMALLEST.setdefault((_entry.family, type(_entry.constructor())), _entry)
# Of the blocks of others.
SIMILAR = {"mobilenet_v2", "resnext50_32x4d", "simclr_resnet50"}
every_family = pytest.mark.parametrize(
    "make",
    [
        pytest.param(entry.constructor, marks=[pytest.mark.slow] * (name in SIMILAR))
        for name, entry in ((entry.name, entry) for entry in SMALLEST.values())
    ],
)


DEPTHS = ("num_layers", "decoder_layers", "num_blocks", "stage_sizes", "block_sizes")


def shallow(module):
    """The network with one layer a stage: the others have the dtypes of the first."""
    fields = {name: getattr(module, name, None) for name in (*DEPTHS, "stages")}
    fields = {name: ones(value) for name, value in fields.items() if value}
    if isinstance(getattr(module, "backbone", None), nn.Module):
        fields["backbone"] = shallow(module.backbone)
    return module.clone(**fields)


def ones(depth):
    """A depth of 1, or that of each stage."""
    if isinstance(depth, Stage):
        return depth._replace(num_blocks=1)
    return 1 if isinstance(depth, int) else tuple(map(ones, depth))


def traced(module, dtype):
    """Traces the initialisation together with what comes out of the module."""

    def run(key):
        inputs = jax.tree.map(
            lambda x: x.astype(dtype) if x.dtype == jnp.float32 else x,
            zeros(module.example()),
        )
        return module.init_with_output(key, *inputs, train=False)

    return jax.jit(run).trace(jax.random.key(0))


@pytest.mark.parametrize("lower", [False, pytest.param(True, marks=pytest.mark.slow)])
@every_family
@pytest.mark.some(6)
def test_parameters_and_computation_have_the_dtypes_that_are_asked_for(make, lower):
    module = shallow(make(dtype=jnp.bfloat16, param_dtype=jnp.float16))
    stage = traced(module, "float32")
    if lower:  # What a dtype lacks shows there and not in the shapes.
        stage = stage.lower()
    outputs, variables = stage.out_info
    assert {x.dtype for x in jax.tree.leaves(variables["params"])} == {
        jnp.dtype("float16")
    }
    assert all(x.dtype != jnp.float16 for x in jax.tree.leaves(outputs))


@every_family
@pytest.mark.some(6)
def test_models_follow_the_dtype_of_their_parameters_and_inputs(make):
    with jax.enable_x64(True):
        module = shallow(make(param_dtype="float64"))
        outputs, _ = traced(module, "float64").out_info
    dtypes = {x.dtype for x in jax.tree.leaves(outputs)}
    dtypes -= {jnp.dtype(bool), jnp.dtype("int32")}  # Masks and codes.
    assert dtypes == {jnp.dtype("float64")}


def test_everything_that_is_exported_is_there():
    assert len(models.__all__) == len({*models.__all__})
    assert all(getattr(models, name) for name in models.__all__)


@pytest.mark.parametrize(
    "name, size",
    [
        ("lenet5", 8),
        ("vgg16", 16),
        ("alexnet", 24),
        ("densenet121", 28),
        ("convnext_t", 28),
        ("dcgan_discriminator", 32),
    ],
)
@pytest.mark.some(2)
def test_images_that_are_too_small_are_told(name, size):
    """And give neither an error of something else, nor the average of nothing: NaN."""
    module = shallow(getattr(models, name)())
    images = jnp.zeros((1, size, size, module.example()[0].shape[-1]))
    with pytest.raises(ValueError, match=r"too small|image_size=64: exp") as caught:
        jax.eval_shape(module.init, jax.random.key(0), images)
    assert "pixels" in str(caught.value) and "\n" not in str(caught.value)

import jax.numpy as jnp
import numpy as np
import pytest

from fdl.envs import box, discrete
from fdl.envs.specs import expect
from fdl.errors import UserError


def test_bounds_have_the_shape_of_the_array():
    spec = box((2, 3), minimum=[-1, -2, -3], maximum=4.0)
    assert (spec.shape, spec.dtype, spec.num_values) == ((2, 3), np.float32, None)
    np.testing.assert_array_equal(spec.minimum, [[-1, -2, -3]] * 2)
    np.testing.assert_array_equal(spec.maximum, np.full((2, 3), 4))
    assert np.isinf(box((), dtype="int32").maximum)


@pytest.mark.parametrize("sizes, shape", [(3, ()), ((3, 1), (2,)), ([4], (1,))])
def test_discrete_numbers_begin_at_zero(sizes, shape):
    spec = discrete(sizes)
    assert (spec.shape, spec.dtype) == (shape, np.int32)
    np.testing.assert_array_equal(spec.num_values, sizes)
    np.testing.assert_array_equal(spec.maximum, np.array(sizes) - 1)
    np.testing.assert_array_equal(spec.minimum, np.zeros(shape))


@pytest.mark.parametrize("sizes", [0, (2, 0), 2.0])
def test_numbers_of_values_are_positive_integers(sizes):
    with pytest.raises(UserError, match="num_values="):
        discrete(sizes)


@pytest.mark.parametrize("low, high", [(1, 0), (np.nan, 1), ([0, 2], 1)])
def test_bounds_are_in_order(low, high):
    with pytest.raises(UserError, match="minimum="):
        box((2,), low, high)


def test_bounds_of_another_shape_are_an_error():
    with pytest.raises(UserError, match=r"shape=\(2,\).*\[3\]"):
        box((2,), np.zeros(3))


@pytest.mark.parametrize(
    "spec, dtype",
    [
        (box((2,)), "bfloat16"),
        (box((2,), dtype="uint8"), "int32"),
        (discrete((2, 2)), "int8"),
    ],
)
def test_dtypes_of_one_kind_pass(spec, dtype):
    expect("action", jnp.zeros((5, 2), dtype), spec)


@pytest.mark.parametrize(
    "shape, dtype", [((5, 2), "int32"), ((5, 2), "bool"), ((2,), "float32")]
)
def test_another_shape_or_kind_is_an_error(shape, dtype):
    x = jnp.zeros(shape, dtype)
    with pytest.raises(UserError, match=r"expected float32 \[N, 2\], as env.action is"):
        expect("action", x, box((2,)))

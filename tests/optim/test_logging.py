"""The norm that is logged, beside NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.optim.transforms.logging import norm

norm_jit = jax.jit(norm)


@pytest.mark.parametrize("size", [1e-15, 1.0, 1e15, 1e20, 1e30, 1e37])
def test_a_norm_is_finite_where_float32_has_it(size):
    values = size * np.random.default_rng(0).normal(size=100)
    found = norm_jit({"a": jnp.float32(values[:10]), "b": jnp.float32(values[10:])})
    np.testing.assert_allclose(found, np.linalg.norm(values), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_of_what_is_not_finite_is_not(bad):
    found = norm_jit({"a": jnp.float32([1.0, bad]), "b": jnp.full(90, 1e30)})
    assert np.isnan(found) if np.isnan(bad) else np.isposinf(found)


def test_a_norm_reads_its_arrays_once():
    tree = {"a": jnp.ones((3, 4)), "b": jnp.ones(5)}
    names = [x.primitive.name for x in jax.make_jaxpr(norm)(tree).eqns]
    assert names.count("reduce_sum") == len(tree)

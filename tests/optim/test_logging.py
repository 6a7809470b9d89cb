"""The norm that is logged, beside NumPy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.optim.transforms.logging import norm

norm_jit = jax.jit(norm)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_norm_is_computed_in_float32(dtype):
    values = 300 * np.random.default_rng(0).normal(size=100)
    tree = {"a": jnp.array(values[:10], dtype), "b": jnp.array(values[10:], dtype)}
    exact = np.linalg.norm([*map(float, [*tree["a"], *tree["b"]])])
    np.testing.assert_allclose(norm_jit(tree), exact, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_of_what_is_not_finite_is_not(bad):
    found = norm_jit({"a": jnp.float32([1.0, bad]), "b": jnp.ones(90)})
    assert np.isnan(found) if np.isnan(bad) else np.isposinf(found)

"""Equal digests mean equal computations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.learners.programs import program_digest


def digest(function, *arguments):
    return program_digest(jax.make_jaxpr(function)(*arguments or (jnp.ones(3),)))


def inside(constant):
    """A constant that only a compiled function inside of the function holds."""
    inner = jax.jit(lambda x: x * constant)
    return lambda x: inner(x) + 1


def looped(constant):
    return lambda x: jax.lax.fori_loop(0, 2, lambda i, x: x * constant, x)


@pytest.mark.parametrize("make", [inside, looped])
@pytest.mark.parametrize(
    "constant, other",
    [
        (2.0, 3.0),
        (np.ones(3, np.float32), np.arange(3, dtype=np.float32)),
        (np.zeros(3, np.float32), -np.zeros(3, np.float32)),
    ],
)
def test_constants_belong_to_a_program(make, constant, other):
    assert digest(make(constant)) == digest(make(constant)) != digest(make(other))


def test_keys_are_constants_too():
    def noisy(seed):
        key = jax.random.key(seed)
        return lambda x: x + jax.random.uniform(key)

    assert digest(noisy(0)) == digest(noisy(0)) != digest(noisy(1))


def test_inputs_count_by_shape_and_dtype_alone():
    def function(x):
        return 2 * x

    one = digest(function, jnp.ones(3))
    assert one == digest(function, jnp.zeros(3))
    assert one != digest(function, jnp.ones(4))
    assert one != digest(function, jnp.ones(3, jnp.int32))

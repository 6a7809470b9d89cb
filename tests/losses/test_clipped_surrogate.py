import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.losses.clipped_surrogate import clipped_surrogate


def test_clipped_surrogate_matches_its_definition():
    rng = np.random.default_rng(0)
    log_ratio, advantage = rng.normal(size=(2, 50)).astype(np.float32)
    expected = [
        -min(r * a, min(max(r, 0.8), 1.2) * a)
        for r, a in zip(np.exp(log_ratio), advantage, strict=True)
    ]
    actual = jax.jit(clipped_surrogate, static_argnames="clip")(
        log_ratio, advantage, clip=0.2
    )
    chex.assert_trees_all_close(actual, np.array(expected), atol=1e-6)


@pytest.mark.parametrize(
    "ratio, advantage, slope",
    [(1.5, 1.0, 0.0), (0.5, 1.0, -0.5), (0.5, -1.0, 0.0), (1.5, -1.0, 1.5)],
)
def test_nothing_is_gained_by_going_too_far_but_returning_pays(ratio, advantage, slope):
    actual = jax.grad(lambda x: clipped_surrogate(x, jnp.float32(advantage), clip=0.2))(
        jnp.log(jnp.float32(ratio))
    )
    chex.assert_trees_all_close(actual, jnp.float32(slope), atol=1e-6)


def test_without_a_clip_it_is_the_importance_weighted_policy_gradient():
    log_ratio, advantage = np.random.default_rng(0).normal(size=(2, 9)).astype("f")
    actual = clipped_surrogate(log_ratio, advantage, clip=jnp.inf)
    chex.assert_trees_all_close(actual, -np.exp(log_ratio) * advantage, rtol=1e-5)

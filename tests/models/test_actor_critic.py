import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.actor_critic import ActorCritic


def init(module, shape=(1, 4)):
    return jax.jit(module.init)(jax.random.key(0), jnp.zeros(shape))


@pytest.mark.parametrize("shared, expected", [(False, 9_155), (True, 4_675)])
def test_it_has_as_many_parameters_as_is_usual_for_cartpole(shared, expected):
    params = init(ActorCritic(2, shared=shared))
    assert sum(x.size for x in jax.tree.leaves(params)) == expected


@pytest.mark.parametrize("shared", [False, True])
def test_it_computes_two_perceptrons(shared):
    module = ActorCritic(3, hidden_sizes=(8, 5), shared=shared, activation=nn.tanh)
    params = init(module, (1, 2, 2))["params"]
    x = np.random.default_rng(0).normal(size=(6, 2, 2)).astype(np.float32)

    def dense(layer, x):
        return x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])

    def perceptron(torso, readout):
        h = np.tanh(dense(params[torso]["Dense_0"], x.reshape(6, 4)))
        return dense(params[readout], np.tanh(dense(params[torso]["Dense_1"], h)))

    expected = (
        perceptron("actor", "policy"),
        perceptron("actor" if shared else "critic", "value")[:, 0],
    )
    actual = jax.jit(module.apply)({"params": params}, x)
    chex.assert_trees_all_close(actual, expected, atol=1e-5)


def test_its_weights_are_orthogonal_and_its_policy_starts_near_uniform():
    params = init(ActorCritic(2))["params"]
    hidden = params["critic"]["Dense_1"]["kernel"]
    chex.assert_trees_all_close(hidden @ hidden.T, 2 * jnp.eye(64), atol=1e-5)
    policy, value = params["policy"]["kernel"], params["value"]["kernel"]
    chex.assert_trees_all_close(policy.T @ policy, 1e-4 * jnp.eye(2), atol=1e-9)
    chex.assert_trees_all_close(value.T @ value, jnp.ones((1, 1)), atol=1e-6)

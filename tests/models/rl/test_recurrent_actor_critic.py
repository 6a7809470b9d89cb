import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional
from fdl.models.rl.encoders import ConvEncoder
from fdl.models.rl.policy_heads import GaussianHead
from fdl.models.rl.recurrent_actor_critic import RecurrentActorCritic
from fdl.models.rnn import RecurrentCore

PROGRAMS = 140

AGENTS = {
    "lstm": RecurrentActorCritic(3, (6,), core_size=5, input_shape=(2, 2)),
    "gru": RecurrentActorCritic(
        2, (6,), core_size=5, cell="gru", head=GaussianHead, input_shape=(2, 2)
    ),
    "encoder": RecurrentActorCritic(
        2,
        (6,),
        core_size=5,
        encoder=functools.partial(ConvEncoder, (2,), (2,), (1,)),
        input_shape=(3, 3, 1),
    ),
}
every_agent = pytest.mark.parametrize("name", AGENTS)


@pytest.fixture
def case(name, random_variables, random_inputs):
    module = AGENTS[name]
    observation = random_inputs(4, 7, *module.input_shape)
    resets = np.random.RandomState(1).uniform(size=(4, 7)) < 0.3
    return module, random_variables(module), observation, resets


def test_it_is_a_perceptron_a_core_and_two_readouts(
    apply, random_variables, random_inputs
):
    module, x = AGENTS["lstm"], random_inputs(4, 7, 2, 2)
    variables = random_variables(module)
    params = variables["params"]

    def layer(weights, x):
        return x @ np.float64(weights["kernel"]) + np.float64(weights["bias"])

    hidden = np.tanh(layer(params["mlp"]["dense_0"], np.float64(x.reshape(4, 7, 4))))
    core = {"params": params["core"]}
    states, carry = apply(RecurrentCore(5), core, jnp.float32(hidden))
    expected = (
        layer(params["policy"]["logits"], np.float64(states)),
        layer(params["value"], np.float64(states)).squeeze(-1),
    )
    actual = apply(module, variables, x)
    chex.assert_trees_all_close(actual, (expected, carry), atol=1e-5)


@every_agent
def test_acting_step_by_step_equals_learning_from_all_steps(apply, case):
    module, variables, observation, resets = case
    apply = functools.partial(apply, module)
    expected, last = apply(variables, observation, None, resets)
    carry, outputs = module.zero_carry(4), []
    for t in range(7):
        now = slice(t, t + 1)
        output, carry = apply(variables, observation[:, now], carry, resets[:, now])
        outputs.append(output)
    actual = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *outputs)
    chex.assert_trees_all_close((actual, carry), (expected, last), atol=1e-5)


@every_agent
def test_an_episode_forgets_the_one_before(apply, case):
    module, variables, observation, _ = case
    apply = functools.partial(apply, module)
    resets = np.zeros((4, 7), bool)
    resets[:, 4] = True
    joined, last = apply(variables, observation, None, resets)
    alone, carry = apply(variables, observation[:, 4:])
    after = jax.tree.map(lambda x: x[:, 4:], joined)
    chex.assert_trees_all_close((after, last), (alone, carry), atol=1e-5)
    unbroken, _ = apply(variables, observation)
    assert np.abs(unbroken[1] - joined[1])[:, 4:].max() > 1e-3


def test_what_comes_later_changes_nothing_before(
    apply, random_variables, random_inputs
):
    module, x = AGENTS["lstm"], random_inputs(4, 7, 2, 2)
    variables, other = random_variables(module), x.copy()
    other[:, 5:] += 1
    apply = functools.partial(apply, module)
    (_, values), _ = apply(variables, x)
    (_, changed), _ = apply(variables, other)
    chex.assert_trees_all_equal(values[:, :5], changed[:, :5])
    assert np.all(values[:, 5:] != changed[:, 5:])


def test_gradients_reach_all_weights_and_are_finite(random_inputs):
    model, x = functional(AGENTS["gru"]), random_inputs(4, 7, 2, 2)
    variables = jax.jit(model.init)(jax.random.key(0))

    def loss(variables):
        ((params, values), _), _ = model.apply(variables, x, train=True)
        return (params.mean**2 + params.log_std + values[..., None] ** 2).sum()

    grads = jax.jit(jax.grad(loss))(variables)
    chex.assert_tree_all_finite(grads)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(grads))


def test_bfloat16_is_near_float32_and_remembers_in_float32(
    apply, random_variables, random_inputs, assert_close
):
    module, x = AGENTS["lstm"], random_inputs(4, 7, 2, 2)
    variables = random_variables(module)
    half = module.clone(dtype="bfloat16")
    (logits, values), carry = apply(half, variables, x)
    assert logits.dtype == values.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in carry} == {jnp.dtype("float32")}
    (expected, _), _ = apply(module, variables, x)
    assert_close(logits.astype("float32"), expected, 0.05)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models, objectives, rl
from fdl.distributions import categorical, normal
from fdl.errors import UserError
from fdl.models.rl.policy_heads import GaussianHead

KEY = jax.random.key(0)
OBSERVATION = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def outputs_and_action(module, policy_of, distribution):
    model = models.functional(module, OBSERVATION[:1])
    policy = policy_of(model, distribution)

    @jax.jit
    def both(key):
        variables = model.init(key)
        outputs = model.apply(variables, OBSERVATION)[0]
        return outputs, policy(variables, OBSERVATION, key)

    return both(KEY)


def test_greedy_takes_the_highest_value_of_a_q_network():
    module = models.QNetwork(3, hidden_sizes=(5,))
    values, action = outputs_and_action(module, rl.greedy, categorical())
    np.testing.assert_array_equal(action, values.argmax(axis=-1))


def test_greedy_takes_the_highest_mean_of_quantiles():
    def policy(model, distribution):
        values = rl.map_outputs(model, lambda quantiles: quantiles.mean(axis=-1))
        return rl.greedy(values, distribution)

    module = models.QNetwork(3, hidden_sizes=(5,), num_atoms=4)
    quantiles, action = outputs_and_action(module, policy, categorical())
    np.testing.assert_array_equal(action, quantiles.mean(axis=-1).argmax(axis=-1))


def test_greedy_takes_the_mean_of_an_actor_whose_parameters_are_a_tuple():
    module = models.Actor(2, hidden_sizes=(5,), head=GaussianHead)
    params, action = outputs_and_action(module, rl.greedy, normal())
    np.testing.assert_array_equal(action, params.mean)


@pytest.mark.parametrize("head, distribution", [(None, categorical), (1, normal)])
def test_an_actor_critic_acts_by_its_actor(head, distribution):
    options = {"head": GaussianHead} if head else {}
    module = models.ActorCritic(2, hidden_sizes=(5,), **options)
    (params, _), action = outputs_and_action(
        module, lambda model, d: rl.greedy(rl.actor(model), d), distribution()
    )
    np.testing.assert_array_equal(action, distribution().mode(params))


def test_sampling_draws_from_the_distribution():
    module = models.Actor(2, hidden_sizes=(5,), head=GaussianHead)
    params, action = outputs_and_action(module, rl.sampling, normal())
    noise = jax.random.normal(KEY, action.shape)
    expected = params.mean + np.exp(params.log_std) * noise
    np.testing.assert_allclose(action, expected, rtol=1e-6)


@pytest.mark.parametrize("use", [rl.sampling, rl.greedy, objectives.ppo])
def test_a_distribution_that_was_not_called_is_told(use):
    model = models.functional(models.ActorCritic(2))
    with pytest.raises(UserError, match=r"=categorical: expected .* categorical\(\)"):
        use(model, categorical)


def test_the_pair_of_an_actor_critic_and_its_absence_are_told():
    pair = models.functional(models.ActorCritic(2, hidden_sizes=(5,)))
    with pytest.raises(UserError, match=r"rl\.actor\(model\)"):
        jax.eval_shape(rl.greedy(pair, categorical()), pair.init(KEY), OBSERVATION, KEY)
    alone = models.functional(models.QNetwork(2, hidden_sizes=(5,)))
    with pytest.raises(UserError, match=r"expected a pair, \(params, values\)"):
        jax.eval_shape(rl.actor(alone).apply, alone.init(KEY), OBSERVATION)


@pytest.mark.parametrize("critic", [False, True])
def test_masked_actions_are_never_taken(critic):
    module = models.ActorCritic(3, (4,)) if critic else models.QNetwork(3, (4,))
    model = models.functional(module, OBSERVATION[:1])
    masked = rl.mask_actions(
        model, lambda x: jnp.stack([x[:, 0] > 0] * 2 + [x[:, 0] < 9], 1)
    )
    variables = jax.jit(model.init)(KEY)
    policy = rl.sampling(rl.actor(masked) if critic else masked, categorical())
    draw = jax.jit(jax.vmap(policy, (None, None, 0)))
    drawn = draw(variables, OBSERVATION, jax.random.split(KEY, 50))
    only_last = OBSERVATION[:, 0] <= 0
    assert (drawn[:, only_last] == 2).all()
    assert set(np.unique(drawn[:, ~only_last])) == {0, 1, 2}

"""Quantiles, noisy networks and discrete SAC find the shortest way."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest

import fdl
from fdl import envs, learners, losses, models, objectives, rl
from fdl.distributions import categorical
from fdl.types import Learner

MDP = envs.mdps.grid_world("""
    .#.G
    ...#
    S...
""")
SIZES = {"num_envs": 4, "num_steps": 4, "num_updates": 4, "batch_size": 32}
INPUTS = jnp.zeros((1, 12))
DISCOUNT = 0.9


def environment():
    return envs.one_hot_observations(envs.time_limit(envs.from_mdp(MDP), 30))


def greedy_return(network, variables):
    """Of the only start: five steps to the goal, each of which costs one."""
    policy = rl.greedy(network, categorical())
    evaluate = rl.on_episodes(environment(), policy, num_episodes=1)
    return evaluate(variables)["episode_return"]


def trained(explore, updates, num_steps=400):
    learner = rl.off_policy(
        environment(),
        explore,
        updates,
        rl.uniform_replay(2000, discount=DISCOUNT),
        learning_starts=64,
        **SIZES,
    )
    state = jax.jit(learner.init)(jax.random.key(0))
    state, _ = jax.jit(learners.repeat(learner.step), static_argnums=2)(
        state, None, num_steps
    )
    return learner.variables(state)


@pytest.mark.slow
def test_a_noisy_network_of_quantiles_learns_without_other_exploration():
    module = models.QNetwork(4, (32,), num_atoms=5, noisy=True)
    network = models.functional(module, INPUTS)
    model = models.combine(online=network, target=network)
    model = models.with_copies(model, target="online")
    optimizer = optax.adam(3e-3)
    objective = objectives.q_learning(model, loss=losses.quantile_huber)
    update = learners.alternate(
        {
            "online": fdl.gradient_step(objective, optimizer, wrt="online"),
            "target": learners.target_update("online", "target", 0.05),
        }
    )
    updates = Learner(
        partial(fdl.init_train_state, model, {"online": optimizer}),
        learners.counted(update),
        lambda state: learners.select_variables(state.variables, "online"),
    )
    means = rl.map_outputs(network, lambda x: x.mean(axis=-1))
    variables = trained(lambda num_steps: rl.noisy(means), updates)
    assert greedy_return(means, variables) == -5


@pytest.mark.slow
def test_discrete_sac_learns():
    head = models.CategoricalHead
    actor = models.functional(models.Actor(4, (32,), head=head), INPUTS)
    module = models.Critic((32,), discrete=True, action_size=4)
    critic = models.functional(module, INPUTS)
    model = models.combine(
        actor=actor,
        critic=critic,
        target_critic=critic,
        temperature=models.scalar(-2.0),
    )
    model = models.with_copies(model, target_critic="critic")
    actions, optimizer = categorical(), optax.adam(3e-3)
    parts = {
        "critic": objectives.soft_critic(model, actions, discrete=True),
        "actor": objectives.soft_actor(model, actions, discrete=True),
        "temperature": objectives.soft_temperature(
            model, actions, target_entropy=0.3, discrete=True
        ),
    }
    steps = {
        name: fdl.gradient_step(objective, optimizer, wrt=name)
        for name, objective in parts.items()
    }
    steps["target"] = learners.target_update("critic", "target_critic", 0.05)
    updates = Learner(
        partial(fdl.init_train_state, model, dict.fromkeys(parts, optimizer)),
        learners.counted(learners.alternate(steps)),
        lambda state: learners.select_variables(state.variables, "actor"),
    )
    policy = rl.sampling(actor, actions)
    variables = trained(lambda num_steps: policy, updates)
    assert greedy_return(actor, variables) == -5

"""Swing up a pendulum with twin delayed deterministic policy gradients (TD3).

    fdl train experiments/rl/pendulum_td3.py

DDPG, its predecessor, is `pendulum_ddpg`.
"""

import functools
from typing import Literal

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 5000 if full else 4
    config.log_every = "250 steps" if full else "1 step"
    config.eval_every = "1000 steps" if full else "2 steps"
    config.save_every = "1000 steps" if full else "2 steps"
    config.steps_per_call = 250 if full else 1
    config.keep_memory = False  # Its buffers are small, and its steps many.
    config.best = "max episode_return"

    config.env = {"name": "Pendulum-v1"}
    config.model = {"hidden_sizes": (64, 64) if full else (8,)}
    config.num_critics = 2
    config.replay = {"capacity": 20_000, "discount": 0.99}
    config.exploration_noise = 0.1
    config.target_noise = 0.2
    config.off_policy = {
        "num_envs": 4,
        "num_steps": 1,
        "num_updates": 4,
        "learning_starts": 400 if full else 8,
    }
    config.batch_size = 128 if full else 4
    config.actor_period = 2
    config.target_rate = 0.005
    config.optimizer = {"name": "adam", "learning_rate": 1e-3, "schedule": "linear"}
    config.num_test_episodes = 100 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: environment, networks, learner and evaluation."""
    env = fdl.envs.scale_actions(fdl.envs.gymnax(**config.env))
    (size,) = env.action.shape
    inputs = jnp.zeros((1, *env.observation.shape))
    module = fdl.models.Actor(
        size, head=fdl.models.DeterministicHead, **config.model
    )
    actor = fdl.models.functional(module, inputs)
    module = fdl.models.Critic(num_critics=config.num_critics, **config.model)
    critic = fdl.models.functional(module, inputs, jnp.zeros((1, size)))
    model = fdl.models.combine(
        actor=actor, critic=critic, target_actor=actor, target_critic=critic
    )
    targets = {"target_actor": "actor", "target_critic": "critic"}
    model = fdl.models.with_copies(model, **targets)

    num_updates = fdl.rl.count_updates(config.num_steps, **config.off_policy)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=num_updates)
    critic_objective = fdl.objectives.deterministic_critic(
        model, noise=config.target_noise
    )
    actor_objective = fdl.objectives.deterministic_actor(model)
    slow = {
        "actor": fdl.gradient_step(actor_objective, optimizer, wrt="actor"),
        **{
            target: fdl.learners.target_update(online, target, config.target_rate)
            for target, online in targets.items()
        },
    }
    updates = {"critic": fdl.gradient_step(critic_objective, optimizer, wrt="critic")}
    for name, update in slow.items():
        updates[name] = fdl.learners.every(config.actor_period, update)
    optimizers = {"actor": optimizer, "critic": optimizer}

    def policy(variables, observation, key):
        del key
        return actor.apply(variables, observation)[0]

    noisy = fdl.rl.gaussian_noise(policy, env.action, config.exploration_noise)
    learner = fdl.rl.off_policy(
        env,
        lambda num_steps: noisy,
        fdl.Learner(
            functools.partial(fdl.init_train_state, model, optimizers),
            fdl.learners.counted(fdl.learners.alternate(updates)),
            lambda state: fdl.learners.select_variables(state.variables, "actor"),
        ),
        fdl.rl.uniform_replay(**config.replay),
        batch_size=config.batch_size,
        **config.off_policy,
    )
    num_episodes = config.num_test_episodes
    per_step = config.off_policy.num_envs * config.off_policy.num_steps
    return fdl.Experiment(
        learner=learner,
        batches=fdl.data.no_data(per_step, "env_steps"),
        evaluate=fdl.rl.on_episodes(env, policy, num_episodes=num_episodes),
        test=fdl.rl.on_episodes(env, policy, num_episodes=num_episodes, seed=1),
        model=actor,
    )

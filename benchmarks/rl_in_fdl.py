"""PPO, DQN and SAC of fdl, for `rl.py`."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rl_worker import config as given
from rl_worker import serve

import fdl
from fdl import distributions, envs, learners, models, objectives, rl
from fdl.runs import process

FUSED = {"ppo": 20, "dqn": 250, "sac": 1000}  # Steps of a call.


def main() -> None:
    """Trains when it is told to."""
    _, config = given()
    os.environ["FDL_CACHE_DIR"] = "off"  # Compilation is to be measured.
    process.prepare(keep_memory=False)
    num_seeds = config.get("num_seeds", 1)
    learner, env, policy, per_step = LEARNERS[config["case"]](config)
    batches, keys = fdl.data.no_data(per_step, "env_steps"), jax.random.key
    if num_seeds > 1:
        learner, batches = fdl.replicate([learner] * num_seeds, batches)

        def keys(seed):
            return jnp.stack([jax.random.key(seed + i) for i in range(num_seeds)])

    num_steps = -(-config["total_steps"] // per_step)
    fused = min(FUSED[config["case"]], num_steps)
    program = fdl.train.compiled(learner, batches, steps_per_call=fused)
    evaluate = rl.on_episodes(env, policy, num_episodes=100)

    def train(seed, timed):
        def run():
            state = program.init(keys(seed))
            state, _ = fdl.train.iterate(program, state, batches, 0, num_steps)
            return jax.block_until_ready(state)

        variables = learner.variables(timed(run).state)
        if num_seeds > 1:
            return float("nan")  # Only the speed is asked for.
        return float(np.mean(evaluate(variables)["episode_return"]))

    serve(train)


def ppo(config):
    """Learner, environment, greedy policy, and environment steps of a step."""
    env = envs.gymnax(config["env"])
    module = models.ActorCritic(env.action.num_values, config["hidden_sizes"])
    model = models.functional(module, jnp.zeros((1, *env.observation.shape)))
    actions = distributions.categorical()
    costs = {key: config[key] for key in ("clip", "value_cost", "entropy_cost")}
    optimizer = optax.chain(
        optax.clip_by_global_norm(config["max_grad_norm"]),
        optax.adam(config["learning_rate"], eps=1e-5),
    )
    sizes = ("num_envs", "num_steps", "num_epochs", "num_minibatches")
    learner = rl.on_policy(
        env,
        model,
        actions,
        objectives.ppo(model, actions, **costs),
        optimizer,
        **{key: config[key] for key in (*sizes, "discount", "lambda_")},
    )
    policy = rl.greedy(rl.actor(model), actions)
    return learner, env, policy, config["num_envs"] * config["num_steps"]


def dqn(config):
    """The same of DQN: neither double nor with n-step returns, as in the others."""
    env = envs.gymnax(config["env"])
    module = models.QNetwork(env.action.num_values, config["hidden_sizes"])
    network = models.functional(module, jnp.zeros((1, *env.observation.shape)))
    model = models.combine(online=network, target=network)
    model = models.with_copies(model, target="online")
    objective = objectives.q_learning(model, double=False)
    optimizer = optax.adam(config["learning_rate"])
    copy = learners.target_update("online", "target", 1.0)
    updates = {
        "online": fdl.gradient_step(objective, optimizer, wrt="online"),
        "target": learners.every(config["target_every"], copy),
    }
    epsilon = optax.linear_schedule(1.0, config["epsilon"], config["epsilon_steps"])
    learner = off_policy(
        config,
        env,
        lambda num_steps: rl.epsilon_greedy(network, epsilon(num_steps)),
        model,
        {"online": optimizer},
        updates,
        "online",
    )
    policy = rl.greedy(network, distributions.categorical())
    return learner, env, policy, config["num_envs"]


def sac(config):
    """The same of SAC with a tuned temperature."""
    env = envs.scale_actions(envs.gymnax(config["env"]))
    (size,) = env.action.shape
    inputs, sizes = jnp.zeros((1, *env.observation.shape)), config["hidden_sizes"]
    actor = models.functional(models.Actor(size, sizes), inputs)
    critic = models.functional(models.Critic(sizes), inputs, jnp.zeros((1, size)))
    model = models.combine(
        actor=actor, critic=critic, target_critic=critic, temperature=models.scalar()
    )
    model = models.with_copies(model, target_critic="critic")
    actions = distributions.squashed_normal()
    losses = {
        "critic": objectives.soft_critic(model, actions),
        "actor": objectives.soft_actor(model, actions),
        "temperature": objectives.soft_temperature(
            model, actions, target_entropy=-float(size)
        ),
    }
    optimizer = optax.adam(config["learning_rate"])
    updates = {
        name: fdl.gradient_step(loss, optimizer, wrt=name)
        for name, loss in losses.items()
    }
    updates["target"] = learners.target_update(
        "critic", "target_critic", config["target_rate"]
    )
    explore, optimizers = rl.sampling(actor, actions), dict.fromkeys(losses, optimizer)
    learner = off_policy(
        config, env, lambda _: explore, model, optimizers, updates, "actor"
    )
    return learner, env, rl.greedy(actor, actions), config["num_envs"]


def off_policy(config, env, explore, model, optimizers, updates, acting):
    """Off-policy learner that takes a step in all environments, and then learns."""
    return rl.off_policy(
        env,
        explore,
        fdl.Learner(
            functools.partial(fdl.init_train_state, model, optimizers),
            learners.counted(learners.alternate(updates)),
            lambda state: learners.select_variables(state.variables, acting),
        ),
        rl.uniform_replay(config["capacity"], discount=config["discount"]),
        num_envs=config["num_envs"],
        num_steps=1,
        num_updates=config["num_updates"],
        batch_size=config["batch_size"],
        learning_starts=config["learning_starts"],
    )


LEARNERS = {"ppo": ppo, "dqn": dqn, "sac": sac}

if __name__ == "__main__":
    main()

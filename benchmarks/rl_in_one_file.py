"""PPO in one file of JAX, optax and gymnax, for `rl.py`.

What one writes by hand for a single environment and a single network: a whole training
is one jitted program, with the rollouts, the advantages and the updates in nested
scans, after the design of purejaxrl (Lu et al., `Discovered Policy Optimisation
<https://arxiv.org/abs/2210.05639>`_, 2022). A time limit counts as a terminal state, as
there, so that one evaluation of the values serves a step.
"""

import functools

import gymnax
import jax
import jax.numpy as jnp
import optax
from jax.nn.initializers import orthogonal
from rl_worker import config as given
from rl_worker import serve


def main() -> None:
    """Trains when it is told to."""
    _, config = given()
    env, env_params = gymnax.make(config["env"])
    training = jax.jit(functools.partial(train_program, config, env, env_params))
    evaluate = jax.jit(functools.partial(returns, env, env_params))

    def train(seed, timed):
        params = timed(lambda: jax.block_until_ready(training(jax.random.key(seed))))
        return float(evaluate(params, jax.random.key(0)).mean())

    serve(train)


def init_mlp(key, sizes, last_gain):
    """Orthogonal kernels and zero biases."""
    gains = [2**0.5] * (len(sizes) - 2) + [last_gain]
    keys = jax.random.split(key, len(gains))
    return [
        (orthogonal(gain)(key, shape), jnp.zeros(shape[1]))
        for key, gain, *shape in zip(keys, gains, sizes[:-1], sizes[1:], strict=True)
    ]


def mlp(layers, x):
    """Perceptron with tanh."""
    *hidden, (kernel, bias) = layers
    for w, b in hidden:
        x = jnp.tanh(x @ w + b)
    return x @ kernel + bias


def apply(params, observation):
    """Logits and values."""
    return mlp(params["actor"], observation), mlp(params["critic"], observation)[..., 0]


def log_prob_of(logits, action):
    """Log-probability of an action, and all of them."""
    every = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(every, action[..., None], axis=-1)[..., 0], every


def env_step(env, env_params, key, state, action):
    """Step of all environments, with resets: `done` is any end."""
    keys = jax.random.split(key, len(action))
    observation, state, reward, *ended, _ = jax.vmap(env.step, (0, 0, 0, None))(
        keys, state, action, env_params
    )
    return observation, state, reward, functools.reduce(jnp.logical_or, ended)


def train_program(config, env, env_params, key):
    """Parameters after a whole training."""
    num_envs, num_steps = config["num_envs"], config["num_steps"]
    size = num_envs * num_steps
    optimizer = optax.chain(
        optax.clip_by_global_norm(config["max_grad_norm"]),
        optax.adam(config["learning_rate"], eps=1e-5),
    )
    actor_key, critic_key, env_key, key = jax.random.split(key, 4)
    env_keys = jax.random.split(env_key, num_envs)
    observation, env_state = jax.vmap(env.reset, (0, None))(env_keys, env_params)
    sizes = [observation.shape[-1], *config["hidden_sizes"]]
    params = {
        "actor": init_mlp(actor_key, [*sizes, env.num_actions], 0.01),
        "critic": init_mlp(critic_key, [*sizes, 1], 1.0),
    }

    def act(params, carry, key):
        env_state, observation = carry
        act_key, step_key = jax.random.split(key)
        logits, value = apply(params, observation)
        action = jax.random.categorical(act_key, logits)
        log_prob, _ = log_prob_of(logits, action)
        after, env_state, reward, done = env_step(
            env, env_params, step_key, env_state, action
        )
        seen = (observation, action, log_prob, value, reward, done)
        return (env_state, after), seen

    def advantage(after, now):
        advantage, next_value = after
        value, reward, done = now
        going = config["discount"] * (1 - done)
        error = reward + going * next_value - value
        advantage = error + going * config["lambda_"] * advantage
        return (advantage, value), advantage

    def loss(params, batch):
        observation, action, old_log_prob, advantage, target = batch
        logits, value = apply(params, observation)
        log_prob, every = log_prob_of(logits, action)
        ratio = jnp.exp(log_prob - old_log_prob)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        near = jnp.clip(ratio, 1 - config["clip"], 1 + config["clip"])
        policy = -jnp.minimum(ratio * advantage, near * advantage).mean()
        errors = 0.5 * jnp.square(value - target).mean()
        entropy = -(jnp.exp(every) * every).sum(axis=-1).mean()
        return policy + config["value_cost"] * errors - config["entropy_cost"] * entropy

    def update(state, batch):
        params, opt_state = state
        grads = jax.grad(loss)(params, batch)
        updates, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    def epoch(data, state, key):
        order = jax.random.permutation(key, size)
        shape = (config["num_minibatches"], -1)
        batches = jax.tree.map(lambda x: x[order].reshape(*shape, *x.shape[1:]), data)
        return jax.lax.scan(update, state, batches)

    def rollout_and_updates(carry, key):
        state, playing = carry
        act_key, shuffle_key = jax.random.split(key)
        keys = jax.random.split(act_key, num_steps)
        playing, seen = jax.lax.scan(functools.partial(act, state[0]), playing, keys)
        observation, action, log_prob, value, reward, done = seen
        _, last_value = apply(state[0], playing[1])
        start = (jnp.zeros(num_envs), last_value)
        _, advantages = jax.lax.scan(
            advantage, start, (value, reward, done), reverse=True
        )
        data = (observation, action, log_prob, advantages, advantages + value)
        data = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), data)
        keys = jax.random.split(shuffle_key, config["num_epochs"])
        state, _ = jax.lax.scan(functools.partial(epoch, data), state, keys)
        return (state, playing), None

    num_rollouts = config["total_steps"] // size
    start = ((params, optimizer.init(params)), (env_state, observation))
    keys = jax.random.split(key, num_rollouts)
    ((params, _), _), _ = jax.lax.scan(rollout_and_updates, start, keys)
    return params


def returns(env, env_params, params, key):
    """Returns of 100 greedy episodes."""
    reset_key, key = jax.random.split(key)
    keys = jax.random.split(reset_key, 100)
    observation, state = jax.vmap(env.reset, (0, None))(keys, env_params)

    def step(carry, key):
        observation, state, total, playing = carry
        action = apply(params, observation)[0].argmax(axis=-1)
        observation, state, reward, done = env_step(env, env_params, key, state, action)
        total += reward * playing
        return (observation, state, total, playing & ~done), None

    start = (observation, state, jnp.zeros(100), jnp.ones(100, bool))
    keys = jax.random.split(key, env_params.max_steps_in_episode)
    return jax.lax.scan(step, start, keys)[0][2]


if __name__ == "__main__":
    main()

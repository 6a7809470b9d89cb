"""PPO, DQN and SAC of rejax, for `rl.py`."""

import math

import jax
import rejax
from rl_worker import config as given
from rl_worker import serve


def main() -> None:
    """Trains when it is told to."""
    _, config = given()
    case = config["case"]
    algorithm = (
        rejax.get_algo(case)
        .create(
            env=config["env"],
            total_timesteps=config["total_steps"],
            # One iteration and no evaluation: the time is that of the training.
            eval_freq=config["total_steps"],
            skip_initial_evaluation=True,
            num_envs=config["num_envs"],
            learning_rate=config["learning_rate"],
            gamma=config["discount"],
            **OPTIONS[case](config),
        )
        .replace(eval_callback=lambda algorithm, state, key: ())
    )
    training = jax.jit(algorithm.train)

    @jax.jit
    def returns(state):
        return rejax.evaluate.evaluate(
            algorithm.make_act(state),
            jax.random.key(0),
            algorithm.env,
            algorithm.env_params,
            100,
            algorithm.env_params.max_steps_in_episode,
        )[1]

    def train(seed, timed):
        state, _ = timed(
            lambda: jax.block_until_ready(training(jax.random.PRNGKey(seed)))
        )
        return float(returns(state).mean())

    serve(train)


def ppo(config):
    """Options of PPO."""
    return {
        "agent_kwargs": {
            "activation": "tanh",
            "hidden_layer_sizes": config["hidden_sizes"],
        },
        "num_steps": config["num_steps"],
        "num_epochs": config["num_epochs"],
        "num_minibatches": config["num_minibatches"],
        "gae_lambda": config["lambda_"],
        "clip_eps": config["clip"],
        "vf_coef": config["value_cost"],
        "ent_coef": config["entropy_cost"],
        "max_grad_norm": config["max_grad_norm"],
    }


def off_policy(config):
    """Options of DQN and SAC."""
    return {
        "buffer_size": config["capacity"],
        "fill_buffer": config["learning_starts"],
        "batch_size": config["batch_size"],
        "num_epochs": config["num_updates"],
    }


def dqn(config):
    """Options of DQN, whose networks have two layers of 64 units."""
    assert config["hidden_sizes"] == [64, 64]
    return {
        **off_policy(config),
        "agent_kwargs": {"activation": "relu"},
        "ddqn": False,
        "target_update_freq": config["target_every"],
        "polyak": 0.0,
        "eps_end": config["epsilon"],
        "exploration_fraction": config["epsilon_steps"] / config["total_steps"],
        "max_grad_norm": math.inf,
    }


def sac(config):
    """Options of SAC."""
    return {
        **off_policy(config),
        "hidden_layer_sizes": config["hidden_sizes"],
        "polyak": 1 - config["target_rate"],
    }


OPTIONS = {"ppo": ppo, "dqn": dqn, "sac": sac}

if __name__ == "__main__":
    main()

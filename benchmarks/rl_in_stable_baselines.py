"""PPO, DQN and SAC of SBX and of Stable-Baselines3, for `rl.py`."""

import importlib

import torch
from rl_worker import config as given
from rl_worker import now, serve
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

WARM = 0.2  # Share of a training after which all of SBX is compiled.


def main() -> None:
    """Trains when it is told to."""
    name, config = given()
    case = config["case"]
    package = importlib.import_module({"sbx": "sbx", "sb3": "stable_baselines3"}[name])
    algorithm = getattr(package, case.upper())
    options = OPTIONS[case](config, name)
    torch.set_num_threads(1)  # Faster for networks of this size.

    def train(seed, taken):
        envs = make_vec_env(config["env"], config["num_envs"], seed=seed)
        began, clock = now(), Clock(WARM * config["total_steps"])
        model = algorithm(
            "MlpPolicy",
            envs,
            seed=seed,
            learning_rate=config["learning_rate"],
            gamma=config["discount"],
            **options,
        )
        model.learn(config["total_steps"], callback=clock, log_interval=None)
        # SBX compiles for each model: without compilation is what comes after it.
        taken.keep(clock.began, share=1 - clock.num_before / config["total_steps"])
        taken.keep(began, prefix="first_")
        envs = make_vec_env(config["env"], 10, seed=1)
        return float(evaluate_policy(model, envs, n_eval_episodes=20)[0])

    serve(train)


class Clock(BaseCallback):
    """The time at which a number of environment steps is over."""

    def __init__(self, num_steps):
        super().__init__()
        self.num_steps, self.began = num_steps, None

    def _on_step(self):
        if self.began is None and self.num_timesteps >= self.num_steps:
            self.began, self.num_before = now(), self.num_timesteps
        return True


def ppo(config, name):
    """Options of PPO."""
    del name
    sizes = config["hidden_sizes"]
    rollout = config["num_envs"] * config["num_steps"]
    return {
        "n_steps": config["num_steps"],
        "batch_size": rollout // config["num_minibatches"],
        "n_epochs": config["num_epochs"],
        "gae_lambda": config["lambda_"],
        "clip_range": config["clip"],
        "vf_coef": config["value_cost"],
        "ent_coef": config["entropy_cost"],
        "max_grad_norm": config["max_grad_norm"],
        "policy_kwargs": {"net_arch": {"pi": sizes, "vf": sizes}},
    }


def off_policy(config):
    """Options of DQN and SAC."""
    return {
        "buffer_size": config["capacity"],
        "learning_starts": config["learning_starts"],
        "batch_size": config["batch_size"],
        "train_freq": 1,
        "gradient_steps": config["num_updates"],
    }


def dqn(config, name):
    """Options of DQN."""
    # SBX bounds no gradients.
    bound = {} if name == "sbx" else {"max_grad_norm": 1e9}
    return {
        **off_policy(config),
        **bound,
        "target_update_interval": config["target_every"],
        "exploration_fraction": config["epsilon_steps"] / config["total_steps"],
        "exploration_final_eps": config["epsilon"],
        "policy_kwargs": {"net_arch": config["hidden_sizes"]},
    }


def sac(config, name):
    """Options of SAC."""
    del name
    return {
        **off_policy(config),
        "tau": config["target_rate"],
        "policy_kwargs": {"net_arch": config["hidden_sizes"]},
    }


OPTIONS = {"ppo": ppo, "dqn": dqn, "sac": sac}

if __name__ == "__main__":
    main()

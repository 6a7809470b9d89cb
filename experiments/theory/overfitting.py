"""Dropout and L2 narrow the gap between training and test.

fdl train experiments/theory/overfitting.py --seeds 5

A network of 2 x 128 units learns 300 patients of the diabetes data by heart. Its mean
squared error on 142 others is 5747 ± 170 (0 on those 300); with dropout 3599 ± 41
(851 ± 16), with L2 4368 ± 47 (428 ± 8), with both 3600 ± 15 (1187 ± 17) (mean ±
standard error of the seeds 0 to 4, of one division of the data). Dropout narrows the
gap by 52 %, L2 by 31 %; both lower the test error; beside dropout, L2 changes
nothing. All claims hold. All five take 29 seconds on two CPU cores.
"""

import functools

import jax.numpy as jnp
from ml_collections import ConfigDict

import fdl


def get_config(size: str = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 2000 if size == "full" else 10  # Each of all examples.
    config.log_every = "100 steps"
    config.eval_every = "200 steps"
    config.save_every = "never"
    config.steps_per_call = 200
    config.best = "min both/test_mse"

    config.hidden_sizes = (128, 128)
    config.optimizer = {"name": "adam", "learning_rate": 1e-3}
    config.cases = {
        "none": {"dropout": 0.0, "l2": 0.0},
        "dropout": {"dropout": 0.5, "l2": 0.0},
        "l2": {"dropout": 0.0, "l2": 0.02},
        "both": {"dropout": 0.5, "l2": 0.01},
    }
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: data, model, learner and evaluation."""
    splits = [fdl.data.load("diabetes", split) for split in ("train", "test")]
    train, test = fdl.data.standardize(*splits)
    size = len(train["target"])
    learners, evaluations = {}, {}
    for name in ("none", "dropout", "l2", "both"):
        objective, learners[name] = learner(config, train, **config.cases[name])
        evaluations[name] = on_both(objective, train, test)
    return fdl.Experiment(
        learner=fdl.compare_learners(learners),
        batches=fdl.data.batches(train, size, config.seed),
        evaluate=fdl.evaluate_each(evaluations),
        claims=[
            fdl.Claim(
                f"{what} narrows the gap between test and training error (by a share)",
                lambda m, case=case: 1 - m[f"{case}/gap"] / m["none/gap"],
                at_least=0.2,
            )
            for case, what in (("dropout", "dropout"), ("l2", "L2"))
        ]
        + [
            fdl.Claim(
                f"{what} lowers the test error (by a share)",
                lambda m, case=case: 1 - m[f"{case}/test_mse"] / m["none/test_mse"],
                at_least=least,
            )
            for case, what, least in (("dropout", "dropout", 0.15), ("l2", "L2", 0.1))
        ]
        + [
            fdl.Claim(
                "beside dropout, L2 changes little of the test error (by a share)",
                lambda m: 1 - m["both/test_mse"] / m["dropout/test_mse"],
                at_least=-0.05,
                at_most=0.05,
            )
        ],
    )


def learner(config, train, dropout, l2):
    """An objective, and what learns by it, with a penalty of its own."""
    module = fdl.models.MLP(config.hidden_sizes, num_outputs=1, dropout=dropout)
    model = fdl.models.functional(module, jnp.zeros((1, train["features"].shape[1])))
    objective = fdl.objectives.regression(
        model,
        mean=float(train["target"].mean()),
        std=float(train["target"].std()),
        metrics={"mse": fdl.metrics.mean_squared_error},
    )
    penalty = functools.partial(fdl.losses.l2_penalty, strength=l2)
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=config.num_steps)
    to_learn = fdl.objectives.penalised(objective, penalty)
    return objective, fdl.gradient_learner(model, to_learn, optimizer)


def on_both(objective, train, test):
    """Evaluates on training and test data, and what lies between."""
    sides = {
        "train_mse": fdl.on_dataset(
            objective, fdl.data.batches(train, len(train["target"]), shuffle=False)
        ),
        "test_mse": fdl.on_dataset(
            objective, fdl.data.batches(test, len(test["target"]), shuffle=False)
        ),
    }

    def evaluate(state):
        values = {name: side(state)["mse"] for name, side in sides.items()}
        return {**values, "gap": values["test_mse"] - values["train_mse"]}

    return evaluate

"""Every experiment runs; and reaches what its docstring says, where there is time."""

import json
import pathlib

import numpy as np
import pytest

from fdl.cli import main
from fdl.cli.loading import files, name_of
from fdl.train.report import lines

FILES = files(str(pathlib.Path(__file__).parents[1] / "experiments"))

# The metric, what it has to reach on the mean of the seeds, and the seeds.
RESULTS = {
    "rl/cartpole_ppo": ("episode_return", 490, 10),
    "tabular/breast_cancer_linear": ("accuracy", 0.96, 5),
    "tabular/diabetes_mlp": ("mae", -46, 5),
    "tabular/table_mlp": ("accuracy", 0.93, 5),
    "theory/adam_and_sgd": ("adam/loss", -1e-6, 5),
    "theory/adam_and_sgd_on_digits": ("momentum/accuracy", 0.965, 5),
    "theory/backpropagation": ("quadratic_3/error", -1e-12, 5),
    "theory/batch_norm": ("batch_norm/accuracy", 0.9, 5),
    "theory/batch_size": ("batch_256_scaled/accuracy", 0.94, 5),
    "theory/born_dead": ("relu_12/dead", -0.01, 5),
    "theory/depth": ("residual/accuracy", 0.95, 5),
    "theory/double_descent": ("features_3200/accuracy", 0.82, 5),
    "theory/dying_relu": ("leaky_relu/accuracy", 0.7, 5),
    "theory/gradient_noise": ("batch_128/times_size", 0.9, 5),
    "theory/noisy_labels": ("l2/accuracy", 0.75, 5),
    "theory/overfitting": ("dropout/test_mse", -4000, 5),
    "theory/shifted_digits": ("cnn/accuracy", 0.95, 5),
    "theory/universal_approximation": ("width_50/max_error", -0.02, 5),
    "theory/vanishing_gradients": ("relu_he/log10_ratio", -1, 5),
    "theory/xor": ("mlp/accuracy", 1, 5),
    "unsupervised/digits_autoencoder": ("loss", -0.7 * 0.02465, 5),
    "vision/digits_cnn": ("accuracy", 0.985, 5),
    "vision/digits_mlp": ("accuracy", 0.975, 5),
    "vision/digits_resnet": ("accuracy", 0.985, 5),
    "vision/digits_vit": ("accuracy", 0.95, 5),
    "vision/mnist_cnn": ("accuracy", 0.994, 3),
    "vision/mnist_lenet": ("accuracy", 0.99, 5),
    "vision/mnist_mlp": ("accuracy", 0.975, 5),
    "vision/mnist_nielsen": ("accuracy", 0.976, 5),
    "vision/mnist_nielsen_conv": ("accuracy", 0.987, 3),
}


def train(path, workdir, request, *arguments, size=""):
    """Trains, and returns the last evaluation."""
    if "mnist" in path.stem:
        request.getfixturevalue("mnist_dir")
    assert main(["train", f"{path}{size}", "--workdir", str(workdir), *arguments]) == 0
    evaluations = [
        row for row in lines(workdir / "metrics.jsonl") if "eval/loss" in row
    ]
    evaluations = evaluations or lines(workdir / "metrics.jsonl")[-1:]
    return evaluations[-1]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_experiment_runs_in_its_smallest_size(path, tmp_path, request):
    last = train(path, tmp_path, request, "--debug", size=":smoke")
    measured = {k: v for k, v in last.items() if k.startswith("eval/")}
    assert measured and np.isfinite(list(measured.values())).all()
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_every_experiment_has_a_result_to_reach():
    assert sorted(RESULTS) == sorted(map(name_of, FILES))


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_experiment_reaches_its_result(path, tmp_path, request):
    metric, target, seeds = RESULTS[name_of(path)]
    last = train(path, tmp_path, request, "--debug", "--seeds", str(seeds))
    values = np.array(last[f"eval/{metric}"])
    assert values.shape == (seeds,)
    if target < 0:  # The less, the better.
        assert values.mean() <= -target
    else:
        assert values.mean() >= target
    if metric == "episode_return":
        assert values.min() >= target
    if path.parent.name == "theory":  # All of their docstrings say that claims hold.
        claims = json.loads((tmp_path / "claims.json").read_text())
        assert {claim["verdict"] for claim in claims} == {"holds"}, claims


@pytest.mark.slow
def test_a_nonlinear_code_beats_pca_of_the_same_size(tmp_path, request):
    path = next(path for path in FILES if path.stem == "digits_autoencoder")
    last = train(path, tmp_path, request, "--seeds", "5")
    assert max(last["eval/loss"]) < 0.7 * min(last["eval/pca_loss"])

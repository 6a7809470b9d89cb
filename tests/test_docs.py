"""What the README says is so."""

import pathlib
import re

import chex
import jax
import numpy as np

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


LIBRARY, MODEL, WEIGHTS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_library_example_runs_and_learns():
    *statements, last = LIBRARY.strip().splitlines()
    scope: dict = {}
    exec("\n".join(statements), scope)
    metrics = eval(last, scope)
    assert 0.94 < metrics["accuracy"] < 1.0
    assert np.isfinite(metrics["loss"])


def test_a_model_of_the_zoo_takes_published_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(MODEL, scope)
    models, published = scope["models"], scope["models"].resnet18()
    variables = jax.jit(models.functional(published).init)(jax.random.key(1))
    models.save("resnet18.safetensors", variables, of=published, format="torchvision")
    exec(WEIGHTS, scope)
    report = scope["report"]
    assert report.format == "torchvision" and len(report.mismatched) == 2
    again, _ = models.load("mine.safetensors", into=scope["module"])
    chex.assert_trees_all_equal(again, scope["variables"])
    chex.assert_trees_all_equal(again["params"]["conv1"], variables["params"]["conv1"])


def test_every_experiment_and_command_is_in_the_readme():
    from fdl.cli import COMMANDS

    root = pathlib.Path(__file__).parents[1] / "experiments"
    for path in root.rglob("*.py"):
        assert path.stem in README
    for command in COMMANDS:
        assert f"fdl {command}" in README

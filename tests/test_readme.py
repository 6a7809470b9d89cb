"""What the README says is so."""

import pathlib
import re

import numpy as np

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


def test_the_library_example_runs_and_learns():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    *statements, last = code.strip().splitlines()
    scope: dict = {}
    exec("\n".join(statements), scope)
    metrics = eval(last, scope)
    assert 0.94 < metrics["accuracy"] < 1.0
    assert np.isfinite(metrics["loss"])


def test_every_experiment_and_command_is_in_the_readme():
    from fdl.cli import COMMANDS

    root = pathlib.Path(__file__).parents[1] / "experiments"
    for path in root.rglob("*.py"):
        assert path.stem in README
    for command in COMMANDS:
        assert f"fdl {command}" in README

"""An optimizer chosen on the command line: shown, refused, trained, evaluated."""

import json
import pathlib
import re

import pytest

MADE = """fdl.make(
        optax, config.optimizer, learning_rate=config.learning_rate
    )"""
CHAIN = """fdl.optim.chain(
        **config.optimizer, learning_rate=config.learning_rate, num_steps=20
    )"""


@pytest.fixture
def chained(experiment):
    def write(options: str) -> str:
        return experiment((MADE, CHAIN), ('{"name": "adam", "b1": 0.9}', options))

    return write


def test_show_tells_the_links_in_order(fdl, chained):
    path = chained('{"name": "adamw", "weight_decay": 0.1, "freeze": "head"}')
    called = fdl("show", path, "--config.optimizer.name=lion")
    assert called.code == 0, called.error
    rows = re.findall(r"^│ ([^│]*?) +│ ([^│]*?) +│$", called.out, re.MULTILINE)
    everything = 64 * 16 + 16 + 16 * 10 + 10
    assert rows == [
        ("frozen", f"170 of {everything:,} parameters"),
        ("lion", f"1,040 of {everything:,} parameters"),
        ("weight_decay 0.1", f"1,024 of {everything:,} parameters"),
        ("learning rate constant: 0.01", f"1,040 of {everything:,} parameters"),
    ]


def test_show_is_silent_about_an_optimizer_of_ones_own(fdl, experiment):
    assert "in this order" not in fdl("show", experiment()).out


@pytest.mark.parametrize(
    "options, message",
    [
        ('{"name": "adamm"}', "has no 'adamm'. Did you mean 'adam'"),
        ('{"name": "adam", "freeze": "haed"}', "freeze: 'haed' matches no parameter."),
        ('{"name": "adam", "freeze": "*"}', "leaves nothing to learn"),
        ('{"name": "adam", "schedule": "cosin"}', "Did you mean 'cosine'"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(
    fdl, chained, tmp_path, options, message
):
    called = fdl("train", chained(options), "--workdir", tmp_path / "run")
    assert called.code == 2 and message in called.error
    assert called.error.count("\n") == 1


def test_eval_measures_the_average_that_training_has_measured(fdl, chained, tmp_path):
    path = chained('{"name": "adamw", "ema": 0.9, "skip_nonfinite": 2}')
    assert fdl("train", path, "--workdir", tmp_path / "run").code == 0
    lines = pathlib.Path(tmp_path / "run/metrics.jsonl").read_text().splitlines()
    last = [row for row in map(json.loads, lines) if "eval/loss" in row][-1]
    called = fdl("eval", tmp_path / "run")
    assert called.code == 0, called.error
    shown = re.search(r"loss +│ +([\d.]+)", called.out).group(1)
    assert float(shown) == pytest.approx(last["eval/loss"], rel=1e-3)
    assert {"train/skipped", "train/learning_rate", "train/update_ratio"} <= {
        name for line in lines for name in json.loads(line)
    }

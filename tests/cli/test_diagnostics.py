"""`fdl check-gradients`, `overfit` and `lr-find`, as they are called."""

import re

import numpy as np
import pytest

QUICK = ["--examples", "4", "--directions", "2"]
OBJECTIVE = "    objective = fdl.objectives.classification(model)\n"
SABOTAGE = """
    import jax

    @jax.custom_jvp
    def off(loss):
        return loss

    off.defjvp(lambda primals, tangents: (off(*primals), 1.1 * tangents[0]))
    right = objective

    def objective(*arguments, **options):
        loss, more = right(*arguments, **options)
        return off(loss), more
"""


def test_right_gradients_are_said_to_be_right(fdl, experiment):
    called = fdl("check-gradients", experiment(), *QUICK)
    assert (called.code, called.error) == (0, "")
    for name, count in (("dense_0/kernel", "1,024"), ("head/bias", "10")):
        pattern = rf"{name} +│ +{count} │ +[\d.]+ │ +\d\.\de-\d\d │ right +│"
        assert re.search(pattern, called.out)
    assert "all 4 gradients are right, to 1e-07\n" in called.out


def test_wrong_gradients_are_named_with_the_worst(fdl, experiment):
    path = experiment((OBJECTIVE, OBJECTIVE + SABOTAGE))
    called = fdl("check-gradients", path, *QUICK)
    assert called.code == 1
    assert re.fullmatch(
        r"fdl: 4 of 4 gradients are wrong, worst of '\w+/\w+': off by 0\.048, "
        r"allowed 1e-07\n",
        called.error,
    )
    assert called.out.count("WRONG") == 4


def test_float32_on_the_way_lowers_the_tolerance(fdl, experiment):
    narrow = """
    apply = model.apply

    def rounding(*arguments, **options):
        outputs, model_state = apply(*arguments, **options)
        return outputs.astype("float32").astype(outputs.dtype), model_state

    model = model._replace(apply=rounding)
"""
    path = experiment((OBJECTIVE, narrow + OBJECTIVE))
    called = fdl("check-gradients", path, *QUICK)
    assert (called.code, called.error) == (0, "")
    assert "Something on the way computes in float32 whatever it is" in called.out
    assert "all 4 gradients are right, to 0.01\n" in called.out


def test_a_model_of_a_fixed_dtype_is_a_mistake(fdl, experiment):
    path = experiment(('"dropout": 0.1', '"dropout": 0.1, "dtype": "bfloat16"'))
    called = fdl("check-gradients", path, *QUICK)
    assert called.code == 2
    assert "loss.dtype=float32: expected float64" in called.error


def test_overfit_turns_off_what_holds_back_and_gets_there(fdl, experiment):
    called = fdl("overfit", experiment())
    assert (called.code, called.error) == (0, "")
    assert "  --config.model.dropout=0, so that nothing holds it back\n" in called.out
    first, last, step = re.search(
        r"loss (\S+) at the beginning, (\S+) at step (\d+)\n", called.out
    ).groups()
    assert float(last) < float(first) / 100 and 0 < int(step) < 1000
    assert "overfitted" in called.out


def test_overfit_keeps_what_was_asked_for_and_says_what_is_in_the_way(fdl, experiment):
    called = fdl(
        *("overfit", experiment(), "--steps", "20", "--config.model.dropout=0.5"),
        "--config.learning_rate=1e-7",
    )
    assert called.code == 1
    assert "--config.model.dropout" not in called.out
    reasons = re.findall(r"^  (.*)$", called.out, re.MULTILINE)
    assert any("try a higher learning rate" in reason for reason in reasons)
    assert called.error.endswith(f": {reasons[0]}\n")
    assert called.error.startswith("fdl: the loss did not fall below 0.0")


def test_overfit_reaches_the_target_that_is_asked_for(fdl, experiment):
    called = fdl("overfit", experiment(), "--target", "1.5")
    assert called.code == 0 and "the loss is below 1.5" in called.out


def test_lr_find_draws_and_suggests_what_can_be_set(fdl, experiment, tmp_path):
    called = fdl("lr-find", experiment(), "--steps", "60", "--output", "a/lr.png")
    assert (called.code, called.error) == (0, "")
    rates = re.findall(r"^  --config\.learning_rate=(\S+)  ", called.out, re.MULTILINE)
    assert len(rates) == 1 and 1e-4 < float(rates[0]) < 1
    assert called.out.index(rates[0]) < called.out.index("it falls fastest at 0.")
    assert (tmp_path / "a/lr.png").read_bytes().startswith(b"\x89PNG")
    # Whatever rate was configured, the same rates are tried.
    path = experiment()
    again = fdl("lr-find", path, "--steps", "60", "--config.learning_rate=7.0")
    found = re.findall(r"^  --config\.learning_rate=(\S+)  ", again.out, re.MULTILINE)
    np.testing.assert_allclose([*map(float, found)], [*map(float, rates)], rtol=0.02)
    assert (tmp_path / "runs/tiny-lr-find.png").exists()


def test_lr_find_of_what_never_falls_suggests_nothing(fdl, experiment):
    arguments = ("--start", "1e-9", "--end", "1e-8", "--steps", "12")
    called = fdl("lr-find", experiment(), *arguments)
    assert called.code == 1
    assert "the loss did not fall at any rate" in called.out
    assert "--config.learning_rate=" not in called.out


EXPERIENCE = "learner=fdl.gradient_learner(model, objective, optimizer)"
MISTAKES = {
    "an experiment that is not there": (
        ["overfit", "nowhere"],
        "there is no experiment 'nowhere'",
    ),
    "a key that is not there": (
        ["overfit", "EXPERIMENT", "--config.model.dropuot=0"],
        "takes no 'dropuot'. Did you mean 'dropout'",
    ),
    "no steps": (["overfit", "EXPERIMENT", "--steps", "0"], "--steps=0: expected at"),
    "no target": (
        ["overfit", "EXPERIMENT", "--target", "-1"],
        "--target=-1: expected more than zero",
    ),
    "no examples": (
        ["check-gradients", "EXPERIMENT", "--examples", "0"],
        "--examples=0: expected at least 1",
    ),
    "a tolerance": (
        ["check-gradients", "EXPERIMENT", "--tolerance", "2"],
        "--tolerance=2: expected between 0 and 1",
    ),
    "rates that fall": (
        ["lr-find", "EXPERIMENT", "--start", "1", "--end", "0.1"],
        "--start=1 --end=0.1: expected rising rates",
    ),
    "another key": (
        ["lr-find", "EXPERIMENT", "--key", "learning_rates"],
        "--key=learning_rates: no such key. Did you mean 'learning_rate'",
    ),
    "a key of something else": (
        ["lr-find", "EXPERIMENT", "--key", "optimizer.name"],
        "--key=optimizer.name: expected the key of a positive number, it is 'adam'",
    ),
    "a picture of no kind": (
        ["lr-find", "EXPERIMENT", "--output", "lr.txt"],
        "--output=lr.txt: expected a name with .png or .jpg or",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_one_line(fdl, experiment, case):
    arguments, expected = MISTAKES[case]
    path = experiment()
    called = fdl(*(path if a == "EXPERIMENT" else a for a in arguments))
    assert called.code == 2
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
    assert expected in called.error


@pytest.mark.parametrize("command", ["check-gradients", "overfit", "lr-find"])
def test_a_learner_without_one_objective_is_told(fdl, experiment, command):
    path = experiment((EXPERIENCE, f"{EXPERIENCE}._replace(objective=None)"))
    called = fdl(command, path)
    assert called.code == 2
    assert "has no single objective" in called.error
    assert "expected a learner as fdl.gradient_learner makes it" in called.error


def test_a_rate_that_nobody_knows_is_told(fdl, experiment):
    path = experiment(("config.learning_rate", "config.rate"))
    called = fdl("lr-find", path)
    assert called.code == 2
    assert "the learning rate of this learner is not known" in called.error
    assert "--key" in called.error
    assert fdl("lr-find", path, "--key", "rate", "--steps", "30").code == 0

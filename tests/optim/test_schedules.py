"""Schedules against PyTorch's, and against what their papers say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import optim
from fdl.errors import UserError
from fdl.optim import schedules

PROGRAMS = 410

PEAK = 0.1
AT = [0, 1, 29, 30, 50, 75, 99]  # Where the numbers below are from.

# Ours, with its options and number of steps; PyTorch's; its rates at these steps.
CASES = {
    "cosine": (
        {},
        100,
        "CosineAnnealingLR",
        {"T_max": 100},
        [0.1, 0.099975328, 0.080645353, 0.079389263, 0.05, 0.014644661, 2.4671982e-05],
    ),
    "linear": (
        {},
        100,
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 100},
        [0.1, 0.099, 0.071, 0.07, 0.05, 0.025, 0.001],
    ),
    "step": (
        {"boundaries": (0.5, 75)},
        100,
        "MultiStepLR",
        {"milestones": [50, 75]},
        [0.1, 0.1, 0.1, 0.1, 0.01, 0.001, 0.001],
    ),
    "exponential": (
        {"factor": 0.01},
        100,
        "ExponentialLR",
        {"gamma": 0.01**0.01},
        [0.1, 0.095499259, 0.02630268, 0.025118864, 0.01, 0.0031622777, 0.0010471285],
    ),
    "exponential staircase": (
        {"factor": 0.5, "every": 30, "staircase": True},
        100,
        "StepLR",
        {"step_size": 30, "gamma": 0.5},
        [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.0125],
    ),
    "polynomial": (
        {"power": 2.0},
        100,
        "PolynomialLR",
        {"total_iters": 100, "power": 2.0},
        [0.1, 0.09801, 0.05041, 0.049, 0.025, 0.00625, 1e-05],
    ),
    "warm_restarts": (
        {"period": 20, "growth": 2.0},
        140,
        "CosineAnnealingWarmRestarts",
        {"T_0": 20, "T_mult": 2},
        [
            0.1,
            0.099384417,
            0.088020298,
            0.085355339,
            0.014644661,
            0.091573481,
            0.051962991,
        ],
    ),
    "cyclic": (
        {"period": 0.2, "base": 0.1},
        100,
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10, "cycle_momentum": False},
        [0.01, 0.019, 0.091, 0.1, 0.1, 0.055, 0.019],
    ),
    "cyclic that shrinks": (
        {"period": 20, "base": 0.1, "shrink": 0.5},
        100,
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 10,
            "mode": "triangular2",
            "cycle_momentum": False,
        },
        [0.01, 0.019, 0.0505, 0.055, 0.0325, 0.015625, 0.0105625],
    ),
    # PyTorch's peak and end are one step earlier.
    "one_cycle": (
        {"rise": 29},
        99,
        "OneCycleLR",
        {"max_lr": 0.1, "total_steps": 100},
        [0.004, 0.0042813781, 0.1, 0.099949654, 0.079389345, 0.026306862, 4e-07],
    ),
}


def ours(case):
    options, num_steps, *_ = CASES[case]
    spec = {"name": case.split()[0], **options}
    schedule = fdl.make(schedules, spec, peak=PEAK, num_steps=num_steps)
    return jax.jit(jax.vmap(schedule))(jnp.arange(100))


def theirs(case):
    import torch

    _, _, name, options, _ = CASES[case]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(rates)


@pytest.mark.parametrize("case", CASES)
def test_rates_are_torchs(case):
    expected = CASES[case][-1]
    np.testing.assert_allclose(
        ours(case)[jnp.array(AT)], expected, rtol=2e-5, atol=1e-8
    )


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_torch_says_the_same_today(case):
    actual = theirs(case)
    np.testing.assert_allclose(actual[AT], CASES[case][-1], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours(case), actual, rtol=2e-5, atol=1e-8)


def test_inverse_sqrt_is_that_of_the_transformer():
    peak = optim.noam_peak(512, 4000)
    schedule = jax.jit(schedules.inverse_sqrt(peak, 100_000, warmup=4000))
    for step, rate in ((1, 1.7469e-7), (4000, 6.98771e-4), (100_000, 1.397542e-4)):
        np.testing.assert_allclose(schedule(step - 1), rate, rtol=1e-4)
        vaswani = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        np.testing.assert_allclose(schedule(step - 1), vaswani, rtol=1e-6)
    np.testing.assert_allclose(optim.noam_peak(1024, 4000), 4.94106e-4, rtol=1e-5)


def test_warmup_stable_decay_goes_up_stays_and_goes_down():
    schedule = schedules.warmup_stable_decay(PEAK, 100, warmup=10, decay=0.2, end=0.5)
    actual = jax.jit(jax.vmap(schedule))(jnp.array([0, 5, 10, 50, 80, 90, 100]))
    expected = PEAK * np.array([0, 0.5, 1, 1, 1, 0.75, 0.5])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_a_warmup_comes_before_a_schedule_and_takes_of_its_time():
    optimizer = optim.chain(
        "sgd", PEAK, num_steps=100, schedule={"name": "cosine", "end": 0.1}, warmup=0.2
    )
    rates, state = [], optimizer.init(jnp.zeros(3))
    update = jax.jit(optimizer.update)
    for _ in range(100):
        updates, state = update(jnp.ones(3), state, jnp.zeros(3))
        np.testing.assert_allclose(
            optimizer.report(state).metrics["learning_rate"], -updates[0], rtol=1e-6
        )
        rates.append(-updates[0])
    step = np.arange(100)
    cosine = 0.1 + 0.9 * (1 + np.cos(np.pi * (step - 20) / 80)) / 2
    np.testing.assert_allclose(
        rates, PEAK * np.where(step < 20, step / 20, cosine), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("num_steps", [1, 2, 3, 7, 1000])
def test_every_schedule_fits_into_any_run(num_steps):
    @jax.jit
    def follow(steps):
        made = {
            name: fdl.make(schedules, {"name": name}, peak=PEAK, num_steps=num_steps)
            for name in sorted(set(schedules.__all__) - {"plateau"})
        }
        return {name: jax.vmap(schedule)(steps) for name, schedule in made.items()}

    for name, rates in follow(np.arange(num_steps)).items():
        assert np.isfinite(rates).all() and (rates >= 0).all(), name
        assert rates.max() <= PEAK * 1.00001, name
        assert num_steps > 1 or name == "cyclic" or rates[0] == np.float32(PEAK), name


def test_a_plateau_of_the_loss_halves_the_rate():
    plateau = {"name": "plateau", "factor": 0.5, "patience": 3}
    optimizer = optim.chain("sgd", PEAK, num_steps=9, schedule=plateau)
    state, rates = optimizer.init(jnp.zeros(3)), []
    update = jax.jit(optimizer.update)
    for loss in [3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]:
        updates, state = update(jnp.ones(3), state, jnp.zeros(3), value=loss)
        rates.append(optimizer.report(state).metrics["learning_rate"])
        np.testing.assert_allclose(updates, -rates[-1] * np.ones(3), rtol=1e-6)
    # Three steps after the best one, the sixth is the first of half the rate.
    np.testing.assert_allclose(rates, PEAK * np.repeat([1, 0.5], [5, 4]), rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"schedule": {"name": "cosine", "ending": 1}}, "takes no 'ending'.*'end'"),
        ({"schedule": {"name": "warm_restarts", "period": 0}}, "period=0: expected"),
        ({"schedule": {"name": "warm_restarts", "growth": 0.5}}, "growth=0.5"),
        ({"schedule": {"name": "one_cycle", "start": 0.0}}, "start=0.0: expected"),
        ({"schedule": {"name": "plateau", "patienc": 0.5}}, "Did you mean 'patience'"),
        ({"warmup": 10}, "warmup=10: expected less than num_steps=10"),
        ({"warmup": 1.5}, "warmup=1.5: expected at least 0 steps, or a share"),
        (
            {"schedule": {"name": "warmup_stable_decay", "warmup": 5, "decay": 6}},
            "expected no more than num_steps=10 together",
        ),
        ({"learning_rate": None, "schedule": "cosine"}, "nothing to schedule"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0: expected a positive"),
        ({"schedule": {"name": "exponential", "factor": 0.0}}, "factor=0.0: expected"),
        ({"schedule": {"name": "linear", "end": -1.0}}, "at least 0, got -0.0008"),
        ({"schedule": {"name": "cosine", "end": np.nan}}, "at least 0, got nan"),
    ],
)
def test_mistakes_are_told_in_one_line(options, message):
    with pytest.raises(UserError, match=message):
        optim.chain(**({"name": "sgd", "num_steps": 10} | options))

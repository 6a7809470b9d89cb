"""Chain of gradient transformations, assembled from a config in a fixed order."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import optax

from fdl.config import make
from fdl.errors import UserError, near
from fdl.optim import chain_steps, masks, optimizers, schedules
from fdl.optim.averaging import Average
from fdl.optim.chain_steps import ChainStep
from fdl.optim.report import Report, report
from fdl.optim.schedules.step_counts import Steps, steps
from fdl.optim.schedules.warmup import with_warmup
from fdl.optim.transforms.half_precision import in_float32
from fdl.optim.transforms.logging import record_update
from fdl.optim.transforms.schedule_free import averaged_params
from fdl.types import Params

# Optimizers whose updates no later transformation may change. The line search of L-BFGS
# has accepted exactly this update, and schedule-free methods compute their iterates
# from one another under the assumption that it is applied as it is.
WHOLE = ("lbfgs", "schedule_free_adamw", "schedule_free_sgd")


class Chain(optax.GradientTransformationExtraArgs):
    """Gradient transformation that describes itself; see `describe`.

    A training step asks for the optional functions of an optimizer by name, so that any
    other gradient transformation may have them as well.

    Attributes:
      steps: Transformations in their order.
      report: ``report(opt_state)``, a `Report` of the last update.
      average: Average of the variables that the training state keeps, or None.
      frozen: Mask of what the optimizer does not train, by paths; None if it trains
        all.
      averaged_params: ``averaged_params(opt_state, params)``, the parameters to
        evaluate, of a schedule-free optimizer; None of others.
    """

    steps: Sequence[ChainStep] = ()
    report: Callable[[optax.OptState], Report]
    average: Average | None = None
    frozen: masks.Mask | None = None
    averaged_params: Callable[[optax.OptState, Params], Params] | None = None


def chain(
    name: str = "adam",
    learning_rate: float | None = 1e-3,
    *,
    num_steps: int,
    schedule: str | Mapping[str, Any] = "constant",
    warmup: Steps = 0,
    clip_by_global_norm: float | None = None,
    clip_by_value: float | None = None,
    adaptive_clip: float | None = None,
    gradient_noise: float | None = None,
    l2: float = 0.0,
    weight_decay: float = 0.0,
    decay_exempt: str | Iterable[str] | None = None,
    learning_rates: Mapping[str, float] | None = None,
    freeze: str | Iterable[str] = (),
    max_norm: float | None = None,
    ema: float | None = None,
    swa: Steps | None = None,
    swa_every: Steps = 1,
    sam: float | None = None,
    skip_nonfinite: int = 0,
    loss_scale: float | None = None,
    **arguments: Any,
) -> Chain:
    """Chain of gradient transformations around an optimizer, from a config.

    The transformations are applied in this order: masking of frozen parameters;
    sharpness-aware minimisation (``sam``); skipping of non-finite steps; gradient
    noise; clipping by value, by global norm, adaptively; L2 penalty; the optimizer;
    decoupled weight decay; learning rate multipliers; the factor of a plateau
    schedule; max-norm projection.

    Updates and states are computed in float32 if parameters are of half precision.

    Numbers of steps may be given as a share of the run, a float below one. Patterns
    are those of `masks.matching`, over all parameters, frozen ones included.

    Args:
      name: Name of the optimizer in `optim.optimizers`.
      learning_rate: Peak of the learning rate schedule. None leaves the learning rate
        to the optimizer.
      num_steps: Number of steps of the run.
      schedule: Learning rate schedule of `optim.schedules`: its name, or a mapping of
        ``name`` and arguments.
      warmup: Number of steps of linear warmup from zero to the peak, before the
        schedule.
      clip_by_global_norm: Maximum norm of all gradients together.
      clip_by_value: Maximum absolute value of each element of a gradient.
      adaptive_clip: Maximum ratio of the gradient norm to the weight norm of a unit
        (adaptive gradient clipping).
      gradient_noise: η of Gaussian noise of variance η / (1 + t)^0.55; the same noise
        for all seeds.
      l2: λ of the penalty λ/2 ‖w‖², of which only the gradient is added: the
        ``weight_decay`` of PyTorch's SGD and Adam.
      weight_decay: λ of decoupled weight decay, w ← w − η λ w, as in PyTorch's AdamW.
        With dadapt_adamw, dog and prodigy, η includes the step size that they estimate.
        With lamb and lars the decay is inside of the trust ratio, as in the papers.
      decay_exempt: Patterns of the parameters that are neither decayed nor penalised.
        Default: biases, the gains of normalisation layers, scalars; see
        `masks.weights`. An empty tuple exempts nothing.
      learning_rates: Learning rate multipliers by pattern; the multipliers of all
        matching patterns are multiplied.
      freeze: Patterns of the parameters that are not trained.
      max_norm: Maximum norm of the incoming weights of a unit.
      ema: Decay of an exponential moving average of the variables, which the training
        state keeps; see `exponential_average`.
      swa: First step of stochastic weight averaging; see `stochastic_average`.
      swa_every: Number of steps between two sets of weights in that average.
      sam: Radius ρ of sharpness-aware minimisation.
      skip_nonfinite: Maximum number of consecutive non-finite steps to skip.
      loss_scale: Initial dynamic loss scale, for float16; say 32768.
      **arguments: Arguments of the optimizer.

    Raises:
      UserError: There is no such optimizer, schedule, argument or parameter (the last
        once the parameters are known), or options exclude each other.

    Example:
      >>> optimizer = chain("adamw", 1e-2, num_steps=100, schedule="cosine")
      >>> state = optimizer.init({"kernel": jax.numpy.ones((2, 3))})
    """
    _check_arguments(name, arguments)
    rates, constant, plateau = _rates(learning_rate, num_steps, schedule, warmup)
    later = {"learning_rates": learning_rates, "max_norm": max_norm}
    later |= {"schedule plateau": plateau}
    _check_compatible(name, constant, later, {"weight_decay": weight_decay, "l2": l2})
    decayed = chain_steps.exempt(decay_exempt)
    average, average_text = chain_steps.average(ema, swa, swa_every, num_steps)
    # A constant rate is passed as a number: some optimizers take no schedule, and
    # others keep a count of steps in their state for one.
    rate = learning_rate if constant else rates
    steps_in_order = [
        *chain_steps.wrappers(freeze, sam, skip_nonfinite, loss_scale),
        # Inside of the wrappers and before any clipping: the logged gradient norm is
        # that of the raw gradients of trainable parameters.
        ChainStep("", transformation=record_update(rates)),
        *chain_steps.noise(gradient_noise),
        *chain_steps.clipping(clip_by_value, clip_by_global_norm, adaptive_clip),
        *chain_steps.l2_penalty(l2, decayed),
        *chain_steps.optimizer(name, rates, rate, weight_decay, decayed, arguments),
        *_rate_step(rates, schedule, warmup, num_steps),
        *chain_steps.multipliers(learning_rates or {}),
        *plateau,
        *chain_steps.after(max_norm, average_text),
    ]
    combined = _combine(_hidden(steps_in_order) if freeze else steps_in_order)
    combined.average = average
    combined.frozen = masks.matching(freeze) if freeze else None
    if name.startswith("schedule_free"):
        combined.averaged_params = averaged_params
    return combined


def describe(optimizer: Chain, params: Params) -> list[tuple[str, str]]:
    """Description of each transformation of a chain and of the parameters it affects.

    Args:
      optimizer: An optimizer made by `chain`.
      params: The parameters, or their shapes.

    Returns:
      Pairs of a description and a number of parameters as text, in the order of
      application.

    Example:
      >>> params = {"kernel": jax.numpy.ones((2, 3)), "bias": jax.numpy.ones(3)}
      >>> describe(chain("adamw", weight_decay=0.1, num_steps=10), params)[1]
      ('weight_decay 0.1', '6 of 9 parameters')
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    rows = []
    for step in optimizer.steps:
        affected = jax.tree.leaves(step.touches(params))
        num_affected = sum(n for n, yes in zip(sizes, affected, strict=True) if yes)
        count = f"{num_affected:,} of {sum(sizes):,}"
        count = "all" if num_affected == sum(sizes) else count
        if step.text:
            rows.append((step.text, f"{count} parameters"))
    return rows


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raises a `UserError` for an argument that neither chain nor optimizer takes.

    The nearest name is looked up among the arguments of both. An unknown optimizer is
    left to `make`, which knows the nearest of them.
    """
    own = inspect.signature(getattr(optimizers, name, chain)).parameters
    for key in arguments:
        if key not in own:
            known = {*inspect.signature(chain).parameters, *own} - {"arguments"}
            raise UserError(
                f"neither chain nor {name} takes {key!r}. {near(key, known)}"
            )


def _check_compatible(
    name: str, constant: bool, later: Mapping[str, Any], decay: Mapping[str, Any]
) -> None:
    """Raises a `UserError` for options that the optimizer cannot be combined with.

    Args:
      name: Name of the optimizer.
      constant: Whether the learning rate is constant.
      later: Options that change updates after the optimizer.
      decay: Options of weight decay and of the L2 penalty.
    """
    # The line search of L-BFGS evaluates the loss alone: the gradient of a penalty is
    # not the one of that loss, and a decay would change the step that it accepted.
    excluded = {
        **(later if name in WHOLE else {}),
        **(decay if name == "lbfgs" else {}),
    }
    for key, value in excluded.items():
        if chain_steps.given(value):
            raise UserError(f"{key} does not go with {name}")
    if name == "rprop" and not constant:
        # The learning rate is only the initial step size of Rprop, which then adapts
        # one step size for each weight: a schedule would have no effect.
        raise UserError(
            "name='rprop': expected a constant schedule without warmup, as rprop "
            "adapts its step sizes itself"
        )


def _rates(peak, num_steps: int, spec: Any, warmup: Steps):
    """Schedule, whether it is constant, and the step of a plateau, in a list."""
    spec = {"name": spec} if isinstance(spec, str) else dict(spec)
    if peak is None:
        if spec != {"name": "constant"} or warmup:
            raise UserError(
                "learning_rate=None: expected a constant schedule without warmup, as "
                "there is nothing to schedule"
            )
        return None, True, []
    chain_steps.positive("learning_rate", peak)
    num_warmup = steps(warmup, num_steps, "warmup")
    if num_warmup and num_warmup >= num_steps:
        raise UserError(
            f"warmup={num_warmup}: expected less than num_steps={num_steps}"
        )
    plateau = []
    if spec.get("name") == "plateau":
        # It is a transformation that reads the loss and scales updates, rather than a
        # function of the step: the schedule beneath it is constant.
        text = ", ".join(f"{k}={v}" for k, v in spec.items() if k != "name")
        plateau = [ChainStep(f"plateau ({text})", transformation=make(schedules, spec))]
        spec = {"name": "constant"}
    # The warmup is part of the run, so the schedule has the remaining steps.
    rates = make(schedules, spec, peak=peak, num_steps=num_steps - num_warmup)
    constant = spec["name"] == "constant" and not num_warmup
    return with_warmup(rates, peak, num_warmup), constant, plateau


def _rate_step(
    rates: optax.Schedule | None, schedule: Any, warmup: Steps, num_steps: int
) -> list[ChainStep]:
    """Description of a schedule, with its first, middle and last learning rate."""
    if rates is None:
        return []
    spec = {"name": schedule} if isinstance(schedule, str) else dict(schedule)
    options = [f"{key}={value}" for key, value in spec.items() if key != "name"]
    options += [f"warmup={warmup}"] if warmup else []
    shape = spec["name"] + (f" ({', '.join(options)})" if options else "")
    values = [rates(step) for step in sorted({0, num_steps // 2, num_steps - 1})]
    if any(map(chain_steps.is_traced, values)):
        return [ChainStep(f"learning rate {shape}")]
    values = [float(value) for value in values]
    for value in values:
        if not 0 <= value < math.inf:
            raise UserError(
                f"learning rate {shape}: expected rates of at least 0, got {value:.3g}"
            )
    values = values if len(set(values)) > 1 else values[:1]
    shown = ", ".join(f"{value:.3g}" for value in values)
    return [ChainStep(f"learning rate {shape}: {shown}")]


def _hidden(steps_in_order: list[ChainStep]) -> list[ChainStep]:
    """Steps of which all but the first, which freezes, see no frozen parameters.

    Their masks, which `describe` counts, then leave them out as well.
    """
    freezing, *others = steps_in_order
    trainable = masks.others(freezing.touches)
    return [
        freezing,
        *(x._replace(touches=masks.both(x.touches, trainable)) for x in others),
    ]


def _combine(steps_in_order: list[ChainStep]) -> Chain:
    """Chain of all transformations, enclosed by all wrappers."""
    parts = [x.transformation for x in steps_in_order if x.transformation is not None]
    combined: optax.GradientTransformation = in_float32(optax.chain(*parts))
    # In reverse, so that the first wrapper of the list is the outermost.
    for step in reversed(steps_in_order):
        if step.wrapper is not None:
            combined = step.wrapper(combined)
    # Plain transformations are given a signature that accepts the loss, its function
    # and gradients, which `gradient_step` passes to every optimizer.
    optimizer = Chain(*optax.with_extra_args_support(combined))
    optimizer.steps = tuple(steps_in_order)
    optimizer.report = report
    return optimizer

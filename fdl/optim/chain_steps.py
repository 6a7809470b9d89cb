"""Transformations that an optimizer chain consists of, and the parameters they affect.

Each has a description and a mask, from which `describe` makes its table.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from fdl.config import make
from fdl.errors import UserError
from fdl.optim import optimizers
from fdl.optim.averaging import Average, exponential_average, stochastic_average
from fdl.optim.masks import Mask, everything, matching, others, weights
from fdl.optim.schedules.step_counts import Steps, steps
from fdl.optim.transforms.freezing import freeze, frozen
from fdl.optim.transforms.masked_decay import masked_decay
from fdl.optim.transforms.max_norm import max_norm
from fdl.optim.transforms.sharpness_aware import sharpness_aware
from fdl.optim.transforms.skip_nonfinite import skip_nonfinite_updates

# Optimizers whose own weight decay is used in place of a separate transformation, since
# it is a part of their update (the trust ratio of lamb and lars, say), and the name of
# their argument for the mask of the decayed parameters.
DECAY_MASK = {
    "adamaxw": "mask",
    "adamw": "mask",
    "dog": "mask",
    "lamb": "mask",
    "lars": "weight_decay_mask",
    "lion": "mask",
    "nadamw": "mask",
    "schedule_free_adamw": "mask",
    "schedule_free_sgd": "mask",
}
# Others that scale the decay by the step size which they estimate, but have no mask.
DECAY_WITHOUT_MASK = ("dadapt_adamw", "prodigy")
NOISE_DECAY = 0.55  # γ of Neelakantan et al., "Adding Gradient Noise ...", 2015.

Wrapper = Callable[[optax.GradientTransformation], optax.GradientTransformation]


class ChainStep(NamedTuple):
    """Transformation in a chain, with its description.

    Attributes:
      text: Description; empty for what `describe` does not show.
      touches: Mask of the parameters that it affects.
      transformation: Gradient transformation; None for a wrapper, or where another
        step computes it (weight decay inside of an optimizer).
      wrapper: Function of the transformation of all following steps, which returns
        the one that encloses it; None for a plain transformation.
    """

    text: str
    touches: Mask = everything
    transformation: optax.GradientTransformation | None = None
    wrapper: Wrapper | None = None


def wrappers(
    patterns: str | Iterable[str],
    radius: float | None,
    skip_nonfinite: int,
    loss_scale: float | None,
) -> list[ChainStep]:
    """Wrappers of the whole chain: freezing, sharpness-aware minimisation, skipping.

    Args:
      patterns: Patterns of the frozen parameters.
      radius: Radius of sharpness-aware minimisation, or None.
      skip_nonfinite: Maximum number of consecutive non-finite steps to skip.
      loss_scale: Initial dynamic loss scale, or None.
    """
    parts = []
    if patterns:
        out = frozen(patterns)
        parts.append(ChainStep("frozen", out, wrapper=lambda inner: freeze(inner, out)))
    if radius is not None:
        parts.append(
            ChainStep(
                f"sam within {number(radius)}",
                wrapper=lambda inner: sharpness_aware(inner, radius),
            )
        )
    if skip_nonfinite or loss_scale is not None:
        text = f"skip up to {skip_nonfinite} steps in a row that are not finite"
        if loss_scale is not None:
            text = f"loss scale, {loss_scale:g} at first; {text}"

        def wrapper(inner):
            return skip_nonfinite_updates(
                inner, skip_nonfinite=skip_nonfinite, loss_scale=loss_scale
            )

        parts.append(ChainStep(text, wrapper=wrapper))
    return parts


def noise(eta: float | None) -> list[ChainStep]:
    """Gradient noise of variance η / (1 + t)^γ, or nothing."""
    if eta is None:
        return []
    # A fixed key, because `init` of an optimizer is given none.
    noisy = optax.add_noise(positive("gradient_noise", eta), NOISE_DECAY, 0)
    return [ChainStep(f"gradient_noise {number(eta)}", everything, noisy)]


def clipping(
    by_value: float | None, by_global_norm: float | None, adaptive: float | None
) -> list[ChainStep]:
    """Clipping of gradients, of each kind that is not None.

    Args:
      by_value: Maximum absolute value.
      by_global_norm: Maximum global norm.
      adaptive: Maximum ratio of gradient norm to weight norm of a unit.
    """
    return [
        ChainStep(f"{key} {number(value)}", everything, clip(positive(key, value)))
        for key, value, clip in (
            ("clip_by_value", by_value, optax.clip),
            ("clip_by_global_norm", by_global_norm, optax.clip_by_global_norm),
            ("adaptive_clip", adaptive, optax.adaptive_grad_clip),
        )
        if value is not None
    ]


def l2_penalty(strength: float, decayed: Mask) -> list[ChainStep]:
    """L2 penalty on the parameters of a mask, or nothing.

    It comes after clipping, which is of the gradient of the loss alone.
    """
    if not given(strength):
        return []
    penalty = optax.add_decayed_weights(positive("l2", strength), decayed)
    return [ChainStep(f"l2 penalty {number(strength)}", decayed, penalty)]


def optimizer(
    name: str,
    schedule: optax.Schedule | None,
    rate: Any,
    weight_decay: float,
    decayed: Mask,
    arguments: Mapping[str, Any],
) -> list[ChainStep]:
    """Optimizer and weight decay.

    Args:
      name: Name of the optimizer in `optim.optimizers`.
      schedule: Learning rate schedule, or None where the optimizer chooses the rate.
      rate: Learning rate that the optimizer is given: a number, a schedule or None.
      weight_decay: λ of decoupled weight decay.
      decayed: Mask of the parameters that decay.
      arguments: Further arguments of the optimizer.
    """
    keywords = dict(arguments) if rate is None else {**arguments, "learning_rate": rate}
    maker = getattr(optimizers, name, None)
    has_decay = maker and "weight_decay" in inspect.signature(maker).parameters
    if has_decay:
        # Optax has another default for each optimizer; here nothing decays by default.
        keywords["weight_decay"] = 0.0
    build = functools.partial(make, optimizers, {"name": name}, **keywords)
    options = ", ".join(
        f"{key}={number(value) if is_traced(value) else value}"
        for key, value in arguments.items()
    )
    text = f"{name} ({options})" if options else name
    if not given(weight_decay):
        return [ChainStep(text, everything, build())]
    decay = positive("weight_decay", weight_decay)
    described = ChainStep(f"weight_decay {number(decay)}", decayed)
    if name in DECAY_MASK:
        own = build(weight_decay=decay, **{DECAY_MASK[name]: decayed})
        return [ChainStep(text, everything, own), described]
    if name in DECAY_WITHOUT_MASK:
        own = masked_decay(build(weight_decay=decay), build(), decayed)
        return [ChainStep(text, everything, own), described]
    separate = described._replace(transformation=_decay(schedule, decay, decayed))
    return [ChainStep(text, everything, build()), separate]


def multipliers(learning_rates: Mapping[str, float]) -> list[ChainStep]:
    """Learning rate multipliers of parameters, by pattern."""
    parts = []
    for pattern, factor in learning_rates.items():
        if not is_traced(factor) and not 0 <= factor < math.inf:
            raise UserError(
                f"learning_rates[{pattern!r}]={factor}: expected a finite number of at "
                "least 0"
            )
        touched = matching(pattern, "learning_rates")
        scaled = optax.masked(optax.scale(float(factor)), touched)
        parts.append(
            ChainStep(f"learning rate x {number(factor)}: {pattern}", touched, scaled)
        )
    return parts


def after(limit: float | None, average_text: str) -> list[ChainStep]:
    """Max-norm projection of updates, and the description of the average.

    Args:
      limit: Maximum norm of the incoming weights of a unit, or None.
      average_text: Description of the average of the variables; empty if there is none.
    """
    parts = []
    if limit is not None:
        parts.append(ChainStep(f"max_norm {number(limit)}", _matrices, max_norm(limit)))
    if average_text:  # The training state computes it.
        parts.append(ChainStep(average_text))
    return parts


def average(
    ema: float | None, swa: Steps | None, every: Steps, total: int
) -> tuple[Average | None, str]:
    """Average of the variables and its description; None and empty if there is none.

    Args:
      ema: Decay of the exponential moving average, or None.
      swa: First step of stochastic weight averaging, or None.
      every: Number of steps between two sets of weights in that average.
      total: Number of steps of the run.
    """
    if ema is not None and swa is not None:
        raise UserError(f"ema={ema} and swa={swa}: expected one average of the weights")
    if ema is not None:
        return exponential_average(ema), f"moving average, decay {ema:g}"
    if swa is None:
        return None, ""
    start, period = steps(swa, total, "swa", 1), steps(every, total, "swa_every", 1)
    if start > total:
        raise UserError(f"swa={start}: expected at most num_steps={total}")
    text = f"mean of the weights after step {start} and every {period} more"
    return stochastic_average(start, period), text


def exempt(patterns: str | Iterable[str] | None) -> Mask:
    """Mask of the parameters that decay: all except those that match the patterns.

    Without patterns, it is `masks.weights`.
    """
    if patterns is None:
        return weights
    return others(matching(patterns, "decay_exempt"))


def positive(key: str, value: float) -> float:
    """Positive, finite value, unchanged; of a traced one nothing is known.

    Args:
      key: Name of the option, for the error message.
      value: Value of the option.

    Raises:
      UserError: The value is not positive, or infinite.
    """
    if not is_traced(value) and not 0 < value < math.inf:
        raise UserError(f"{key}={value}: expected a positive, finite number")
    return value


def is_traced(value: Any) -> bool:
    """True for a number whose value is not known yet; see `inject_hyperparameters`."""
    return isinstance(value, jax.core.Tracer)


def given(value: Any) -> bool:
    """True for an option that is in use: traced, or not zero, None or empty."""
    return is_traced(value) or bool(value)


def number(value: Any) -> str:
    """Text of a number, for `describe`."""
    return "traced" if is_traced(value) else f"{value:g}"


def _decay(
    schedule: optax.Schedule | None, weight_decay: float, decayed: Mask
) -> optax.GradientTransformation:
    """Decoupled weight decay, w ← w − ηλw, for optimizers that have none.

    Without a schedule, η is one.
    """
    # Updates have the sign of the optimizer already, so that decay is subtracted.
    if schedule is None:
        return optax.add_decayed_weights(-weight_decay, decayed)
    return optax.add_decayed_weights(
        lambda step: -weight_decay * schedule(step), decayed
    )


def _matrices(params):
    return jax.tree.map(lambda x: x.ndim > 1, params)

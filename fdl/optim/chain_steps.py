"""The links of a chain: what is done to gradients, and to which parameters."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from fdl.config import make
from fdl.errors import UserError
from fdl.optim import optimizers
from fdl.optim.masks import Mask, everything, matching, others, weights
from fdl.optim.schedules.step_counts import Steps, steps
from fdl.optim.transforms import averaging
from fdl.optim.transforms.freezing import freeze, frozen
from fdl.optim.transforms.max_norm import max_norm
from fdl.optim.transforms.sharpness_aware import sharpness_aware
from fdl.optim.transforms.skip_nonfinite import guard

# Optimizers whose own weight decay is used: how they call the mask of it.
DECAY_MASK = {
    "adamaxw": "mask",
    "adamw": "mask",
    "lamb": "mask",
    "lars": "weight_decay_mask",
    "lion": "mask",
    "nadamw": "mask",
    "schedule_free_adamw": "mask",
    "schedule_free_sgd": "mask",
}
NOISE_DECAY = 0.55  # γ of Neelakantan et al.

Wrapper = Callable[[optax.GradientTransformation], optax.GradientTransformation]


class ChainStep(NamedTuple):
    """One thing that a chain does.

    Attributes:
      text: What, in words.
      touches: Which parameters.
      transformation: The link itself; None for what another link does.
      wrapper: Makes one transformation of all links after this one, instead.
    """

    text: str
    touches: Mask = everything
    transformation: optax.GradientTransformation | None = None
    wrapper: Wrapper | None = None


def guards(
    patterns: str | Iterable[str],
    radius: float | None,
    skip_nonfinite: int,
    loss_scale: float | None,
) -> list[ChainStep]:
    """What encloses all else: frozen parameters, a second gradient, skipped steps."""
    links = []
    if patterns:
        out = frozen(patterns)
        links.append(ChainStep("frozen", out, wrapper=lambda inner: freeze(inner, out)))
    if radius is not None:
        links.append(
            ChainStep(
                f"sam within {radius:g}",
                wrapper=lambda inner: sharpness_aware(inner, radius),
            )
        )
    if skip_nonfinite or loss_scale is not None:
        text = f"skip up to {skip_nonfinite} steps in a row that are not finite"
        if loss_scale is not None:
            text = f"loss scale, {loss_scale:g} at first; {text}"

        def wrapper(inner):
            return guard(inner, skip_nonfinite=skip_nonfinite, loss_scale=loss_scale)

        links.append(ChainStep(text, wrapper=wrapper))
    return links


def before(
    noise: float | None,
    by_value: float | None,
    by_global_norm: float | None,
    adaptive: float | None,
    l2: float,
    decayed: Mask,
) -> list[ChainStep]:
    """What happens to gradients before the optimizer sees them."""
    links = []
    if noise is not None:
        noisy = optax.add_noise(positive("gradient_noise", noise), NOISE_DECAY, 0)
        links.append(ChainStep(f"gradient_noise {noise:g}", everything, noisy))
    for key, value, make_clip in (
        ("clip_by_value", by_value, optax.clip),
        ("clip_by_global_norm", by_global_norm, optax.clip_by_global_norm),
        ("adaptive_clip", adaptive, optax.adaptive_grad_clip),
    ):
        if value is not None:
            links.append(
                ChainStep(
                    f"{key} {value:g}", everything, make_clip(positive(key, value))
                )
            )
    if l2:
        penalty = optax.add_decayed_weights(positive("l2", l2), decayed)
        links.append(ChainStep(f"l2 penalty {l2:g}", decayed, penalty))
    return links


def optimizer(
    name: str,
    schedule: optax.Schedule | None,
    rate: Any,
    weight_decay: float,
    decayed: Mask,
    arguments: Mapping[str, Any],
) -> list[ChainStep]:
    """The optimizer itself, and the decay of weights."""
    given = dict(arguments) if rate is None else {**arguments, "learning_rate": rate}
    known = getattr(optimizers, name, None)
    own = "weight_decay" in inspect.signature(known).parameters if known else False
    if own:  # Optax's default is another for each.
        given["weight_decay"] = 0.0
    if weight_decay and name in DECAY_MASK:
        given |= {"weight_decay": weight_decay, DECAY_MASK[name]: decayed}
    told = ", ".join(f"{key}={value}" for key, value in arguments.items())
    text = f"{name} ({told})" if told else name
    links = [ChainStep(text, everything, make(optimizers, {"name": name}, **given))]
    if weight_decay:
        link = ChainStep(
            f"weight_decay {positive('weight_decay', weight_decay):g}", decayed
        )
        if name not in DECAY_MASK:
            link = link._replace(transformation=_decay(schedule, weight_decay, decayed))
        links.append(link)
    return links


def multipliers(learning_rates: Mapping[str, float]) -> list[ChainStep]:
    """Multiplies the updates of some parameters, by pattern."""
    links = []
    for pattern, factor in learning_rates.items():
        touched = matching(pattern, "learning_rates")
        scaled = optax.masked(optax.scale(float(factor)), touched)
        links.append(
            ChainStep(f"learning rate x {factor:g}: {pattern}", touched, scaled)
        )
    return links


def after(
    limit: float | None, ema: float | None, swa: Steps | None, every: Steps, total: int
) -> list[ChainStep]:
    """What happens to the updates last: projection, and averages of the weights."""
    links = []
    if limit is not None:
        links.append(ChainStep(f"max_norm {limit:g}", _matrices, max_norm(limit)))
    if ema is not None and swa is not None:
        raise UserError("ema and swa: the weights have one average, choose one of them")
    if ema is not None:
        average = averaging.exponential_average(ema)
        links.append(ChainStep(f"moving average, decay {ema:g}", everything, average))
    if swa is not None:
        start, period = steps(swa, total, "swa", 1), steps(every, total, "swa_every", 1)
        if start > total:
            raise UserError(f"swa={start} is after the last of {total} steps")
        average = averaging.stochastic_average(start, period)
        text = f"mean of the weights after step {start} and every {period} more"
        links.append(ChainStep(text, everything, average))
    return links


def exempt(patterns: str | Iterable[str] | None) -> Mask:
    """What decays: all but what the patterns say; by default the weights."""
    if patterns is None:
        return weights
    return others(matching(patterns, "decay_exempt"))


def positive(key: str, value: float) -> float:
    """The value, if it is positive; or else a `UserError`."""
    if not value > 0:
        raise UserError(f"{key}={value}: expected a positive number")
    return value


def _decay(
    schedule: optax.Schedule | None, weight_decay: float, decayed: Mask
) -> optax.GradientTransformation:
    """w ← w − ηλw beside the update, for optimizers that have no such thing."""
    if schedule is None:
        return optax.add_decayed_weights(-weight_decay, decayed)
    return optax.add_decayed_weights(
        lambda step: -weight_decay * schedule(step), decayed
    )


def _matrices(params):
    return jax.tree.map(lambda x: x.ndim > 1, params)

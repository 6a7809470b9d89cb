"""An optimizer from a config: one function puts the links together, in order."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import optax

from fdl.config import make
from fdl.errors import UserError, near
from fdl.optim import chain_steps, masks, optimizers, schedules
from fdl.optim.chain_steps import ChainStep
from fdl.optim.schedules.step_counts import Steps, steps
from fdl.optim.schedules.warmup import with_warmup
from fdl.optim.transforms.logging import watch
from fdl.types import Params

# Their steps are not what remains of an update: nothing may change it afterwards.
WHOLE = ("lbfgs", "schedule_free_adamw", "schedule_free_sgd")


class Chain(optax.GradientTransformationExtraArgs):
    """An optimizer that can say what it is made of; see `describe`."""

    links: Sequence[ChainStep] = ()


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
    """Makes an optimizer of what a config says.

    The links are put together in this order: the parameters that are frozen are taken
    away; the gradient is taken anew at the worst point near by (``sam``); steps that
    are not finite are skipped; noise is added; gradients are clipped, by value, by
    norm, adaptively; the gradient of a penalty is added; the optimizer makes updates
    of them; weights decay; some learning rates are multiplied; a plateau lowers all;
    norms are limited; an average is kept. Steps may be given as a share of the run, a
    float below one. Patterns are those of `masks.matching`.

    Args:
      name: Of the optimizer, one of `optim.optimizers`.
      learning_rate: The peak of the schedule. None leaves it to the optimizer.
      num_steps: Of the run.
      schedule: One of `optim.schedules`: its name, or ``name`` and arguments.
      warmup: Steps on a line from zero to the peak, before the schedule.
      clip_by_global_norm: The largest norm of all gradients together.
      clip_by_value: The largest absolute value of each.
      adaptive_clip: The largest norm of a unit's gradient, as a share of its weights'.
      gradient_noise: η of noise of variance η / (1 + t)^0.55; the same for all seeds.
      l2: λ of a penalty λ/2 ‖w‖², of which only the gradient is added: PyTorch's
        ``weight_decay`` of SGD and Adam.
      weight_decay: λ of w ← w − η λ w, beside what the optimizer does: PyTorch's
        AdamW. With lamb and lars it is inside of their trust ratio, as in the papers.
      decay_exempt: Patterns of what neither decays nor is penalised. Default: biases,
        the gains of norms, scalars. An empty tuple: nothing is exempt.
      learning_rates: Multipliers of the learning rate by pattern. Of several that
        match, all count.
      freeze: Patterns of what is not to be learnt.
      max_norm: The largest norm of the weights into a unit.
      ema: Decay of a moving average of the weights.
      swa: The first step of a mean of weights.
      swa_every: Steps from one to the next that it takes in.
      sam: The radius of sharpness-aware minimisation.
      skip_nonfinite: How many steps in a row may be skipped.
      loss_scale: The first scale of the loss, for float16; say 32768.
      **arguments: Of the optimizer.

    Raises:
      UserError: There is no such optimizer, schedule, argument or parameter (the last
        when the parameters are known), or options do not go together.

    Example:
      >>> optimizer = chain("adamw", 1e-2, num_steps=100, schedule="cosine")
      >>> state = optimizer.init({"kernel": jax.numpy.ones((2, 3))})
    """
    _check_arguments(name, arguments)
    rates, constant, plateau = _rates(learning_rate, num_steps, schedule, warmup)
    later = {"learning_rates": learning_rates, "max_norm": max_norm}
    later |= {"schedule plateau": plateau}
    _check_together(name, constant, later, {"weight_decay": weight_decay, "l2": l2})
    decayed = chain_steps.exempt(decay_exempt)
    rate = learning_rate if constant else rates
    made = [
        *chain_steps.guards(freeze, sam, skip_nonfinite, loss_scale),
        ChainStep("", transformation=watch(rates)),
        *chain_steps.before(
            gradient_noise,
            clip_by_value,
            clip_by_global_norm,
            adaptive_clip,
            l2,
            decayed,
        ),
        *chain_steps.optimizer(name, rates, rate, weight_decay, decayed, arguments),
        *(
            []
            if rates is None
            else [ChainStep(_told(rates, schedule, warmup, num_steps))]
        ),
        *chain_steps.multipliers(learning_rates or {}),
        *plateau,
        *chain_steps.after(max_norm, ema, swa, swa_every, num_steps),
    ]
    if freeze:  # What is frozen is touched by no other link.
        rest = masks.others(made[0].touches)
        made[1:] = [x._replace(touches=masks.both(x.touches, rest)) for x in made[1:]]
    return _put_together(made)


def describe(optimizer: Chain, params: Params) -> list[tuple[str, str]]:
    """What each link of a chain is, and what it touches, in order.

    Args:
      optimizer: From `chain`.
      params: The parameters, or their shapes.

    Example:
      >>> params = {"kernel": jax.numpy.ones((2, 3)), "bias": jax.numpy.ones(3)}
      >>> describe(chain("adamw", weight_decay=0.1, num_steps=10), params)[1]
      ('weight_decay 0.1', '6 of 9 parameters')
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    rows = []
    for link in optimizer.links:
        chosen = jax.tree.leaves(link.touches(params))
        touched = sum(n for n, yes in zip(sizes, chosen, strict=True) if yes)
        of = "all" if touched == sum(sizes) else f"{touched:,} of {sum(sizes):,}"
        if link.text:
            rows.append((link.text, f"{of} parameters"))
    return rows


def _check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Says of an argument that nobody takes what was meant, of all that there are."""
    own = inspect.signature(getattr(optimizers, name, chain)).parameters
    for key in arguments:
        if key not in own:
            known = {*inspect.signature(chain).parameters, *own} - {"arguments"}
            raise UserError(
                f"neither chain nor {name} takes {key!r}. {near(key, known)}"
            )


def _check_together(
    name: str, constant: bool, later: Mapping[str, Any], decay: Mapping[str, Any]
) -> None:
    """Says what an optimizer cannot have before or after it, or as its rate."""
    refused = {**(later if name in WHOLE else {}), **(decay if name == "lbfgs" else {})}
    for key, value in refused.items():
        if value:
            raise UserError(f"{key} does not go with {name}")
    if name == "rprop" and not constant:  # It begins with the rate, and finds others.
        raise UserError(
            "rprop finds its steps itself: no schedule or warmup goes with it"
        )


def _rates(peak, num_steps: int, spec: Any, warmup: Steps):
    """The schedule, whether it is constant, and a link if there is a plateau."""
    spec = {"name": spec} if isinstance(spec, str) else dict(spec)
    if peak is None:
        if spec != {"name": "constant"} or warmup:
            raise UserError("learning_rate=None: there is nothing to schedule")
        return None, True, []
    chain_steps.positive("learning_rate", peak)
    first = steps(warmup, num_steps, "warmup")
    if first and first >= num_steps:
        raise UserError(f"warmup={first}: expected less than num_steps={num_steps}")
    plateau = []
    if spec.get("name") == "plateau":
        text = ", ".join(f"{k}={v}" for k, v in spec.items() if k != "name")
        plateau = [ChainStep(f"plateau ({text})", transformation=make(schedules, spec))]
        spec = {"name": "constant"}
    rates = make(schedules, spec, peak=peak, num_steps=num_steps - first)
    constant = spec["name"] == "constant" and not first
    return with_warmup(rates, peak, first), constant, plateau


def _told(rates, schedule: Any, warmup: Steps, num_steps: int) -> str:
    """The learning rate in words: at first, in the middle, and at last."""
    spec = {"name": schedule} if isinstance(schedule, str) else dict(schedule)
    options = [f"{key}={value}" for key, value in spec.items() if key != "name"]
    options += [f"warmup={warmup}"] if warmup else []
    values = [float(rates(step)) for step in sorted({0, num_steps // 2, num_steps - 1})]
    shape = spec["name"] + (f" ({', '.join(options)})" if options else "")
    values = values if len(set(values)) > 1 else values[:1]
    return f"learning rate {shape}: {', '.join(f'{value:.3g}' for value in values)}"


def _put_together(made: list[ChainStep]) -> Chain:
    """One transformation of all links."""
    parts = [link.transformation for link in made if link.transformation is not None]
    whole: optax.GradientTransformation = optax.chain(*parts)
    for link in reversed(made):
        if link.wrapper is not None:
            whole = link.wrapper(whole)
    optimizer = Chain(*optax.with_extra_args_support(whole))
    optimizer.links = tuple(made)
    return optimizer

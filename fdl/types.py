"""The vocabulary: every component is a tuple of pure functions on pytrees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import optax

Array = jax.Array
Key = jax.Array  # A typed key, from `jax.random.key`.
PyTree = Any
State = PyTree  # What has to be remembered from one step to the next.
Batch = PyTree  # Arrays that share their leading axis, or None.
Params = PyTree
Variables = Mapping[str, PyTree]  # Flax's collections: {"params": ..., ...}.
INTERMEDIATES = "intermediates"  # That of what is computed on the way, if asked for.


class Metric(Protocol):
    """A named tuple of sums: two of them merge by adding their leaves."""

    def compute(self) -> Array:
        """What the sums say, a float scalar."""
        ...


Metrics = Mapping[str, Metric]


class Mean(NamedTuple):
    """A weighted mean as two sums, so that merging it is exact.

    Attributes:
      total: Sum of the weighted values, float [].
      weight: Sum of the weights, float [].

    Example:
      >>> parts = [Mean(6.0, 2.0), Mean(3.0, 1.0)]
      >>> jax.tree.map(lambda *x: sum(x), *parts).compute()
      3.0
    """

    total: Array
    weight: Array

    def compute(self) -> Array:
        """The mean; NaN where nothing was counted."""
        return self.total / self.weight


class Model(NamedTuple):
    """A network: ``init(key) -> variables``, and ``apply``.

    ``apply(variables, *inputs, key=None, train=False) -> (outputs, model_state)``,
    where ``model_state`` holds all collections but ``params``. An empty collection
    ``intermediates`` among the variables may come back filled.
    """

    init: Callable[[Key], Variables]
    apply: Callable[..., tuple[Any, PyTree]]


class Objective(Protocol):
    """What to minimise: ``-> (loss, (model_state, metrics))``."""

    def __call__(
        self,
        variables: Variables,
        batch: Batch,
        key: Key | None = None,
        *,
        train: bool = False,
    ) -> tuple[Array, tuple[PyTree, Metrics]]:
        """The loss of a batch, float [], the new model state and the metrics."""
        ...


Step = Callable[[State, Batch], tuple[State, Metrics]]


class Learner(NamedTuple):
    """Anything that learns: ``init(key) -> state``, ``step(state, batch) -> ...``.

    Attributes:
      init: Makes the first state of a key. The state has a field ``step``.
      step: Returns the next state and the metrics of this step.
      partition: How the state lies on a mesh: a `PartitionSpec`, or a tree of them
        that is a prefix of the state. Default: a copy on every device.
      objective: What a step minimises, where that is one function of the parameters
        and the batch, and the state a `TrainState`.
      optimizer: What makes updates of its gradients.
    """

    init: Callable[[Key], State]
    step: Step
    partition: PyTree = jax.sharding.PartitionSpec()
    objective: Objective | None = None
    optimizer: optax.GradientTransformation | None = None


class TrainState(NamedTuple):
    """The state of learning by gradients."""

    step: Array
    key: Key
    params: Params
    model_state: PyTree
    opt_state: optax.OptState

    @property
    def variables(self) -> Variables:
        """What `Model.apply` takes."""
        return {"params": self.params, **self.model_state}


def _item_itself(data: PyTree, item: PyTree) -> Batch:
    del data
    return item


def _itself(x: Any) -> Any:
    return x


class Batches(NamedTuple):
    """All batches of a run, as a pure function of the step.

    The batch of step ``n`` is ``take(data, item)`` of the ``n``-th item. Where the
    data fits on the device, ``data`` is there and an item is a few indices, so that
    many steps run in one call; elsewhere an item is the batch itself.

    Attributes:
      stream: All items from a step on, made on the host.
      take: Makes a batch of an item, on the device; traced into the step.
      data: What all items are taken from, arrays; constant over the run.
      unit: What a step consumes, for the log: examples or environment steps.
      per_step: How many of them it consumes.
      steps_per_epoch: Steps that visit each example once, if there is such a thing.
      batch_axis: The axis of an item along which its examples lie.
      fingerprint: Identifies the data; a run is not resumed on another.
    """

    stream: Callable[[int], Iterator[PyTree]]
    take: Callable[[PyTree, PyTree], Batch] = _item_itself
    data: PyTree = None
    unit: str = "examples"
    per_step: int = 0
    steps_per_epoch: int | None = None
    batch_axis: int = 0
    fingerprint: str = ""


class Predictor(NamedTuple):
    """How a trained model answers, about the examples of the test and about new ones.

    Attributes:
      predict: ``predict(state, batch) -> answers``, arrays [B, ...] by name; traced.
      objective: Says of a batch how good the answers are; that of the evaluation.
      test: The batches of the evaluation. New examples take the place of its data: so
        whatever is done to those of the test, is done to them.
      inputs: Name of the array [N, ...] in the data that new examples have to give.
      encode: What has to be done to it before, on the host, where the data of the test
        is not as files have it (standardised, say).
      encode_rows: Makes inputs [N, F] of the rows of a CSV file, dicts of text by the
        names of its columns, where that is more than to read numbers; ``encode`` is
        not asked then.
      columns: Names of the columns that inputs [N, F] are made of; none if unknown.
      classes: Names of the classes; none if they are numbers.
    """

    predict: Callable[[State, Batch], Mapping[str, Array]]
    objective: Objective
    test: Batches
    inputs: str
    encode: Callable[[Any], Any] = _itself
    encode_rows: Callable[[Sequence[Mapping[str, Any]]], Any] | None = None
    columns: Sequence[str] = ()
    classes: Sequence[str] = ()


class Claim(NamedTuple):
    """What an experiment is to show: a number of the last evaluation, and its bounds.

    `fdl train` says of each whether it holds over the seeds.

    Attributes:
      text: In words.
      measure: ``measure(metrics)`` of one seed's evaluation, floats by name; a float.
      at_least: What it is at least, if it holds.
      at_most: What it is at most; of both bounds, one or two are needed.

    Example:
      >>> claim = Claim("a wins", lambda m: m["a/accuracy"] - m["b/accuracy"], 0.05)
      >>> claim.measure({"a/accuracy": 0.75, "b/accuracy": 0.5}) >= claim.at_least
      True
    """

    text: str
    measure: Callable[[Mapping[str, float]], float]
    at_least: float | None = None
    at_most: float | None = None


class Experiment(NamedTuple):
    """What `build(config)` of an experiment file returns.

    Attributes:
      learner: What learns.
      batches: What from.
      evaluate: How well: ``evaluate(state)`` of the learner's state, to floats.
      predictor: How to ask what was learnt, if it can be asked.
      claims: What is to be shown, if anything is.
    """

    learner: Learner
    batches: Batches
    evaluate: Callable[[State], Mapping[str, float]]
    predictor: Predictor | None = None
    claims: Sequence[Claim] = ()


class Timestep(NamedTuple):
    """What an environment answers to an action.

    ``observation`` is the one after the action, from before any reset. An episode
    that is ``terminated`` has no future; one that is ``truncated`` was only cut.
    """

    observation: Array
    reward: Array
    terminated: Array
    truncated: Array


class Env(NamedTuple):
    """An environment that does not reset itself.

    Attributes:
      reset: ``reset(key) -> (state, observation)``.
      step: ``step(state, action, key) -> (state, Timestep)``.
      action_size: How many actions there are, or numbers in a continuous one.
    """

    reset: Callable[[Key], tuple[State, Array]]
    step: Callable[[State, Array, Key], tuple[State, Timestep]]
    action_size: int

"""Interfaces of all components, as tuples of pure functions on pytrees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax

if TYPE_CHECKING:  # Research code takes a model with jax and flax alone.
    import optax

Array = jax.Array
Key = jax.Array  # A typed key, from `jax.random.key`.
PyTree = Any
State = PyTree  # Carried from one step to the next.
Batch = PyTree  # Arrays that share their leading axis, or None.
Params = PyTree
Variables = Mapping[str, PyTree]  # Flax's collections: {"params": ..., ...}.
INTERMEDIATES = "intermediates"  # Flax's collection of values stored by `sow`.


class Metric(Protocol):
    """Metric as a named tuple of sums, two of which merge by adding their leaves.

    Addition makes merging exact over batches, steps and devices of any sizes.
    """

    def compute(self) -> Array:
        """Value of the metric, float []."""
        ...


Metrics = Mapping[str, Metric]


class Mean(NamedTuple):
    """Weighted mean, kept as two sums so that merging is exact.

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
        """Mean, float []; NaN if the total weight is zero."""
        return self.total / self.weight


class Model(NamedTuple):
    """Neural network as a pair of pure functions.

    Attributes:
      init: ``init(key) -> variables``.
      apply: ``apply(variables, *inputs, key=None, train=False)``, to
        ``(outputs, model_state)``, where ``model_state`` holds all collections but
        ``params``. If the variables have a collection ``intermediates``, that of
        ``model_state`` holds the values that modules store.
    """

    init: Callable[[Key], Variables]
    apply: Callable[..., tuple[Any, PyTree]]


class Objective(Protocol):
    """Training loss of a model with metrics, ``-> (loss, (model_state, metrics))``.

    The form is that of a function for `jax.value_and_grad` with ``has_aux=True``.
    """

    def __call__(
        self,
        variables: Variables,
        batch: Batch,
        key: Key | None = None,
        *,
        train: bool = False,
    ) -> tuple[Array, tuple[PyTree, Metrics]]:
        """Loss of a batch, float [], with the new model state and the metrics.

        Args:
          variables: Variables of the model.
          batch: Batch of examples.
          key: Key of dropout, augmentation and the like; evaluation needs none.
          train: Whether it is a training step, rather than evaluation.
        """
        ...


Step = Callable[[State, Batch], tuple[State, Metrics]]


class Learner(NamedTuple):
    """Training algorithm as a pair of pure functions.

    Attributes:
      init: ``init(key) -> state``, the initial state, which has a field ``step``.
      step: ``step(state, batch) -> (state, metrics)``, a training step.
      partition: Sharding of the state over a mesh: a `PartitionSpec`, or a tree of them
        that is a prefix of the state. Default: replicated on all devices.
      objective: Objective that a step minimises, if it is a function of the parameters
        and the batch, and the state is a `TrainState`; otherwise None.
      optimizer: Optimizer of its gradients, or None.
    """

    init: Callable[[Key], State]
    step: Step
    partition: PyTree = jax.sharding.PartitionSpec()
    objective: Objective | None = None
    optimizer: "optax.GradientTransformation | None" = None


class TrainState(NamedTuple):
    """State of a gradient-based learner.

    Attributes:
      step: Number of steps taken, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      params: Trainable parameters.
      model_state: All other collections of variables, such as batch statistics.
      opt_state: State of the optimizer.
    """

    step: Array
    key: Key
    params: Params
    model_state: PyTree
    opt_state: "optax.OptState"

    @property
    def variables(self) -> Variables:
        """Variables of the model, as `Model.apply` takes them."""
        return {"params": self.params, **self.model_state}


def _item_as_batch(data: PyTree, item: PyTree) -> Batch:
    del data
    return item


def _identity(x: Any) -> Any:
    return x


class Batches(NamedTuple):
    """All batches of a run, as a pure function of the step.

    The batch of step ``n`` is ``take(data, item)`` of the ``n``-th item. If the data
    fits on the device, ``data`` is kept there and an item consists of indices, so that
    many steps run in one call; otherwise an item is the batch itself.

    Attributes:
      stream: ``stream(step)``, an iterator over the items from a step on, on the host.
      take: ``take(data, item) -> batch``, on the device; traced into the step.
      data: Arrays that all items are taken from; constant over the run.
      unit: Name of the unit that a step consumes, for the log: examples or environment
        steps.
      per_step: Number of these units that a step consumes.
      steps_per_epoch: Number of steps of a pass over the data; None if it is endless.
      batch_axis: Axis of an item along which its examples lie.
      fingerprint: Hash of the data; a run is not resumed on data of another.
    """

    stream: Callable[[int], Iterator[PyTree]]
    take: Callable[[PyTree, PyTree], Batch] = _item_as_batch
    data: PyTree = None
    unit: str = "examples"
    per_step: int = 0
    steps_per_epoch: int | None = None
    batch_axis: int = 0
    fingerprint: str = ""


class Predictor(NamedTuple):
    """Prediction of a trained model, for test examples and for new ones.

    Attributes:
      predict: ``predict(state, batch)``, to predictions [B, ...] by name; traced.
      objective: Objective of the evaluation, which measures the predictions.
      test: Batches of the evaluation. New examples take the place of its data, so that
        they are preprocessed in the same way.
      inputs: Name of the array [N, ...] in the data that new examples provide.
      encode: Preprocessing of that array on the host, if the test data is not as in
        files (standardised, say). Default: none.
      encode_rows: Function of the rows of a CSV file, dicts of text by column name, to
        inputs [N, F], if they are more than numbers; it takes the place of ``encode``.
      columns: Names of the columns of inputs [N, F]; empty if unknown.
      classes: Names of the classes; empty if they are numbered.
    """

    predict: Callable[[State, Batch], Mapping[str, Array]]
    objective: Objective
    test: Batches
    inputs: str
    encode: Callable[[Any], Any] = _identity
    encode_rows: Callable[[Sequence[Mapping[str, Any]]], Any] | None = None
    columns: Sequence[str] = ()
    classes: Sequence[str] = ()


class Claim(NamedTuple):
    """Claim of an experiment: bounds on a number of the last evaluation.

    `fdl train` tests each claim over the seeds of a run.

    Attributes:
      text: Claim in words.
      measure: ``measure(metrics)``, a float, of one seed's evaluation, floats by name.
      at_least: Lower bound, or None.
      at_most: Upper bound, or None; at least one of the bounds is needed.

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
    """Experiment, as returned by `build(config)` of an experiment file.

    Attributes:
      learner: Training algorithm.
      batches: Training batches.
      evaluate: ``evaluate(state)``, to floats by name, of the learner's state.
      predictor: Prediction for new examples, or None.
      claims: Claims to test after training.
    """

    learner: Learner
    batches: Batches
    evaluate: Callable[[State], Mapping[str, float]]
    predictor: Predictor | None = None
    claims: Sequence[Claim] = ()


class Timestep(NamedTuple):
    """Result of a step of an environment.

    Attributes:
      observation: Observation after the action, before any reset.
      reward: Reward, float [].
      terminated: True if a terminal state was reached, bool []; its value is zero.
      truncated: True if the episode was cut off, by a time limit say, bool [].
    """

    observation: Array
    reward: Array
    terminated: Array
    truncated: Array


class Env(NamedTuple):
    """Environment without automatic resets, as a pair of pure functions.

    Attributes:
      reset: ``reset(key) -> (state, observation)``.
      step: ``step(state, action, key) -> (state, Timestep)``.
      action_size: Number of discrete actions, or size of a continuous one.
    """

    reset: Callable[[Key], tuple[State, Array]]
    step: Callable[[State, Array, Key], tuple[State, Timestep]]
    action_size: int

"""Interfaces of all components, as tuples of pure functions on pytrees."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
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
NOTHING: Mapping[str, Any] = MappingProxyType({})


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
      apply: ``apply(variables, *inputs, key=None, train=False, method=None,
        mutable=(), **options) -> (outputs, model_state)``, where ``model_state`` holds
        all collections but ``params``; see `fdl.models.functional`.
      module: Flax module that the functions are made of; None if there is none.
    """

    init: Callable[[Key], Variables]
    apply: Callable[..., tuple[Any, PyTree]]
    module: Any = None


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
          key: Key of dropout, augmentation, sampled latents and the like.
          train: Whether it is a training step, rather than evaluation.
        """
        ...


Step = Callable[[State, Batch], tuple[State, Metrics]]


def variables_of(state: State) -> Variables:
    """Variables of a state that has a property ``variables``; else no parameters."""
    return getattr(state, "variables", {"params": {}})


class Learner(NamedTuple):
    """Training algorithm as a pair of pure functions.

    Attributes:
      init: ``init(key) -> state``, the initial state, any pytree of arrays.
      step: ``step(state, batch) -> (state, metrics)``, a training step.
      variables: ``variables(state)``, the variables of the model to evaluate, predict
        with and export: flax collections by name, below which several networks lie, as
        in ``{"params": {"actor": ..., "critic": ...}}``. Default: the property
        ``variables`` of the state, such as that of `TrainState`.
      partition: Sharding of the state over a mesh: a `PartitionSpec`, or a tree of them
        that is a prefix of the state. Default: replicated on all devices.
      objective: Objective that a step minimises, if it is a function of the variables
        and the batch; otherwise None.
      optimizer: Optimizer of its gradients, or None.
      persist: ``persist(state)``, the part of the state that a checkpoint holds.
        Default: all of it.
      revive: ``revive(part, key)``, the state of such a part; needed with ``persist``.
    """

    init: Callable[[Key], State]
    step: Step
    variables: Callable[[State], Variables] = variables_of
    partition: PyTree = jax.sharding.PartitionSpec()
    objective: Objective | None = None
    optimizer: "optax.GradientTransformation | None" = None
    persist: Callable[[State], PyTree] | None = None
    revive: Callable[[PyTree, Key], State] | None = None


class AverageState(NamedTuple):
    """Running average of the variables of a model.

    Attributes:
      num_updates: Number of updates, int32 [].
      variables: Averaged ``params`` and ``batch_stats``, in float32 or wider.
    """

    num_updates: Array
    variables: Variables


class TrainState(NamedTuple):
    """State of a gradient-based learner.

    Attributes:
      step: Number of steps taken, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      params: Trainable parameters.
      model_state: All other collections of variables, such as batch statistics.
      opt_state: State of the optimizer; of several optimizers, by the path of the
        parameters that each updates.
      average: Running average of parameters and batch statistics, or None.
    """

    step: Array
    key: Key
    params: Params
    model_state: PyTree
    opt_state: "optax.OptState"
    average: AverageState | None = None

    @property
    def train_variables(self) -> Variables:
        """Variables of the model at this step, which a training step updates."""
        return {"params": self.params, **self.model_state}

    @property
    def variables(self) -> Variables:
        """Variables of the model to evaluate: averages, where the state has them."""
        current = self.train_variables
        if self.average is None:
            return current
        averaged = {
            name: jax.tree.map(lambda a, x: a.astype(x.dtype), tree, current[name])
            for name, tree in self.average.variables.items()
        }
        return {**current, **averaged}


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


class Ability(NamedTuple):
    """Ability of a trained model, as a pure function: ``predict``, say.

    Attributes:
      function: ``function(variables, inputs, key)``, to arrays [B, ...] by name. Inputs
        are encoded arrays [B, ...] by name; they are preprocessed inside.
      inputs: Preprocessing of its inputs, a `fdl.data.Preprocessing`; None if it needs
        no inputs.
      outputs: Names of the elements of each output, by the name of the output: those of
        classes, say; empty where they are numbered.
      spec: Name and arguments of the function of `fdl.evaluation` that makes it of a
        model and a preprocessing, for export; None if there is none.
    """

    function: Callable[[Variables, Mapping[str, Array], Key], Mapping[str, Array]]
    inputs: Any = None
    outputs: Mapping[str, Sequence[str]] = NOTHING
    spec: Mapping[str, Any] | None = None


class Examples(NamedTuple):
    """Labelled examples, to plot predictions and to compare models on.

    Attributes:
      batches: Batches of one epoch, encoded but not preprocessed, not shuffled.
      objective: Objective whose metrics score a preprocessed batch.
      preprocess: ``preprocess(batch) -> batch``, on the device. Default: none.
    """

    batches: Batches
    objective: Objective
    preprocess: Callable[[Batch], Batch] = _identity


class Claim(NamedTuple):
    """Claim of an experiment: bounds on a number of the test, or of the validation.

    `fdl train` tests each claim over the seeds of a run.

    Attributes:
      text: Claim in words.
      measure: ``measure(metrics)``, a float, of one seed's metrics, floats by name.
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


Evaluate = Callable[[Variables], Mapping[str, float]]  # Metrics by name.


class Experiment(NamedTuple):
    """Experiment, as returned by `build(config)` of an experiment file.

    Attributes:
      learner: Training algorithm.
      batches: Training batches.
      evaluate: ``evaluate(variables)``, the metrics of the validation: for the best
        checkpoint, early stopping and the choice of hyperparameters.
      test: ``test(variables)``, the metrics of the test, measured once at the end.
        Default: none; then results and claims are of the validation.
      model: Model that is trained, to export it; None if there is not just one.
      abilities: What the trained model can be asked for, by name.
      examples: Test examples, for plots and comparisons; None if there are none.
      claims: Claims to test after training.
      samples: ``samples(variables)``, text that the model generates, to be read at each
        evaluation; None if there is none. It is drawn from the same key each time.
      weights: Digests of the weights that training begins from, by the names of their
        files, such as ``digests`` of `fdl.models.from_source`; a run is not resumed
        from others.
      signatures: How metrics are computed, by their names: what is to be cited with
        them, such as the signatures of BLEU and chrF. It is shown with the results.
      player: Policy with its environment, a `fdl.rl.Player`, for ``fdl play``; None if
        nothing is played.
    """

    learner: Learner
    batches: Batches
    evaluate: Evaluate
    test: Evaluate | None = None
    model: Model | None = None
    abilities: Mapping[str, Ability] = NOTHING
    examples: Examples | None = None
    claims: Sequence[Claim] = ()
    samples: Callable[[Variables], str] | None = None
    weights: Mapping[str, str] = NOTHING
    signatures: Mapping[str, str] = NOTHING
    player: Any = None


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


class Spec(NamedTuple):
    """Specification of an array: a space of observations or actions.

    `envs.box` and `envs.discrete` make one, and check it.

    Attributes:
      shape: Shape of one array, without a batch axis.
      dtype: Dtype.
      minimum: Lower bounds, inclusive, float [*shape]; minus infinity for none.
      maximum: Upper bounds, inclusive, float [*shape]; infinity for none.
      num_values: Number of values, 0, 1, ..., of a discrete number, or of each element
        of a discrete vector; None if it is continuous.
    """

    shape: tuple[int, ...]
    dtype: Any
    minimum: Any
    maximum: Any
    num_values: int | tuple[int, ...] | None = None


class Env(NamedTuple):
    """Environment without automatic resets, as a pair of pure functions.

    Attributes:
      reset: ``reset(key) -> (state, observation)``.
      step: ``step(state, action, key) -> (state, Timestep)``.
      observation: Specification of an observation.
      action: Specification of an action. An environment is stepped with actions of this
        shape and dtype, within its bounds; what others do is not specified.
      name: Name, such as "CartPole-v1", by which it is drawn; empty if it has none.
    """

    reset: Callable[[Key], tuple[State, Array]]
    step: Callable[[State, Array, Key], tuple[State, Timestep]]
    observation: Spec
    action: Spec
    name: str = ""

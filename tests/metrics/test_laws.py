"""The laws that every metric obeys. A new metric joins by a line in METRICS."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import fdl
from fdl import data, metrics, models, train
from fdl.metrics.t_interval import range_of
from fdl.runs.checkpoint import Checkpoints
from fdl.train.loop_state import LoopState

PROGRAMS = 250

RANDOM = np.random.default_rng(0)
SIZE = 32
CLASSES = (
    RANDOM.normal(size=(SIZE, 3)).astype(np.float32),
    RANDOM.integers(3, size=SIZE).astype(np.int32),
)
TWO = CLASSES[0][:, 0], (CLASSES[1] > 0).astype(np.int32)
SEVERAL = CLASSES[0], RANDOM.integers(2, size=(SIZE, 3)).astype(np.int32)
SEQUENCES = (
    RANDOM.normal(size=(SIZE, 2, 3)).astype(np.float32),
    RANDOM.integers(3, size=(SIZE, 2)).astype(np.int32),
)
NUMBERS = CLASSES[0], RANDOM.normal(size=(SIZE, 3)).astype(np.float32)


def mean(values, labels, mask=None):
    return metrics.mean(jnp.where(labels > 0, values, 2), mask)


def label_error_rate(values, labels, mask=None):
    # Its predictions are integers, which no NaN can spoil: mean does that.
    broken = metrics.mean(jnp.where(jnp.isfinite(values), 0, jnp.nan), mask).compute()
    found = metrics.label_error_rate(values.argmax(axis=-1), labels, mask)
    return found._replace(total=found.total + jnp.where(found.weight > 0, broken, 0))


METRICS = {
    "accuracy": (metrics.accuracy, CLASSES),
    "average_precision": (metrics.average_precision, CLASSES),
    "balanced_accuracy": (metrics.balanced_accuracy, CLASSES),
    "bits_per": (metrics.bits_per(np.array([1, 2, 3])), CLASSES),
    "brier_score": (metrics.brier_score, CLASSES),
    "calibration_error": (metrics.calibration_error, CLASSES),
    "cohen_kappa": (metrics.cohen_kappa, CLASSES),
    "cohen_kappa of order": (
        functools.partial(metrics.cohen_kappa, weights="quadratic"),
        CLASSES,
    ),
    "confusion_matrix": (metrics.confusion_matrix, CLASSES),
    "exact_match": (metrics.exact_match, SEQUENCES),
    "explained_variance": (metrics.explained_variance, NUMBERS),
    "f1": (metrics.f1, CLASSES),
    "f1 of several labels": (metrics.f1, SEVERAL),
    "f1 of one logit": (functools.partial(metrics.f1, average="binary"), TWO),
    "f1 of what is seen": (
        functools.partial(metrics.f1, only_seen=True, zero_division=jnp.nan),
        CLASSES,
    ),
    "f_beta": (
        functools.partial(
            metrics.f_beta, beta=2, average="samples", zero_division=jnp.nan
        ),
        SEVERAL,
    ),
    "hamming_loss": (metrics.hamming_loss, SEVERAL),
    "label_error_rate": (label_error_rate, SEQUENCES),
    "log_loss": (metrics.log_loss, CLASSES),
    "matthews_correlation": (metrics.matthews_correlation, CLASSES),
    "mean": (mean, TWO),
    "mean_absolute_error": (metrics.mean_absolute_error, NUMBERS),
    "mean_absolute_percentage_error": (metrics.mean_absolute_percentage_error, NUMBERS),
    "mean_squared_error": (metrics.mean_squared_error, NUMBERS),
    "perplexity": (metrics.perplexity, CLASSES),
    "precision": (functools.partial(metrics.precision, average="weighted"), CLASSES),
    "r2": (functools.partial(metrics.r2, shift=0.1), NUMBERS),
    "recall": (functools.partial(metrics.recall, average="micro"), CLASSES),
    "roc_auc": (metrics.roc_auc, CLASSES),
    "roc_auc of one logit": (metrics.roc_auc, TWO),
    "root_mean_squared_error": (metrics.root_mean_squared_error, NUMBERS),
    "subset_accuracy": (metrics.subset_accuracy, SEVERAL),
    "top_k_accuracy": (functools.partial(metrics.top_k_accuracy, k=2), CLASSES),
}
DATA = {name: arrays for name, (_, arrays) in METRICS.items()}
PADDING = np.arange(SIZE) % 5 > 0
WEIGHTS = (np.arange(SIZE) % 7 / 4).astype(np.float32)


@jax.jit
def sums(data, mask=None):
    """Of all metrics: their programs differ by shapes alone, and compile together."""
    return {name: METRICS[name][0](*arrays, mask) for name, arrays in data.items()}


@jax.jit
def compute(found):
    return {name: metric.compute() for name, metric in found.items()}


def rows(start, stop):
    return jax.tree.map(lambda x: x[start:stop], DATA)


@jax.jit
def merge(*parts):
    return jax.tree.map(lambda *leaves: sum(leaves), *parts)


def close(actual, expected):
    chex.assert_trees_all_close(actual, expected, rtol=1e-5, atol=1e-6)


def assert_same(actual, expected):
    """What is computed is close, and so are the sums; those that count are equal."""
    close(actual, expected)
    close(compute(actual), compute(expected))
    chex.assert_trees_all_equal_dtypes(actual, expected)
    chex.assert_trees_all_equal(counts(actual), counts(expected))


def counts(found):
    return jax.tree.map(lambda x: x if x.dtype == jnp.int32 else None, found)


def test_every_metric_obeys_the_laws():
    named = {name.partition(" ")[0] for name in METRICS}
    of_texts = {"bleu", "character_error_rate", "chrf", "word_error_rate"}
    of_runs = {"interquartile_mean", "optimality_gap", "performance_profile"}
    of_runs |= {"probability_of_improvement", "stratified_interval"}
    modules = {"bootstrap", "exact", "paired_comparison", "replicate_comparison"}
    of_codes = {"code_perplexity", "codes_used"}
    others = modules | of_texts | of_runs | of_codes
    assert named | others == {*metrics.__all__} - {"CorpusScore"}


def test_uneven_batches_merge_to_the_whole():
    rest = (np.arange(SIZE) >= 8).astype(np.float32)
    assert_same(merge(sums(rows(0, 8)), sums(DATA, rest)), sums(DATA))
    weights = WEIGHTS * (1 - rest), WEIGHTS * rest
    parts = [sums(DATA, mask) for mask in weights]
    assert_same(merge(*parts), sums(DATA, WEIGHTS))


@pytest.mark.slow
@pytest.mark.parametrize("mask", [PADDING, WEIGHTS], ids=["padding", "weights"])
def test_a_scan_carries_unevenly_weighted_batches_to_the_whole(mask):
    batches = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), (DATA, mask))
    shapes = jax.eval_shape(sums, DATA, mask)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def step(carry, batch):
        return merge(carry, sums(*batch)), None

    carried, _ = jax.jit(lambda xs: jax.lax.scan(step, zeros, xs))(batches)
    assert_same(carried, sums(DATA, mask))


def test_a_batch_of_padding_alone_changes_nothing():
    whole = sums(DATA, WEIGHTS)
    nothing = sums(jax.tree.map(lambda x: np.full_like(x, 99), DATA), 0 * WEIGHTS)
    chex.assert_trees_all_equal(nothing, jax.tree.map(jnp.zeros_like, whole))
    chex.assert_trees_all_equal(compute(merge(whole, nothing)), compute(whole))


def test_weights_that_are_whole_count_as_repetitions():
    times = np.tile([0, 1, 2, 1], SIZE // 4)
    weighted = sums(DATA, times.astype(np.float32))
    repeated = sums(jax.tree.map(lambda x: x.repeat(times, axis=0), DATA))
    close(compute(weighted), compute(repeated))


@pytest.mark.parametrize("scale", [1e9, 1e-9])
def test_weights_count_relative_to_each_other(scale):
    # In all 5e10, beyond 2³²; or parts of one.
    close(
        compute(sums(DATA, WEIGHTS * np.float32(scale))), compute(sums(DATA, WEIGHTS))
    )


def test_billions_merge_to_the_same():
    many = whole = sums(DATA, PADDING.astype(np.float32))
    for _ in range(29):  # 26 examples become 1.4e10.
        many = merge(many, many)
    close(compute(many), compute(whole))


ROW = int(np.flatnonzero(TWO[1])[0])


def poisoned(value, argument=0):
    """The same data with a value in one example, in the first or second argument."""

    def poison(*arrays):
        arrays = [x.copy() for x in arrays]
        if np.issubdtype(arrays[argument].dtype, np.floating):
            arrays[argument][ROW] = value
        return tuple(arrays)

    return {name: poison(*arrays) for name, arrays in DATA.items()}


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_seen_and_may_be_masked(value, argument):
    data = poisoned(value, argument)
    found = compute(sums(data))
    for name, (_, arrays) in METRICS.items():
        changed = np.issubdtype(arrays[argument].dtype, np.floating)
        if changed and np.isnan(value):
            assert np.isnan(found[name]), name
        elif changed and (arrays is NUMBERS or arrays is CLASSES):
            assert not np.isfinite(found[name]), name
    mask = (np.arange(SIZE) != ROW).astype(np.float32)
    chex.assert_trees_all_equal(compute(sums(data, mask)), compute(sums(DATA, mask)))


def test_a_weight_that_is_no_number_is_seen():
    mask = np.where(np.arange(SIZE) == ROW, np.nan, WEIGHTS).astype(np.float32)
    for name, found in compute(sums(DATA, mask)).items():
        assert np.isnan(found), name


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_no_examples_have_no_value(metric):
    empty = np.zeros(0, np.float32), np.zeros(0, np.int32)
    assert np.isnan(getattr(metrics.exact, metric)(*empty))
    assert np.isnan(metrics.exact.median_absolute_error(*empty))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_diverged_altogether_is_seen(value):
    data = {
        name: (np.full_like(outputs, value), answers)
        for name, (outputs, answers) in DATA.items()
    }
    for name, found in compute(sums(data)).items():
        arrays = METRICS[name][1]
        if np.isnan(value) or arrays is NUMBERS or arrays is CLASSES:
            assert not np.isfinite(found), name


def test_values_lie_in_the_ranges_that_intervals_stay_in():
    for name, value in compute(sums(DATA)).items():
        name = name.partition(" ")[0]
        low, high = range_of(name)
        assert low <= value <= high
        assert name in ("mean", "confusion_matrix") or high < 3 or low >= 0


@pytest.mark.slow
def test_devices_that_share_a_batch_make_the_same_of_it():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    shared = NamedSharding(mesh, PartitionSpec("data"))
    actual = sums(*jax.device_put((DATA, PADDING), shared))
    assert_same(actual, sums(DATA, PADDING.astype(np.float32)))


@pytest.mark.slow
def test_many_seeds_are_computed_at_once():
    seeds = jnp.array([1.0, -1.0, 0.5])

    def of_seed(scale):
        return {name: (scale * x, labels) for name, (x, labels) in DATA.items()}

    together = jax.jit(jax.vmap(lambda scale: sums(of_seed(scale))))(seeds)
    alone = [compute(sums(of_seed(scale))) for scale in seeds]
    close(compute(together), jax.tree.map(lambda *x: jnp.stack(x), *alone))


def test_what_is_computed_is_one_float():
    for found in compute(sums(DATA)).values():
        chex.assert_shape(found, ())
        chex.assert_type(found, jnp.float32)
        assert np.isfinite(found)


SOURCE = {
    "features": RANDOM.normal(size=(50, 5)).astype(np.float32),
    "label": RANDOM.integers(3, size=50).astype(np.int32),
}
WATCHED = {  # One of each kind of sums.
    name: METRICS[name][0]
    for name in ("accuracy", "calibration_error", "confusion_matrix", "f1", "roc_auc")
}


@functools.cache
def learner_and_batches():
    model = models.functional(models.MLP((4,), 3), SOURCE["features"][:1])

    def objective(variables, batch, key=None, *, train=False):
        logits, model_state = model.apply(variables, batch["features"], train=train)
        given = logits, batch["label"], batch.get("mask")
        watched = {name: metric(*given) for name, metric in WATCHED.items()}
        loss = metrics.log_loss(*given)
        return loss.compute(), (model_state, {"loss": loss, **watched})

    learner = fdl.gradient_learner(model, objective, optax.sgd(0.1))
    return objective, learner, data.batches(SOURCE, 12)  # 50 is no multiple of 12.


def test_all_are_logged_as_numbers_while_training():
    _, learner, batches = learner_and_batches()
    rows = []
    train.run(
        learner,
        batches,
        num_steps=10,
        log_every=5,
        steps_per_call=5,
        log=lambda step, values: rows.append((step, values)),
    )
    assert [step for step, _ in rows] == [5, 10]
    for _, values in rows:
        assert set(values) >= {"loss", *WATCHED}
        chex.assert_shape(list(values.values()), ())


@pytest.mark.slow
def test_all_are_logged_for_each_seed():
    _, learner, batches = learner_and_batches()
    learner, batches = fdl.replicate([learner] * 2, [batches] * 2)
    program = train.compiled(learner, batches)
    carry = program.init(jax.vmap(jax.random.key)(jnp.arange(2)))
    carry, _ = train.iterate(program, carry, batches, 0, 3)
    found = compute(carry.metrics)
    chex.assert_shape(list(found.values()), (2,))


def test_all_are_saved_and_restored(tmp_path):
    finite = {name: jnp.zeros((), jnp.int32) for name in METRICS}
    found = LoopState(jnp.int32(3), jnp.zeros(2), sums(DATA), finite)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, found, None)
    checkpoints.wait()
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), found
    )
    _, restored = checkpoints.restore_latest(like, warn=pytest.fail)
    chex.assert_trees_all_equal(found, restored)
    chex.assert_trees_all_equal(compute(found.metrics), compute(restored.metrics))


def test_all_are_evaluated_over_a_data_set_of_uneven_batches():
    objective, learner, _ = learner_and_batches()
    variables = learner.variables(jax.jit(learner.init)(jax.random.key(0)))
    batches = data.batches(SOURCE, 12, shuffle=False)
    actual = fdl.on_dataset(objective, batches)(variables)
    _, (_, whole) = jax.jit(objective)(variables, SOURCE)
    close(actual, compute(whole))

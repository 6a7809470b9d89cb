"""The six laws that every learner obeys. A new learner joins by a line in LEARNERS.

All laws are tested on one learner of each constructor; on the others under ``slow``.
"""

import collections
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import data, envs, models, objectives, optim, rl, train
from fdl.distributions import categorical
from fdl.runs.checkpoint import Checkpoints

PROGRAMS = 1000

RANDOM = np.random.default_rng(0)
IMAGES = {
    "image": RANDOM.normal(size=(50, 4, 4, 1)).astype(np.float32),
    "label": RANDOM.integers(3, size=50).astype(np.int32),
}
FEATURES = {
    "features": RANDOM.normal(size=(50, 5)).astype(np.float32),
    "target": RANDOM.normal(size=50).astype(np.float32),
}


def gradient_learner(module, example, objective, source, seed):
    model = models.functional(module, example[:1])
    learner = fdl.gradient_learner(model, objective(model), optax.adam(1e-2))
    return learner, data.batches(source, 12, seed)  # 50 is no multiple of 12.


def classifier(seed):
    module = models.MLP((8,), 3, dropout=0.5)
    return gradient_learner(
        module, IMAGES["image"], objectives.classification, IMAGES, seed
    )


def convolutional_classifier(seed):
    module = models.CNN(features=(2,), hidden_sizes=(4,), num_outputs=3)
    return gradient_learner(
        module, IMAGES["image"], objectives.classification, IMAGES, seed
    )


def regressor(seed):
    module = models.MLP((8,), 1)
    return gradient_learner(
        module, FEATURES["features"], objectives.regression, FEATURES, seed
    )


def autoencoder(seed):
    module = models.Autoencoder((8,), code_size=2)
    return gradient_learner(
        module, IMAGES["image"], objectives.reconstruction, IMAGES, seed
    )


def with_all_steps(seed):
    module = models.MLP((8,), 3, dropout=0.5)
    model = models.functional(module, IMAGES["image"][:1])
    optimizer = optim.chain(
        "adamw",
        1e-2,
        num_steps=7,
        schedule="cosine",
        warmup=2,
        clip_by_global_norm=1.0,
        gradient_noise=1e-4,
        weight_decay=0.1,
        learning_rates={"head": 0.5},
        freeze="dense_0/bias",
        ema=0.9,
        skip_nonfinite=2,
        loss_scale=1024.0,
    )
    objective = optim.noisy_weights(objectives.classification(model), 0.01)
    learner = fdl.gradient_learner(model, objective, optimizer, num_microbatches=3)
    return learner, data.batches(IMAGES, 12, seed)


def schedule_free_and_sharpness_aware(seed):
    module = models.MLP((8,), 3, dropout=0.5)
    model = models.functional(module, IMAGES["image"][:1])
    optimizer = optim.chain("schedule_free_adamw", 1e-2, num_steps=7, sam=0.05)
    learner = fdl.gradient_learner(model, objectives.classification(model), optimizer)
    return learner, data.batches(IMAGES, 12, seed)


@functools.cache
def cartpole():
    return envs.gymnax("CartPole-v1")


def ppo(seed):
    del seed  # Experience follows from the key of the state.
    model = models.functional(models.ActorCritic(2, (8,)), jnp.zeros((1, 4)))
    learner = rl.on_policy(
        cartpole(),
        model,
        categorical(),
        objectives.ppo(model, categorical()),
        optax.adam(1e-2),
        num_envs=4,
        num_steps=8,
        num_epochs=2,
        num_minibatches=2,
        discount=0.99,
        lambda_=0.95,
    )
    return learner, data.no_data()


def compare_learners(seed):
    learners = {}
    for name, sizes in (("narrow", (4,)), ("wide", (8,))):
        module = models.MLP(sizes, 3, dropout=0.5)
        learners[name], batches = gradient_learner(
            module, IMAGES["image"], objectives.classification, IMAGES, seed
        )
    return fdl.compare_learners(learners), batches


def monte_carlo(seed):
    del seed  # What is measured follows from the key of the state.

    def measure(key):
        return {"loss": fdl.metrics.mean(jax.random.normal(key, (3,)))}

    return fdl.monte_carlo(measure), data.no_data()


def slow(make):
    return pytest.param(make, marks=pytest.mark.slow)


LEARNERS = [
    with_all_steps,
    compare_learners,
    monte_carlo,
    ppo,
    slow(classifier),
    slow(convolutional_classifier),
    slow(regressor),
    slow(autoencoder),
    slow(schedule_free_and_sharpness_aware),
]
every_learner = pytest.mark.parametrize("make", LEARNERS)
TRACES: collections.Counter = collections.Counter()  # Of the step of each program.


@functools.cache
def learner_of(make, seed=0):
    return make(seed)


@functools.cache
def program_of(make, seed=0, *, steps_per_call=1, num_devices=1):
    """One compilation serves all laws."""
    learner, batches = learner_of(make, seed)
    mesh = train.make_mesh({"data": num_devices}) if num_devices > 1 else None

    def step(state, batch):
        TRACES[make, seed, steps_per_call, num_devices] += 1
        return learner.step(state, batch)

    return train.compiled(
        learner._replace(step=step), batches, steps_per_call=steps_per_call, mesh=mesh
    )


def advance(make, num_steps, *, seed=0, start=0, loop_state=None, **how):
    program = program_of(make, seed, **how)
    if loop_state is None:
        loop_state = program.init(jax.random.key(seed))
    _, batches = learner_of(make, seed)
    return train.iterate(program, loop_state, batches, start, num_steps)[0]


trained = functools.cache(advance)  # To compare with; donated to nobody.


def numbers(tree):
    """A tree without its keys, which have no difference."""
    return jax.tree.map(
        lambda x: (
            jax.random.key_data(x)
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
            else x
        ),
        tree,
    )


@every_learner
def test_the_step_keeps_the_type_of_the_state_and_compiles_once(make):
    learner, batches = learner_of(make)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(learner.step, n=1))
    state = jax.jit(learner.init)(jax.random.key(0))
    items = batches.stream(0)
    for i in range(6):  # An epoch has five batches, the last of them incomplete.
        batch = batches.take(batches.data, next(items))
        after, metrics = step(state, batch)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
        chex.assert_tree_all_finite(metrics)
        chex.assert_shape([m.compute() for m in metrics.values()], ())
        assert after.step == i + 1
        state = after


@every_learner
@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_a_run_traces_the_step_once(make, steps_per_call):
    assert advance(make, 7, steps_per_call=steps_per_call).state.step == 7
    assert TRACES[make, 0, steps_per_call, 1] == 1


@every_learner
def test_resuming_equals_not_stopping_bit_for_bit(make, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, trained(make, 3), None)
    checkpoints.wait()
    like = program_of(make).abstract(jax.random.key(1))
    step, loop_state = checkpoints.restore_latest(like, warn=pytest.fail)
    assert step == 3
    resumed = advance(make, 7, start=3, loop_state=loop_state)
    chex.assert_trees_all_equal(numbers(trained(make, 7)), numbers(resumed))


@every_learner
@pytest.mark.usefixtures("optimized")  # Two programs are to give the same bits.
def test_fused_steps_equal_single_steps_bit_for_bit(make):
    learner, batches = learner_of(make)
    single, fused = (
        train.compiled(learner, batches, steps_per_call=steps) for steps in (1, 3)
    )
    ends = [
        train.iterate(program, program.init(jax.random.key(0)), batches, 0, 7)[0]
        for program in (single, fused)
    ]
    chex.assert_trees_all_equal(*map(numbers, ends))


@every_learner
def test_seeds_trained_at_once_equal_one_run_per_seed(make):
    alone = [trained(make, 5, seed=seed).state for seed in range(3)]
    learners, batches = zip(*(learner_of(make, seed) for seed in range(3)), strict=True)
    program = train.compiled(fdl.over_seeds(learners[0]), data.stack(batches))
    loop_state = program.init(jax.vmap(jax.random.key)(jnp.arange(3)))
    together, _ = train.iterate(program, loop_state, data.stack(batches), 0, 5)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *map(numbers, alone))
    chex.assert_trees_all_close(stacked, numbers(together.state), rtol=1e-4, atol=1e-5)


@every_learner
@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_a_mesh_of_devices_equals_one_device(make, steps_per_call):
    assert len(jax.devices()) == 4
    four = advance(make, 5, num_devices=4, steps_per_call=steps_per_call)
    one = trained(make, 5)
    chex.assert_trees_all_close(numbers(one), numbers(four), rtol=1e-4, atol=1e-5)


# Two laws at once: one learner is enough in short.
@pytest.mark.parametrize("make", [with_all_steps, *map(slow, (compare_learners, ppo))])
def test_seeds_on_a_mesh_equal_seeds_on_one_device(make):
    learners, batches = zip(*(learner_of(make, seed) for seed in range(2)), strict=True)
    learner, stacked = fdl.over_seeds(learners[0]), data.stack(batches)
    results = []
    for mesh in (None, train.make_mesh({"data": -1})):
        program = train.compiled(learner, stacked, mesh=mesh)
        loop_state = program.init(jax.vmap(jax.random.key)(jnp.arange(2)))
        results.append(train.iterate(program, loop_state, stacked, 0, 3)[0])
    one, four = map(numbers, results)
    chex.assert_trees_all_close(one, four, rtol=1e-4, atol=1e-5)


@every_learner
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(make):
    first, other = (trained(make, 3, seed=seed) for seed in (0, 1))
    chex.assert_trees_all_equal(numbers(first), numbers(advance(make, 3)))
    loss = next(name for name in first.metrics if name.endswith("loss"))
    assert first.metrics[loss].compute() != other.metrics[loss].compute()

"""The six laws that every learner obeys. A new learner joins by a line in LEARNERS."""

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
from fdl.types import Batches, Learner

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


def with_all_links(seed):
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
    arms = {}
    for name, sizes in (("narrow", (4,)), ("wide", (8,))):
        module = models.MLP(sizes, 3, dropout=0.5)
        arms[name], batches = gradient_learner(
            module, IMAGES["image"], objectives.classification, IMAGES, seed
        )
    return fdl.compare_learners(arms), batches


def monte_carlo(seed):
    del seed  # What is measured follows from the key of the state.

    def measure(key):
        return {"loss": fdl.metrics.mean(jax.random.normal(key, (3,)))}

    return fdl.monte_carlo(measure), data.no_data()


LEARNERS = [
    classifier,
    convolutional_classifier,
    regressor,
    autoencoder,
    with_all_links,
    schedule_free_and_sharpness_aware,
    compare_learners,
    monte_carlo,
    ppo,
]
every_learner = pytest.mark.parametrize("make", LEARNERS)


def advance(
    learner: Learner, batches: Batches, num_steps, *, key=0, start=0, carry=None, **how
):
    program = train.compiled(learner, batches, **how)
    if carry is None:
        carry = program.init(jax.random.key(key))
    return train.iterate(program, carry, batches, start, num_steps)[0]


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
    learner, batches = make(0)
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
    learner, batches = make(0)
    chex.clear_trace_counter()
    learner = learner._replace(step=chex.assert_max_traces(learner.step, n=1))
    carry = advance(learner, batches, 7, steps_per_call=steps_per_call)
    assert carry.state.step == 7


@every_learner
def test_resuming_equals_not_stopping_bit_for_bit(make, tmp_path):
    learner, batches = make(0)
    straight = advance(learner, batches, 7)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, advance(learner, batches, 3), None)
    checkpoints.wait()
    like = train.compiled(learner, batches).abstract(jax.random.key(1))
    step, carry = checkpoints.restore_latest(like, warn=pytest.fail)
    assert step == 3
    resumed = advance(learner, batches, 7, start=3, carry=carry)
    chex.assert_trees_all_equal(numbers(straight), numbers(resumed))


@every_learner
def test_fused_steps_equal_single_steps_bit_for_bit(make):
    learner, batches = make(0)
    single = advance(learner, batches, 7)
    fused = advance(learner, batches, 7, steps_per_call=3)
    chex.assert_trees_all_equal(numbers(single), numbers(fused))


@every_learner
def test_seeds_trained_at_once_equal_one_run_per_seed(make):
    alone = [advance(*make(seed), 5, key=seed).state for seed in range(3)]
    learners, batches = zip(*(make(seed) for seed in range(3)), strict=True)
    program = train.compiled(fdl.over_seeds(learners[0]), data.stack(batches))
    carry = program.init(jax.vmap(jax.random.key)(jnp.arange(3)))
    together, _ = train.iterate(program, carry, data.stack(batches), 0, 5)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *map(numbers, alone))
    chex.assert_trees_all_close(stacked, numbers(together.state), rtol=1e-4, atol=1e-5)


@every_learner
@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_a_mesh_of_devices_equals_one_device(make, steps_per_call):
    learner, batches = make(0)
    one = advance(learner, batches, 5)
    mesh = train.make_mesh({"data": -1})
    assert mesh.size == 4
    four = advance(learner, batches, 5, mesh=mesh, steps_per_call=steps_per_call)
    chex.assert_trees_all_close(numbers(one), numbers(four), rtol=1e-4, atol=1e-5)


@every_learner
def test_seeds_on_a_mesh_equal_seeds_on_one_device(make):
    learners, batches = zip(*(make(seed) for seed in range(2)), strict=True)
    learner, stacked = fdl.over_seeds(learners[0]), data.stack(batches)
    results = []
    for mesh in (None, train.make_mesh({"data": -1})):
        program = train.compiled(learner, stacked, mesh=mesh)
        carry = program.init(jax.vmap(jax.random.key)(jnp.arange(2)))
        results.append(train.iterate(program, carry, stacked, 0, 3)[0])
    one, four = map(numbers, results)
    chex.assert_trees_all_close(one, four, rtol=1e-4, atol=1e-5)


@every_learner
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(make):
    first, again, other = (advance(*make(s), 3, key=s) for s in (0, 0, 1))
    chex.assert_trees_all_equal(numbers(first), numbers(again))
    loss = next(name for name in first.metrics if name.endswith("loss"))
    assert first.metrics[loss].compute() != other.metrics[loss].compute()

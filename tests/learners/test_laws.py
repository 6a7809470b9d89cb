"""The six laws that every learner obeys. A new learner joins by a line in LEARNERS.

All laws are tested on one learner of gradients, one of its own experience, one that
learns nothing and one made by hand; on the others under ``slow``.
"""

import collections
import functools
from functools import partial
from typing import NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import data, envs, models, objectives, optim, rl, train
from fdl.distributions import categorical
from fdl.models.pretrained.variables import load_variables, save_variables
from fdl.runs.checkpoint import Checkpoints
from fdl.types import Learner

PROGRAMS = 1000

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
IMAGES = {
    "image": RANDOM.normal(size=(50, 4, 4, 1)).astype(np.float32),
    "label": RANDOM.integers(3, size=50).astype(np.int32),
}
BINARY = {"image": (IMAGES["image"] > 0).astype(np.float32)}
TEXTS = {"tokens": RANDOM.integers(7, size=(50, 6)).astype(np.int32)}
FEATURES = {
    "features": RANDOM.normal(size=(50, 5)).astype(np.float32),
    "target": RANDOM.normal(size=50).astype(np.float32),
}
PIXELS = {"image": RANDOM.integers(3, size=(50, 4, 4, 1)).astype(np.int32)}


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


def variational_autoencoder(seed):
    """Latents are drawn, and some of them have free nats."""
    module = models.VAE((8,), latent_size=2, input_shape=(4, 4, 1))
    objective = partial(objectives.variational, beta=2.0, free_nats=0.1)
    return gradient_learner(module, BINARY["image"], objective, BINARY, seed)


def importance_weighted_autoencoder(seed):
    module = models.VAE((8,), latent_size=2, input_shape=(4, 4, 1))
    objective = partial(objectives.importance_weighted, num_samples=3)
    return gradient_learner(module, BINARY["image"], objective, BINARY, seed)


def flow(seed):
    """Of dequantised values, and so with a key in training and in evaluation."""
    source = {"image": (np.abs(IMAGES["image"]) > 0.5).astype(np.float32)}
    module = models.LogitFlow(models.RealNVP(2, (8,)), input_shape=(4, 4, 1))
    objective = partial(objectives.density, levels=2)
    return gradient_learner(module, source["image"], objective, source, seed)


def gaussian_mixture(seed):
    module = models.GaussianMixture(3, (5,))
    objective = partial(objectives.density, inputs="features")
    return gradient_learner(module, FEATURES["features"], objective, FEATURES, seed)


def boltzmann_machine(seed):
    """Its Markov chains go on from step to step."""
    source = {"image": (IMAGES["image"] > 0).astype(np.float32)}
    module = models.RBM(6, (4, 4, 1), num_chains=8)
    objective = partial(objectives.contrastive_divergence, persistent=True)
    return gradient_learner(module, source["image"], objective, source, seed)


def pixelcnn(seed):
    module = models.PixelCNN(3, 4, 2, first_kernel_size=3, dropout=0.5)
    return gradient_learner(
        module, PIXELS["image"], objectives.pixel_likelihood, PIXELS, seed
    )


def vqvae(seed):
    """Moving averages of a codebook, whose dead codes begin again at random."""
    module = models.VQVAE((4,), num_codes=4, code_size=2, min_count=0.5)
    return gradient_learner(
        module, IMAGES["image"], objectives.vector_quantised, IMAGES, seed
    )


def codes_and_their_prior(seed):
    """Two networks: one learns codes, the other, in the same step, their prior."""
    codes = models.VQVAE((4,), num_codes=4, code_size=2, input_shape=(4, 4, 1))
    prior = models.PixelCNN(4, 4, 2, first_kernel_size=3, input_shape=(2, 2, 1))
    model = models.combine(
        codes=models.functional(codes), prior=models.functional(prior)
    )

    def of(name, module):
        def apply(variables, *inputs, **options):
            return model.apply(variables, name, *inputs, **options)

        return model._replace(apply=apply, module=module)

    likelihood = objectives.pixel_likelihood(of("prior", prior), inputs="codes")

    def of_codes(variables, batch, key=None, *, train=False):
        values, _ = model.apply(variables, "codes", batch["image"], method="encode")
        batch = {**batch, "codes": values[..., None]}
        return likelihood(variables, batch, key, train=train)

    optimizers = {name: optax.sgd(0.1) for name in ("codes", "prior")}
    quantised = objectives.vector_quantised(of("codes", codes))
    steps = {
        name: fdl.gradient_step(objective, optimizers[name], wrt=name)
        for name, objective in (("codes", quantised), ("prior", of_codes))
    }
    init = partial(fdl.init_train_state, model, optimizers)
    learner = Learner(init, fdl.learners.counted(fdl.learners.alternate(steps)))
    return learner, data.batches(IMAGES, 12, seed)


def denoising_autoencoder(seed):
    """The noise of a step is drawn from its key."""
    module = models.Autoencoder((8,), code_size=2)
    objective = partial(
        objectives.denoising_reconstruction, corrupt=data.augment.gaussian_noise(0.5)
    )
    return gradient_learner(module, IMAGES["image"], objective, IMAGES, seed)


def sparse_autoencoder(seed):
    module = models.Autoencoder((8,), code_size=6, code_activation=nn.sigmoid)
    objective = partial(objectives.sparse_reconstruction, strength=0.1, target=0.1)
    return gradient_learner(module, IMAGES["image"], objective, IMAGES, seed)


def contractive_autoencoder(seed):
    module = models.Autoencoder((8,), code_size=2, activation=nn.tanh)
    objective = partial(objectives.contractive_reconstruction, strength=0.1)
    return gradient_learner(module, IMAGES["image"], objective, IMAGES, seed)


def language_model(seed):
    module = models.GPT(1, 2, 4, vocab_size=7, max_length=6, dropout=0.5)
    objective = partial(objectives.language_modelling, pad_token=0, chunk_size=2)
    return gradient_learner(module, TEXTS["tokens"], objective, TEXTS, seed)


def masked_language_model(seed):
    module = models.BERTPretraining(1, 2, 4, vocab_size=7, max_length=6, pad_token=0)
    objective = partial(
        objectives.masked_language_modelling, mask_token=1, vocab_size=7, special=[0]
    )
    return gradient_learner(module, TEXTS["tokens"], objective, TEXTS, seed)


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


def plain_ppo(seed, **options):
    del seed  # Experience follows from the key of the state.
    model = models.functional(models.ActorCritic(2, (8,)), jnp.zeros((1, 4)))
    model = rl.normalize_observations(model, cartpole().observation)
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
        **options,
    )
    return learner, data.no_data()


def ppo(seed):
    """Statistics of rewards, and an exploration bonus that is learnt, too."""
    network = models.functional(models.MLP((), 2), jnp.zeros((1, 4)))
    bonus = rl.random_network_distillation(
        network, cartpole().observation, optax.adam(1e-2)
    )
    return plain_ppo(seed, normalize_rewards=True, bonus=bonus)


def reinforce(seed):
    del seed
    model = models.functional(models.ActorCritic(2, (8,)), jnp.zeros((1, 4)))
    learner = rl.episodic(
        cartpole(),
        model,
        categorical(),
        objectives.policy_gradient(model, categorical()),
        optax.adam(1e-2),
        num_episodes=4,
        max_steps=12,
        discount=0.99,
    )
    return learner, data.no_data()


def recurrent_ppo(seed):
    """Stops its updates where they diverge, too."""
    del seed
    module = models.RecurrentActorCritic(2, (8,), 4)
    model = models.functional(module)
    learner = rl.recurrent_on_policy(
        cartpole(),
        model,
        categorical(),
        objectives.ppo(rl.sequences(model), categorical(), value_clip=0.2),
        optax.adam(1e-2),
        zero_carry=module.zero_carry,
        num_envs=4,
        num_steps=8,
        num_epochs=2,
        num_minibatches=2,
        discount=0.99,
        lambda_=0.95,
        max_kl=0.01,
    )
    return learner, data.no_data()


def prioritized_dqn(seed):
    """Actions, a memory and its priorities, counts, and a copied target network."""
    del seed  # Experience follows from the key of the state.
    network = models.functional(models.QNetwork(2, (8,)), jnp.zeros((1, 4)))
    model = models.combine(online=network, target=network)
    updates = fdl.learners.target_network_learner(
        model,
        {"online": objectives.q_learning(model)},
        optax.adam(1e-2),
        policy="online",
        targets={"target": "online"},
        rate=1.0,
        periods={"target": 2},
    )
    learner = rl.off_policy(
        cartpole(),
        lambda num_steps: rl.epsilon_greedy(network, 0.5),
        updates,
        rl.prioritized_replay(16, discount=0.99, num_steps=2),
        num_envs=4,
        num_steps=2,
        num_updates=2,
        batch_size=4,
        learning_starts=1,
        priority=objectives.td_errors(model),
        bonus=rl.count_bonus(lambda x: (x[:, 1] > 0).astype(int), 2),
    )
    return learner, data.no_data()


def noisy_quantile_dqn(seed):
    """Quantiles of returns, and exploration by noise in the weights."""
    del seed
    module = models.QNetwork(2, (8,), num_atoms=3, noisy=True)
    network = models.functional(module, jnp.zeros((1, 4)))
    model = models.combine(online=network, target=network)
    model = models.with_copies(model, target="online")
    optimizer = optax.adam(1e-2)
    objective = objectives.q_learning(model, loss=fdl.losses.quantile_huber)
    steps = {
        "online": fdl.gradient_step(objective, optimizer, wrt="online"),
        "target": fdl.learners.target_update("online", "target", rate=0.1),
    }
    updates = Learner(
        partial(fdl.init_train_state, model, {"online": optimizer}),
        fdl.learners.counted(fdl.learners.alternate(steps)),
        lambda state: fdl.learners.select_variables(state.variables, "online"),
    )
    policy = rl.noisy(rl.map_outputs(network, lambda x: x.mean(axis=-1)))
    learner = rl.off_policy(
        cartpole(),
        lambda num_steps: policy,
        updates,
        rl.uniform_replay(16, discount=0.99),
        num_envs=4,
        num_steps=2,
        num_updates=2,
        batch_size=4,
        learning_starts=1,
    )
    return learner, data.no_data()


def pqn(seed):
    del seed
    module = models.QNetwork(2, (8,), norm=nn.LayerNorm)
    model = models.functional(module, jnp.zeros((1, 5)))
    learner = rl.parallel_q_learning(
        envs.one_hot_observations(walk()),
        model,
        lambda num_steps: rl.epsilon_greedy(model, 0.3),
        objectives.q_regression(model),
        optax.adam(1e-2),
        num_envs=4,
        num_steps=8,
        num_epochs=2,
        num_minibatches=2,
        discount=0.99,
        lambda_=0.65,
    )
    return learner, data.no_data()


def comparison(seed):
    """Two learners of one program, and another."""

    def make(learning_rate, width=4):
        model = models.functional(models.MLP((width,), 3, dropout=0.5), IMAGES["image"])
        objective = objectives.classification(model)
        return fdl.gradient_learner(model, objective, optax.adam(learning_rate))

    traced = fdl.inject_hyperparameters(make)
    learners = {
        "slow": traced(learning_rate=1e-3),
        "wide": make(1e-2, width=8),
        "fast": traced(learning_rate=1e-2),
    }
    return fdl.replicate(learners, data.batches(IMAGES, 12, seed))


def monte_carlo(seed):
    del seed  # What is measured follows from the key of the state.

    def measure(key):
        return {"loss": fdl.metrics.mean(jax.random.normal(key, (3,)))}

    return fdl.monte_carlo(measure), data.no_data()


def walk():
    return envs.from_mdp(envs.mdps.random_walk(3))


def tabular_control(seed):
    del seed  # Experience follows from the key of the state.
    rates = {"step_size": 0.1, "epsilon": 0.2, "discount": 0.9}
    sarsa = rl.tabular.sarsa
    return rl.tabular.td_control(walk(), sarsa, num_steps=8, **rates), data.no_data()


def tabular_prediction(seed):
    del seed
    rates = {"step_size": 0.1, "discount": 0.9, "lambda_": 0.5}
    policy = np.full((5, 2), 0.5)
    return rl.tabular.td_prediction(
        walk(), policy, num_steps=8, **rates
    ), data.no_data()


def tabular_monte_carlo(seed):
    del seed
    learner = rl.tabular.monte_carlo_control(
        walk(), epsilon=0.2, discount=0.9, max_steps=9
    )
    return learner, data.no_data()


def gan(seed):
    """Two players in one state: each step trains one of them."""
    generator = models.MLP((8,), 4, norm=nn.BatchNorm)
    model = models.combine(
        generator=models.functional(generator, jnp.zeros((1, 2))),
        discriminator=models.functional(models.MLP((8,), 1), jnp.zeros((1, 4))),
    )

    def cross_entropy(variables, inputs, label):
        logits, _ = model.apply(variables, "discriminator", inputs)
        labels = jnp.full_like(logits, label)
        return fdl.losses.binary_cross_entropy(logits, labels).mean()

    def objective(variables, batch, key=None, *, train=False, player="generator"):
        noise = jax.random.normal(key, (len(batch["x"]), 2))
        fakes, state = model.apply(variables, "generator", noise, train=train)
        loss = cross_entropy(variables, fakes, float(player == "generator"))
        if player == "discriminator":
            loss += cross_entropy(variables, batch["x"], 1.0)
        return loss, (state, {"loss": loss})

    # SGD: the bias before batch norm has a gradient of rounding, which Adam scales up.
    optimizers = {name: optax.sgd(0.1) for name in ("discriminator", "generator")}
    steps = {
        name: fdl.gradient_step(partial(objective, player=name), optimizer, wrt=name)
        for name, optimizer in optimizers.items()
    }
    init = partial(fdl.learners.init_train_state, model, optimizers)
    learner = Learner(init, fdl.learners.counted(fdl.learners.alternate(steps)))
    points = {"x": IMAGES["image"].reshape(50, -1)[:, :4]}
    return learner, data.batches(points, 12, seed)


def actor_critic_with_a_target(seed):
    """Deterministic policy gradients on stored transitions, with a target critic."""
    critic = models.functional(models.MLP((8,), 1), jnp.zeros((1, 6)))
    actor = models.functional(models.MLP((8,), 1), jnp.zeros((1, 5)))
    model = models.combine(actor=actor, critic=critic, target=critic)

    def value(variables, name, states):
        actions, _ = model.apply(variables, "actor", states)
        pairs = jnp.concatenate([states, actions], axis=1)
        return model.apply(variables, name, pairs)[0].mean(axis=1)

    def critic_loss(variables, batch, key=None, *, train=False):
        aim = batch["target"] + 0.9 * value(variables, "target", batch["features"])
        loss = jnp.square(value(variables, "critic", batch["features"]) - aim).mean()
        return loss, ({}, {"loss": loss})

    def actor_loss(variables, batch, key=None, *, train=False):
        loss = -value(variables, "critic", batch["features"]).mean()
        return loss, ({}, {"loss": loss})

    optimizers = {name: optax.adam(1e-2) for name in ("actor", "critic")}
    steps = {
        "critic": fdl.gradient_step(critic_loss, optimizers["critic"], wrt="critic"),
        "actor": fdl.gradient_step(actor_loss, optimizers["actor"], wrt="actor"),
        "target": fdl.learners.target_update("critic", "target", rate=0.1),
    }
    init = partial(fdl.learners.init_train_state, model, optimizers)
    learner = Learner(init, fdl.learners.counted(fdl.learners.alternate(steps)))
    return learner, data.batches(FEATURES, 12, seed)


def truncated_backpropagation(seed):
    """A recurrent carry goes on from batch to batch."""
    module = models.RNNLanguageModel(4, vocab_size=9, dropout=0.1)
    model = models.stateful(models.functional(module), batch_size=4)
    objective = objectives.language_modelling(model)
    learner = fdl.gradient_learner(model, objective, optax.adam(1e-2))
    tokens = np.random.default_rng(seed).integers(9, size=101, dtype=np.uint16)
    return learner, data.text.streams(tokens, 5, 4)


def adapters(seed):
    """Adapters of a frozen base, which checkpoints leave out."""
    module = models.GPT(1, 2, 4, vocab_size=7, max_length=6, dropout=0.5)
    plain = models.functional(module, TEXTS["tokens"][:1])
    base = models.initialised(plain, jax.jit(plain.init)(jax.random.key(5)))
    model = models.lora(base, 2, match=["attention", "mlp"], whole="norm", dropout=0.1)
    objective = objectives.language_modelling(model, pad_token=0)
    learner = fdl.gradient_learner(model, objective, optax.adam(1e-2))
    learner = fdl.learners.adapter_learner(learner, base)
    return learner, data.batches(TEXTS, 12, seed)


class Sums(NamedTuple):
    """A state that is unlike that of gradient descent, and counts no steps."""

    sums: jax.Array
    memory: jax.Array


def class_sums(seed):
    """Sums of the images of each class; a checkpoint leaves the memory out."""

    def init(key):
        return Sums(jax.random.normal(key, (3, 16)), jnp.ones(4))

    def step(state, batch):
        images = batch["image"].reshape(12, 16)
        sums = state.sums + jax.nn.one_hot(batch["label"], 3).T @ images
        return Sums(sums, state.memory), {"loss": jnp.square(sums).mean()}

    learner = Learner(
        init,
        step,
        variables=lambda state: {"params": {"sums": state.sums}},
        persist=lambda state: state.sums,
        revive=lambda sums, key: Sums(sums, init(key).memory),
    )
    return learner, data.batches(IMAGES, 12, seed)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


QUICK = [with_all_steps, monte_carlo, ppo, prioritized_dqn, class_sums]
REST = [
    plain_ppo,
    pqn,
    reinforce,
    recurrent_ppo,
    noisy_quantile_dqn,
    comparison,
    gan,
    actor_critic_with_a_target,
    truncated_backpropagation,
    classifier,
    convolutional_classifier,
    regressor,
    autoencoder,
    variational_autoencoder,
    importance_weighted_autoencoder,
    flow,
    gaussian_mixture,
    boltzmann_machine,
    pixelcnn,
    vqvae,
    codes_and_their_prior,
    denoising_autoencoder,
    sparse_autoencoder,
    contractive_autoencoder,
    language_model,
    masked_language_model,
    schedule_free_and_sharpness_aware,
    adapters,
    tabular_control,
    tabular_prediction,
    tabular_monte_carlo,
]
LARGE = [(ppo, 3), (prioritized_dqn, 3), (with_all_steps, 3)]  # Programs.
every_learner = pytest.mark.parametrize("make", [*QUICK, *map(slow, REST)])
every_call = pytest.mark.parametrize(
    "make, steps_per_call",
    [
        *(
            (make, steps)
            for make in QUICK
            for steps in (1, 3)
            if (make, steps) not in LARGE
        ),
        *(slow(make, steps) for make in REST for steps in (1, 3)),
        *(slow(make, steps) for make, steps in LARGE),
    ],
)
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
    for _ in range(6):  # An epoch has five batches, the last of them incomplete.
        batch = batches.take(batches.data, next(items))
        after, metrics = step(state, batch)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
        chex.assert_tree_all_finite(metrics)
        values = fdl.learners.as_metrics(metrics).values()
        chex.assert_shape([metric.compute() for metric in values], ())
        state = after


@every_call
@pytest.mark.some(4)
def test_a_run_traces_the_step_once(make, steps_per_call):
    assert advance(make, 7, steps_per_call=steps_per_call).step == 7
    assert TRACES[make, 0, steps_per_call, 1] == 1


@every_learner
def test_resuming_equals_not_stopping_bit_for_bit(make, tmp_path):
    checkpoints, program = Checkpoints(tmp_path), program_of(make)
    checkpoints.save(3, program.persist(trained(make, 3)), None)
    checkpoints.wait()
    step, part = checkpoints.restore_latest(program.saved(KEY), warn=pytest.fail)
    loop_state = program.revive(part, KEY)
    assert step == loop_state.step == 3
    resumed = advance(make, 7, start=3, loop_state=loop_state)
    chex.assert_trees_all_equal(numbers(trained(make, 7)), numbers(resumed))


# Compiled as for users, which takes long: two programs are to give the same bits.
@pytest.mark.parametrize(
    "make",
    [
        *(classifier, monte_carlo, class_sums),
        *map(slow, (with_all_steps, comparison, ppo, pqn, prioritized_dqn, gan)),
        slow(actor_critic_with_a_target),
        *map(slow, (convolutional_classifier, regressor, autoencoder)),
        *map(slow, (variational_autoencoder, importance_weighted_autoencoder)),
        *map(slow, (flow, gaussian_mixture, boltzmann_machine)),
        slow(truncated_backpropagation),
        # Not the VQ-VAE: XLA rounds a gradient of it otherwise in the last bit.
        *map(slow, (pixelcnn, codes_and_their_prior)),
        *map(slow, (language_model, masked_language_model)),
        *map(slow, (schedule_free_and_sharpness_aware, adapters)),
    ],
)
@pytest.mark.usefixtures("optimized")
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
@pytest.mark.some(2)
def test_seeds_trained_at_once_equal_one_run_per_seed(make):
    alone = [trained(make, 5, seed=seed).state for seed in range(2)]
    learners, batches = zip(*(learner_of(make, seed) for seed in range(2)), strict=True)
    learner, joined = fdl.replicate([learners[0]] * 2, batches)
    program = train.compiled(learner, joined)
    loop_state = program.init(jax.vmap(jax.random.key)(jnp.arange(2)))
    together, _ = train.iterate(program, loop_state, joined, 0, 5)
    for seed, state in enumerate(alone):
        of_seed = fdl.select(together.state, seed)
        chex.assert_trees_all_close(
            numbers(state), numbers(of_seed), rtol=1e-4, atol=1e-5
        )


@every_call
@pytest.mark.some(3)
def test_a_mesh_of_devices_equals_one_device(make, steps_per_call):
    assert len(jax.devices()) == 4
    four = advance(make, 5, num_devices=4, steps_per_call=steps_per_call)
    one = trained(make, 5)
    chex.assert_trees_all_close(numbers(one), numbers(four), rtol=1e-4, atol=1e-5)


# Two laws at once: one learner is enough in short.
@pytest.mark.parametrize(
    "make", [classifier, *map(slow, (with_all_steps, comparison, ppo))]
)
def test_seeds_on_a_mesh_equal_seeds_on_one_device(make):
    learners, batches = zip(*(learner_of(make, seed) for seed in range(2)), strict=True)
    learner, joined = fdl.replicate([learners[0]] * 2, batches)
    results = []
    for mesh in (None, train.make_mesh({"data": -1})):
        program = train.compiled(learner, joined, mesh=mesh)
        loop_state = program.init(jax.vmap(jax.random.key)(jnp.arange(2)))
        results.append(train.iterate(program, loop_state, joined, 0, 3)[0])
    one, four = map(numbers, results)
    chex.assert_trees_all_close(one, four, rtol=1e-4, atol=1e-5)


@every_learner
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(make):
    first, other = (trained(make, 3, seed=seed) for seed in (0, 1))
    chex.assert_trees_all_equal(numbers(first), numbers(advance(make, 3)))
    loss = next(name for name in first.metrics if name.endswith("loss"))
    assert first.metrics[loss].compute() != other.metrics[loss].compute()


@every_learner
def test_whatever_its_state_is_the_model_is_shown_evaluated_and_saved(make, tmp_path):
    learner, _ = learner_of(make)
    variables = learner.variables(trained(make, 3).state)
    shapes = jax.eval_shape(learner.variables, jax.eval_shape(learner.init, KEY))
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes, variables)
    assert "params" in variables
    save_variables(tmp_path / "all.safetensors", jax.device_get(variables))
    restored = load_variables(tmp_path / "all.safetensors")
    chex.assert_trees_all_equal(restored, jax.device_get(variables))

"""A machine of 4 visible and 3 hidden units against sums over all of its states."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neural_network import BernoulliRBM

from fdl.errors import UserError
from fdl.models import functional
from fdl.models.generative.rbm import RBM

MODULE = RBM(num_hidden=3, input_shape=(2, 2, 1))
RANDOM = np.random.RandomState(0)
PARAMS = {
    "kernel": RANDOM.normal(size=(4, 3)).astype(np.float32),
    "visible_bias": RANDOM.normal(size=4).astype(np.float32),
    "hidden_bias": RANDOM.normal(size=3).astype(np.float32),
}
VARIABLES = {"params": PARAMS}
VISIBLE = np.array([*itertools.product([0, 1], repeat=4)], np.float32)
HIDDEN = np.array([*itertools.product([0, 1], repeat=3)], np.float32)
IMAGES = VISIBLE.reshape(-1, 2, 2, 1)


@pytest.fixture(scope="module")
def joint():
    """Probabilities of all pairs of states, float64 [16, 8], and log Z."""
    w, b, c = (np.float64(PARAMS[name]) for name in PARAMS)
    energy = -(VISIBLE @ b)[:, None] - (HIDDEN @ c)[None] - VISIBLE @ w @ HIDDEN.T
    partition = np.exp(-energy).sum()
    return np.exp(-energy) / partition, np.log(partition)


@pytest.fixture(scope="module")
def outputs():
    """Of all methods, in one program."""

    @jax.jit
    def run(variables, images, hidden):
        def call(method, *inputs):
            return MODULE.apply(variables, *inputs, method=method)

        wide = RBM(num_hidden=4, input_shape=(3,)).apply(
            {
                "params": {
                    "kernel": variables["params"]["kernel"].T,
                    "visible_bias": variables["params"]["hidden_bias"],
                    "hidden_bias": variables["params"]["visible_bias"],
                }
            },
            method="log_partition",
        )
        return {
            "free_energy": MODULE.apply(variables, images),
            "log_prob": call("log_prob", images),
            "log_partition": call("log_partition"),
            "of_the_transpose": wide,
            "encode": call("encode", images),
            "decode": call("decode", hidden),
            "reconstruct": call("reconstruct", images),
        }

    return run(VARIABLES, IMAGES, HIDDEN)


def test_free_energies_and_probabilities_are_sums_over_the_hidden_states(
    joint, outputs
):
    probability, log_partition = joint
    marginal = probability.sum(axis=1)
    np.testing.assert_allclose(outputs["log_partition"], log_partition, rtol=1e-6)
    np.testing.assert_allclose(outputs["of_the_transpose"], log_partition, rtol=1e-6)
    np.testing.assert_allclose(outputs["log_prob"], np.log(marginal), atol=1e-5)
    np.testing.assert_allclose(
        outputs["free_energy"], -np.log(marginal) - log_partition, atol=1e-5
    )


def test_each_layer_is_independent_given_the_other(joint, outputs):
    probability, _ = joint
    hidden = probability @ HIDDEN / probability.sum(axis=1, keepdims=True)
    visible = probability.T @ VISIBLE / probability.sum(axis=0)[:, None]
    np.testing.assert_allclose(outputs["encode"], hidden, atol=1e-6)
    np.testing.assert_allclose(outputs["decode"].reshape(8, 4), visible, atol=1e-6)
    logits = np.float64(PARAMS["kernel"]) @ hidden.T
    restored = 1 / (1 + np.exp(-PARAMS["visible_bias"][:, None] - logits))
    np.testing.assert_allclose(
        outputs["reconstruct"].reshape(16, 4), restored.T, atol=1e-6
    )


def test_it_is_that_of_scikit_learn(outputs):
    theirs = BernoulliRBM(n_components=3)
    theirs.components_ = np.float64(PARAMS["kernel"].T)
    theirs.intercept_hidden_ = np.float64(PARAMS["hidden_bias"])
    theirs.intercept_visible_ = np.float64(PARAMS["visible_bias"])
    np.testing.assert_allclose(outputs["encode"], theirs.transform(VISIBLE), atol=1e-6)
    np.testing.assert_allclose(
        outputs["free_energy"], theirs._free_energy(VISIBLE), atol=1e-5
    )


def test_the_gradient_is_data_minus_model(joint):
    """Of the mean log-likelihood of some states, by the expectations of both."""
    probability, _ = joint
    chosen = np.array([3, 3, 5, 12])
    data = np.zeros(16)
    np.add.at(data, chosen, 0.25)
    posterior = probability / probability.sum(axis=1, keepdims=True)
    difference = data[:, None] * posterior - probability
    expected = {
        "kernel": np.einsum("ab,ai,bj->ij", difference, VISIBLE, HIDDEN),
        "visible_bias": difference.sum(axis=1) @ VISIBLE,
        "hidden_bias": difference.sum(axis=0) @ HIDDEN,
    }

    @jax.jit
    @jax.grad
    def gradient(params):
        apply = functional(MODULE).apply
        images = IMAGES[chosen]
        return apply({"params": params}, images, method="log_prob")[0].mean()

    for name, actual in gradient(PARAMS).items():
        np.testing.assert_allclose(actual, expected[name], atol=1e-6)


def sample(num_steps, count, **options):
    def run(variables, key):
        start = jnp.zeros((count, 2, 2, 1))
        return functional(MODULE).apply(
            variables, start, key=key, num_steps=num_steps, method="gibbs", **options
        )[0]

    states = jax.jit(run)(VARIABLES, jax.random.key(0))
    states = np.asarray(states).reshape(count, 4)
    assert set(np.unique(states)) == {0, 1}
    return np.bincount(states.astype(int) @ [8, 4, 2, 1], minlength=16) / count


def test_one_gibbs_step_has_the_transition_probabilities(joint):
    probability, _ = joint
    hidden = probability[0] / probability[0].sum()
    visible = probability / probability.sum(axis=0)
    np.testing.assert_allclose(sample(1, 40_000), visible @ hidden, atol=0.012)


def test_many_gibbs_steps_sample_from_the_model(joint):
    probability, _ = joint
    np.testing.assert_allclose(sample(30, 40_000), probability.sum(axis=1), atol=0.012)


def test_a_high_temperature_makes_all_states_equal():
    frequencies = sample(3, 40_000, temperature=jnp.full(40_000, 1e4))
    np.testing.assert_allclose(frequencies, 1 / 16, atol=0.01)


def test_chains_are_there_if_asked_for_and_nothing_else_needs_them():
    module = RBM(num_hidden=3, input_shape=(4,), num_chains=50)
    model = functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    chains = np.asarray(variables["chains"]["visible"])
    assert chains.shape == (50, 4) and set(np.unique(chains)) == {0, 1}
    assert 0.3 < chains.mean() < 0.7
    apply = jax.jit(model.apply)
    (one, _), (other, _) = (
        apply({"params": variables["params"], **state}, VISIBLE)
        for state in ({}, {"chains": variables["chains"]})
    )
    np.testing.assert_array_equal(one, other)


def test_half_precision_sums_in_float32(joint):
    module = MODULE.clone(dtype="bfloat16")

    @jax.jit
    def run(variables):
        energies = module.apply(variables, IMAGES)
        return energies, module.apply(variables, method="log_partition")

    energies, log_partition = run(VARIABLES)
    assert (energies.dtype, log_partition.dtype) == (jnp.float32, jnp.float32)
    np.testing.assert_allclose(log_partition, joint[1], atol=0.05)


def test_what_cannot_be_is_told():
    large = RBM(num_hidden=21, input_shape=(21,))
    variables = jax.eval_shape(functional(large).init, jax.random.key(0))
    with pytest.raises(UserError, match=r"num_hidden=21, .* at most 20 units"):
        jax.eval_shape(lambda v: large.apply(v, method="log_partition"), variables)
    with pytest.raises(UserError, match="expected inputs of 4 values, got 3"):
        functional(MODULE).apply(VARIABLES, np.zeros((2, 3), np.float32))


def test_free_energies_of_half_precision_are_summed_in_float32():
    states = (np.random.default_rng(0).random((8, 200)) < 0.5).astype(np.float32)
    wide, half = (RBM(100, (200,), dtype=dtype) for dtype in ("float32", "bfloat16"))
    variables = jax.jit(wide.init)(jax.random.key(0), states)
    scaled = jax.tree.map(lambda x: 20 * x, variables)  # Energies of hundreds of nats.
    exact, found = (jax.jit(m.apply)(scaled, states) for m in (wide, half))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, exact, rtol=2e-3)

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.rules import of_flat_images
from fdl.models.rl.q_network import QNetwork, minatar_dqn, nature_dqn

PROGRAMS = 130

ATARI = {"action_size": 3, "hidden_sizes": (9,), "input_shape": (44, 44, 2)}
SMALL = {
    "Nature": nature_dqn(**ATARI),
    "dueling": nature_dqn(**ATARI, dueling=True),
    "C51": nature_dqn(**ATARI, num_atoms=4),
    "Rainbow": nature_dqn(**ATARI, num_atoms=4, dueling=True),
    "MinAtar": minatar_dqn(hidden_sizes=(9,)),
    "MLP": QNetwork(2, (6, 5), input_shape=(4,)),
}
every_network = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def case(name, random_variables):
    module = SMALL[name]
    shape = (4, *module.input_shape)
    observation = np.random.RandomState(0).uniform(0, 256, shape)
    if name == "MinAtar":
        observation = observation < 64
    elif name == "MLP":
        observation = np.float32(observation / 128 - 1)
    else:
        observation = observation.astype(np.uint8)
    return module, random_variables(module), observation


def rules(name):
    """Those of a torso and of one stream, or of two."""
    if name == "MLP":
        return [*dense("hidden.{i}", "mlp/dense_{i}"), *dense("out", "mlp/head")]
    layout = of_flat_images(16, 8, 8) if name == "MinAtar" else of_flat_images(64, 2, 2)
    found = conv("conv.{i}", "torso/conv_{i}")
    dueling = name in ("dueling", "Rainbow")
    for stream in ("value", "advantage") if dueling else ("mlp",):
        found += dense(f"{stream}.0", f"{stream}/dense_0", layout)
        found += dense(f"{stream}.2", f"{stream}/head")
    return found


def written_in_torch(torch, name):
    """The networks of the papers, with 9 hidden units."""
    linear, convolve, relu = torch.nn.Linear, torch.nn.Conv2d, torch.relu
    atoms = 4 if name in ("C51", "Rainbow") else 1
    minatar, dueling = name == "MinAtar", name in ("dueling", "Rainbow")
    num_features, num_actions = (16 * 8 * 8, 6) if minatar else (64 * 2 * 2, 3)

    def stream(num):
        return torch.nn.Sequential(
            linear(num_features, 9), torch.nn.ReLU(), linear(9, num * atoms)
        )

    class Atari(torch.nn.Module):
        def __init__(self):
            super().__init__()
            nature = [(2, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]
            sizes = [(4, 16, 3, 1)] if minatar else nature
            self.conv = torch.nn.ModuleList([convolve(*size) for size in sizes])
            if dueling:
                self.value, self.advantage = stream(1), stream(num_actions)
            else:
                self.mlp = stream(num_actions)

        def forward(self, x):
            x = x.float() if minatar else x / 255.0
            for layer in self.conv:
                x = relu(layer(x))
            x = x.flatten(1)
            if dueling:
                advantage = self.advantage(x).view(-1, num_actions, atoms)
                advantage = advantage - advantage.mean(dim=1, keepdim=True)
                values = self.value(x).view(-1, 1, atoms) + advantage
            else:
                values = self.mlp(x).view(-1, num_actions, atoms)
            return values if name in ("C51", "Rainbow") else values.squeeze(-1)

    class CartPole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.ModuleList([linear(4, 6), linear(6, 5)])
            self.out = linear(5, 2)

        def forward(self, x):
            return self.out(relu(self.hidden[1](relu(self.hidden[0](x)))))

    return CartPole() if name == "MLP" else Atari()


@every_network
def test_q_networks_are_those_of_torch(apply, name, case, references):
    module, variables, observation = case
    references.agree(name, apply(module, variables, observation))


@pytest.mark.oracle
@every_network
def test_q_networks_agree_with_torch(name, case, torch, agrees_with_torch, references):
    module, _, observation = case
    reference = written_in_torch(torch, name)
    outputs = agrees_with_torch(module, reference, rules(name), observation)
    references.check(name, outputs)


def test_bytes_are_scaled_and_floats_are_not(apply, random_variables, assert_close):
    module = SMALL["Nature"]
    variables = random_variables(module)
    frames = np.random.RandomState(0).randint(256, size=(2, 44, 44, 2), dtype=np.uint8)
    apply = functools.partial(apply, module)
    values = apply(variables, frames)
    assert_close(apply(variables, frames.astype(np.float32) / 255), values, 1e-6)
    assert np.abs(apply(variables, frames.astype(np.float32)) - values).max() > 1


def test_networks_are_normalised_before_each_activation(apply, random_variables):
    module = minatar_dqn(hidden_sizes=(9,), norm=nn.LayerNorm)
    variables = random_variables(module)
    x = np.random.default_rng(0).integers(2, size=(3, 10, 10, 4)).astype(np.float32)

    def normalised(x, weights):
        x = (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)
        return np.maximum(x * weights["scale"] + weights["bias"], 0)

    torso, mlp = (variables["params"][name] for name in ("torso", "mlp"))
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    features = np.einsum("bhwcij,ijcf->bhwf", patches, torso["conv_0"]["kernel"])
    # Over the channels of a place, and over the hidden units.
    features = normalised(features + torso["conv_0"]["bias"], torso["norm_0"])
    hidden = features.reshape(3, -1) @ mlp["dense_0"]["kernel"]
    hidden = normalised(hidden + mlp["dense_0"]["bias"], mlp["norm_0"])
    expected = hidden @ mlp["head"]["kernel"] + mlp["head"]["bias"]
    np.testing.assert_allclose(apply(module, variables, x), expected, atol=2e-3)


@pytest.mark.parametrize("num_atoms", [None, 4])
def test_the_mean_of_dueling_values_is_the_situation_s(
    apply, num_atoms, random_variables, random_inputs
):
    """Only differences of advantages count."""
    module = QNetwork(3, (6,), dueling=True, num_atoms=num_atoms)
    variables, x = random_variables(module), random_inputs(5, 4)
    values = apply(module, variables, x)
    params = variables["params"]
    plain = QNetwork(1, (6,), num_atoms=num_atoms)
    expected = apply(plain, {"params": {"mlp": params["value"]}}, x)
    mean = values.mean(axis=1, keepdims=True)
    chex.assert_trees_all_close(mean, expected, atol=1e-5)
    flat = jax.tree.map(np.zeros_like, params["advantage"])
    undecided = apply(module, {"params": {**params, "advantage": flat}}, x)
    chex.assert_trees_all_close(
        undecided, jnp.broadcast_to(mean, values.shape), atol=1e-5
    )
    assert np.ptp(values, axis=1).min() > 0.01


def test_first_kernels_are_uniform_as_in_torch(random_inputs):
    module = minatar_dqn(hidden_sizes=(300,))
    variables = jax.jit(module.init)(jax.random.key(0), random_inputs(1, 10, 10, 4))
    for layer, fan_in in (("torso", 4 * 9), ("mlp", 1024)):
        (first, *_) = variables["params"][layer].values()
        kernel = np.asarray(first["kernel"])
        bound = 1 / np.sqrt(fan_in)
        assert 0.95 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.1)


@pytest.mark.parametrize("name", ["Rainbow", "MinAtar"])
def test_bfloat16_is_near_float32(apply, case, assert_close):
    module, variables, observation = case
    values = apply(module.clone(dtype="bfloat16"), variables, observation)
    assert values.dtype == jnp.bfloat16
    expected = apply(module, variables, observation)
    assert_close(values.astype("float32"), expected, 0.05)

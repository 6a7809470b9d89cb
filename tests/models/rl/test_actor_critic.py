import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives, rl
from fdl.distributions import normal
from fdl.models import functional
from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.rules import Rule, of_flat_images, reshaped
from fdl.models.rl.actor_critic import ActorCritic, atari_ppo, cartpole_ppo, mujoco_ppo
from fdl.models.rl.encoders import ConvEncoder
from fdl.models.rl.policy_heads import GaussianHead, SquashedGaussianHead

PROGRAMS = 260

SMALL = {
    "Gaussian": mujoco_ppo(action_size=2, hidden_sizes=(6, 5), input_shape=(3,)),
    "Atari": atari_ppo(action_size=3, hidden_sizes=(9,), input_shape=(44, 44, 2)),
}
RULES = {  # Names in CleanRL's files of that kind.
    "Gaussian": [
        *dense("actor_mean.{i}", "actor/dense_{i}"),
        *dense("mean", "policy/mean"),
        Rule("actor_logstd", "params/policy/log_std", reshaped((-1,), (1, -1))),
        *dense("critic.{i}", "critic/dense_{i}"),
        *dense("value", "value"),
    ],
    "Atari": [
        *conv("conv.{i}", "actor_torso/conv_{i}"),
        *dense("hidden", "actor/dense_0", of_flat_images(64, 2, 2)),
        *dense("actor", "policy/logits"),
        *dense("critic", "value"),
    ],
}
every_kind = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def case(name, random_variables):
    module = SMALL[name]
    observation = np.random.RandomState(0).uniform(0, 256, (4, *module.input_shape))
    if name == "Atari":
        return module, random_variables(module), observation.astype(np.uint8)
    return module, random_variables(module), observation.astype(np.float32) / 128 - 1


def flat(outputs):
    """What the head reads out and the values, as one array [B, D]."""
    params, values = outputs
    return jnp.concatenate([*jax.tree.leaves(params), values[:, None]], axis=-1)


def written_in_torch(torch, name):
    """CleanRL's agents for continuous control and for Atari."""
    linear, convolve = torch.nn.Linear, torch.nn.Conv2d

    class Gaussian(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.actor_mean = torch.nn.ModuleList([linear(3, 6), linear(6, 5)])
            self.critic = torch.nn.ModuleList([linear(3, 6), linear(6, 5)])
            self.mean, self.value = linear(5, 2), linear(5, 1)
            self.actor_logstd = torch.nn.Parameter(torch.zeros(1, 2))

        def forward(self, x):
            seen = judged = x
            for actor, critic in zip(self.actor_mean, self.critic, strict=True):
                seen, judged = torch.tanh(actor(seen)), torch.tanh(critic(judged))
            mean = self.mean(seen)
            log_std = self.actor_logstd.expand_as(mean)
            return torch.cat([mean, log_std, self.value(judged)], dim=1)

    class Atari(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.ModuleList(
                [convolve(2, 32, 8, 4), convolve(32, 64, 4, 2), convolve(64, 64, 3, 1)]
            )
            self.hidden = linear(64 * 2 * 2, 9)
            self.actor, self.critic = linear(9, 3), linear(9, 1)

        def forward(self, x):
            x = x / 255.0
            for layer in self.conv:
                x = torch.relu(layer(x))
            x = torch.relu(self.hidden(x.flatten(1)))
            return torch.cat([self.actor(x), self.critic(x)], dim=1)

    return Gaussian() if name == "Gaussian" else Atari()


@every_kind
def test_agents_are_those_of_torch(apply, name, case, references):
    module, variables, observation = case
    references.agree(name, flat(apply(module, variables, observation)))


@pytest.mark.oracle
@every_kind
def test_agents_agree_with_torch(name, case, torch, agrees_with_torch, references):
    module, _, observation = case
    outputs = agrees_with_torch(
        module,
        written_in_torch(torch, name),
        RULES[name],
        observation,
        to_theirs_outputs=flat,
    )
    references.check(name, outputs)


@pytest.mark.parametrize("shared", [False, True])
def test_it_computes_two_perceptrons(apply, shared, random_variables, random_inputs):
    module = ActorCritic(3, hidden_sizes=(8, 5), shared=shared, activation=nn.tanh)
    x = random_inputs(6, 2, 2)
    variables = random_variables(module, x)
    params = variables["params"]

    def layer(path, x):
        weights = functools.reduce(dict.get, path.split("/"), params)
        return x @ np.float64(weights["kernel"]) + np.float64(weights["bias"])

    def perceptron(encoder, readout):
        h = np.tanh(layer(f"{encoder}/dense_0", np.float64(x.reshape(6, 4))))
        return layer(readout, np.tanh(layer(f"{encoder}/dense_1", h)))

    actor = perceptron("actor", "policy/logits")
    critic = perceptron("actor" if shared else "critic", "value")[:, 0]
    actual = apply(module, variables, x)
    chex.assert_trees_all_close(actual, (actor, critic), atol=1e-5)


def test_its_weights_are_orthogonal_and_its_policy_starts_near_uniform():
    module = cartpole_ppo()
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    hidden = params["critic"]["dense_1"]["kernel"]
    chex.assert_trees_all_close(hidden @ hidden.T, 2 * jnp.eye(64), atol=1e-5)
    policy, value = params["policy"]["logits"]["kernel"], params["value"]["kernel"]
    chex.assert_trees_all_close(policy.T @ policy, 1e-4 * jnp.eye(2), atol=1e-9)
    chex.assert_trees_all_close(value.T @ value, jnp.ones((1, 1)), atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_values_reach_the_actor_s_torso_only_where_it_is_shared(shared, random_inputs):
    x, encoder = (
        random_inputs(2, 3, 3, 1),
        functools.partial(ConvEncoder, (2,), (2,), (1,)),
    )
    module = ActorCritic(3, (5,), encoder=encoder, shared=shared)
    variables = jax.jit(module.init)(jax.random.key(0), x)
    grads = jax.jit(jax.grad(lambda v: module.apply(v, x)[1].sum()))(variables)
    reached = {k for k, v in grads["params"].items() if np.any(jax.tree.leaves(v)[1])}
    one = "actor" if shared else "critic"
    assert reached == {f"{one}_torso", one, "value"}


def test_ppo_takes_what_the_gaussian_head_reads_out(apply, random_inputs):
    model = functional(SMALL["Gaussian"])
    variables = jax.jit(model.init)(jax.random.key(0))
    observation = random_inputs(8, 3)
    policy = rl.sampling(rl.actor(model), normal())
    action = jax.jit(policy)(variables, observation, jax.random.key(1))
    (params, _), _ = apply(model, variables, observation)
    batch = {
        "observation": observation,
        "action": action,
        "log_prob": normal().log_prob(params, action),
        "advantage": random_inputs(8, seed=1),
        "return": random_inputs(8, seed=2),
    }
    objective = objectives.ppo(model, normal())
    grads, (_, metrics) = jax.jit(jax.grad(objective, has_aux=True))(variables, batch)
    # Where the policy is what it was, the surrogate is the mean advantage: zero.
    np.testing.assert_allclose(metrics["policy_loss"].compute(), 0.0, atol=1e-6)
    np.testing.assert_allclose(
        metrics["entropy"].compute(), np.log(2 * np.pi * np.e), rtol=1e-6
    )
    assert all(np.any(x) for x in jax.tree.leaves(grads))


@pytest.mark.parametrize("head", [GaussianHead, SquashedGaussianHead])
def test_deviations_depend_on_the_observation_or_not(apply, head, random_inputs):
    module = ActorCritic(2, (5,), head=head)
    x = random_inputs(6, 4)
    (mean, log_std), _ = apply(module, jax.jit(module.init)(jax.random.key(0), x), x)
    assert np.ptp(mean, axis=0).min() > 0
    depends = head is SquashedGaussianHead
    assert np.all((np.ptp(log_std, axis=0) > 0) == depends)


def test_deviations_start_where_they_are_told_to(apply, random_inputs):
    x = random_inputs(6, 4)
    head = functools.partial(GaussianHead, initial_log_std=-0.5)
    module = ActorCritic(2, head=head)
    (_, log_std), _ = apply(module, jax.jit(module.init)(jax.random.key(0), x), x)
    chex.assert_trees_all_equal(log_std, jnp.full((6, 2), -0.5))


@every_kind
def test_bfloat16_is_near_float32(apply, case, assert_close):
    module, variables, observation = case
    half = module.clone(dtype="bfloat16")
    outputs = apply(half, variables, observation)
    assert {x.dtype for x in jax.tree.leaves(outputs)} == {jnp.dtype("bfloat16")}
    expected = apply(module, variables, observation)
    assert_close(flat(outputs).astype("float32"), flat(expected), 0.05)

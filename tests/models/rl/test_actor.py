import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.models.mlp import MLP
from fdl.models.pretrained.layer_rules import dense
from fdl.models.rl.actor import Actor, sac_actor, td3_actor, twin_critic
from fdl.models.rl.encoders import minatar_encoder
from fdl.models.rl.policy_heads import SquashedGaussianHead

PROGRAMS = 140

SIZES = {"hidden_sizes": (7, 6), "input_shape": (5,), "action_size": 2}
SMALL = {
    "SAC": sac_actor(**SIZES),
    "TD3": td3_actor(**SIZES),
    "critics": twin_critic(**SIZES),
}
RULES = {
    "SAC": [
        *dense("fc{i}", "actor/dense_{i}"),
        *dense("fc_mean", "policy/mean"),
        *dense("fc_logstd", "policy/log_std"),
    ],
    "TD3": [
        *dense("fc{i}", "actor/dense_{i}"),
        *dense("fc_mu", "policy/action"),
    ],
    "critics": [
        *dense("qf{n}.fc{i}", "critic_{n}/dense_{i}"),
        *dense("qf{n}.out", "critic_{n}/head"),
    ],
}
every_network = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def case(name, random_variables, random_inputs):
    module = SMALL[name]
    inputs = [random_inputs(4, *x.shape[1:]) for x in module.example()]
    return module, random_variables(module), inputs


def flat(outputs):
    """All that comes out, as one array [B, D]."""
    return jnp.concatenate(jax.tree.leaves(outputs), axis=-1)


def written_in_torch(torch, name):
    """CleanRL's networks of SAC and TD3; SAC's deviations clipped as in the paper."""
    linear, relu = torch.nn.Linear, torch.relu

    class SAC(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc0, self.fc1 = linear(5, 7), linear(7, 6)
            self.fc_mean, self.fc_logstd = linear(6, 2), linear(6, 2)

        def forward(self, x):
            x = relu(self.fc1(relu(self.fc0(x))))
            log_std = torch.clamp(self.fc_logstd(x), -20, 2)
            return torch.cat([self.fc_mean(x), log_std], dim=1)

    class TD3(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc0, self.fc1, self.fc_mu = linear(5, 7), linear(7, 6), linear(6, 2)

        def forward(self, x):
            return torch.tanh(self.fc_mu(relu(self.fc1(relu(self.fc0(x))))))

    class QNetwork(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc0, self.fc1, self.out = linear(7, 7), linear(7, 6), linear(6, 1)

        def forward(self, x):
            return self.out(relu(self.fc1(relu(self.fc0(x)))))

    class Critics(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.qf0, self.qf1 = QNetwork(), QNetwork()

        def forward(self, x, action):
            x = torch.cat([x, action], dim=1)
            return torch.cat([self.qf0(x), self.qf1(x)], dim=1)

    return {"SAC": SAC, "TD3": TD3, "critics": Critics}[name]()


@every_network
def test_networks_are_those_of_torch(apply, name, case, references):
    module, variables, inputs = case
    references.agree(name, flat(apply(module, variables, *inputs)))


@pytest.mark.oracle
@every_network
def test_networks_agree_with_torch(name, case, torch, agrees_with_torch, references):
    module, _, inputs = case
    reference = written_in_torch(torch, name)
    outputs = agrees_with_torch(
        module, reference, RULES[name], *inputs, to_theirs_outputs=flat
    )
    references.check(name, outputs)


def test_deviations_are_bounded(apply, random_variables, random_inputs):
    module = Actor(2, (6,), head=SquashedGaussianHead, input_shape=(5,))
    variables = jax.tree.map(lambda x: 1e3 * x, random_variables(module))
    _, log_std = apply(module, variables, random_inputs(50, 5))
    assert log_std.min() == -20 and log_std.max() == 2


def test_actions_are_bounded(apply, random_variables, random_inputs):
    module = SMALL["TD3"]
    variables = jax.tree.map(lambda x: 10 * x, random_variables(module))
    actions = np.abs(apply(module, variables, random_inputs(50, 5)))
    assert 0.9 < actions.max() <= 1


def test_critics_differ_and_learn_apart(apply, random_inputs):
    module = twin_critic(**SIZES, num_critics=3)
    inputs = random_inputs(4, 5), random_inputs(4, 2)
    variables = jax.jit(module.init)(jax.random.key(0), *inputs)
    assert np.ptp(apply(module, variables, *inputs), axis=-1).min() > 0

    def second(variables):
        return module.apply(variables, *inputs)[:, 1].sum()

    grads = jax.jit(jax.grad(second))(variables)["params"]
    reached = {name: bool(np.any(x["head"]["kernel"])) for name, x in grads.items()}
    assert reached == {"critic_0": False, "critic_1": True, "critic_2": False}


def test_critics_of_discrete_actions_have_a_value_for_each(
    apply, random_variables, random_inputs
):
    module, x = twin_critic(**SIZES, discrete=True), random_inputs(4, 5)
    variables = random_variables(module)
    params = variables["params"]
    expected = [
        apply(MLP((7, 6), 2), {"params": params[f"critic_{i}"]}, x) for i in range(2)
    ]
    actual = apply(module, variables, x)
    chex.assert_trees_all_close(actual, np.stack(expected, axis=-1), rtol=1e-5)
    message = "Critic.discrete=True: expected observations alone"
    with pytest.raises(UserError, match=message):
        module.apply(variables, x, x[:, :2])


def test_critics_share_their_torso(apply, random_variables, random_inputs):
    module = twin_critic(
        encoder=minatar_encoder, input_shape=(10, 10, 4), action_size=2
    )
    variables = random_variables(module)
    assert set(variables["params"]) == {"encoder", "critic_0", "critic_1"}
    inputs = random_inputs(3, 10, 10, 4), random_inputs(3, 2)
    seen = apply(
        minatar_encoder(), {"params": variables["params"]["encoder"]}, inputs[0]
    )
    flat_params = {k: v for k, v in variables["params"].items() if k != "encoder"}
    alone = apply(twin_critic(), {"params": flat_params}, seen, inputs[1])
    actual = apply(module, variables, *inputs)
    chex.assert_trees_all_close(actual, alone, rtol=1e-5, atol=1e-5)


@every_network
def test_bfloat16_is_near_float32(apply, case, assert_close):
    module, variables, inputs = case
    outputs = apply(module.clone(dtype="bfloat16"), variables, *inputs)
    assert {x.dtype for x in jax.tree.leaves(outputs)} == {jnp.dtype("bfloat16")}
    expected = apply(module, variables, *inputs)
    assert_close(flat(outputs).astype("float32"), flat(expected), 0.05)

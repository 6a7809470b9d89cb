import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.features import features
from fdl.models.layers import recurrent_scan
from fdl.models.rnn import RNN, RecurrentCore

PROGRAMS = 200

FLAX = {"elman": nn.SimpleCell, "gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}
GATES = {"elman": [""], "gru": ["r", "z", "n"], "lstm": ["i", "f", "g", "o"]}
every_cell = pytest.mark.parametrize("cell", FLAX)
gru_or_slow = pytest.mark.parametrize(
    "cell",
    [pytest.param(x, marks=[] if x == "gru" else pytest.mark.slow) for x in FLAX],
)
MASK = np.arange(6) < np.array([6, 2, 4])[:, None]


def scalar(tree):
    """A number in which every leaf counts, each entry in its own way."""
    return sum(
        jnp.vdot(jnp.sin(x), np.cos(np.arange(x.size)).reshape(x.shape))
        for x in jax.tree.leaves(tree)
    )


def value_and_gradients(function, *args):
    """What it returns, and the gradients of a scalar of it."""

    def loss(*args):
        outputs = function(*args)
        return scalar(outputs), outputs

    every = tuple(range(len(args)))
    grads, outputs = jax.jit(jax.grad(loss, every, has_aux=True))(*args)
    return outputs, grads


def assert_trees_agree(actual, expected, tolerance):
    """Each leaf, relative to its largest number."""
    chex.assert_trees_all_equal_shapes(actual, expected)

    def check(a, b):
        worst = np.max(np.abs(np.asarray(a) - b)) / max(np.max(np.abs(b)), 1e-3)
        assert worst <= tolerance, f"{worst:.2e} > {tolerance:.0e}"

    jax.tree.map(check, actual, expected)


def jitted(module):
    """The module as a function of variables, inputs and options."""
    return jax.jit(module.apply, static_argnames=("return_carry", "train"))


@pytest.mark.parametrize(
    ("cell", "reverse", "x64", "tolerance"),
    [
        *((cell, True, True, 1e-13) for cell in FLAX),
        ("gru", False, False, 1e-5),
        *(
            pytest.param(cell, False, False, 1e-5, marks=pytest.mark.slow)
            for cell in ("elman", "lstm")
        ),
    ],
)
@pytest.mark.some(2)
def test_layers_are_flax_cells_in_values_and_gradients(
    cell, reverse, x64, tolerance, random_inputs, random_variables
):
    module, x = RecurrentCore(5, cell, reverse), random_inputs(3, 6, 4)
    variables = random_variables(module, x)
    with jax.enable_x64(x64):
        dtype = np.float64 if x64 else np.float32
        variables, x = jax.tree.map(lambda a: a.astype(dtype), (variables, x))
        theirs = nn.RNN(
            FLAX[cell](5, param_dtype=dtype),
            return_carry=True,
            reverse=reverse,
            keep_order=True,
        )
        carry = theirs.cell.initialize_carry(jax.random.key(0), (3, 4))
        carry = jax.tree.map(lambda a: np.full_like(a, 0.5), carry)

        def expected(variables, x, carry):
            variables = {"params": {"cell": variables["params"]}}
            carry, outputs = theirs.apply(
                variables, x, initial_carry=carry, seq_lengths=MASK.sum(axis=1)
            )
            return jnp.where(MASK[..., None], outputs, 0), carry

        def actual(variables, x, carry):
            return module.apply(variables, x, carry, mask=MASK)

        args = variables, x, carry
        assert_trees_agree(
            value_and_gradients(actual, *args),
            value_and_gradients(expected, *args),
            tolerance,
        )


@every_cell
def test_one_product_for_all_gates_is_one_for_each(
    cell, monkeypatch, random_inputs, random_variables
):
    module, x = RecurrentCore(5, cell), random_inputs(3, 6, 4)
    variables = random_variables(module, x)

    def found(apart):
        monkeypatch.setattr(
            recurrent_scan, "_by_platform", lambda run, *args: run(*args, apart=apart)
        )

        def call(variables, x):
            return module.apply(variables, x, mask=MASK)

        return value_and_gradients(call, variables, x)

    assert_trees_agree(found(False), found(True), 1e-5)


@gru_or_slow
def test_padding_changes_nothing(cell, random_inputs, random_variables):
    module = RNN(5, 1, cell, bidirectional=True)
    x, length = random_inputs(1, 6, 4), 4
    variables = random_variables(module, x)

    def padded(variables, x):
        mask = jnp.arange(6)[None] < length
        return module.apply(variables, x, mask=mask, return_carry=True)

    def short(variables, x):
        outputs, carry = module.apply(variables, x[:, :length], return_carry=True)
        return jnp.pad(outputs, [(0, 0), (0, 6 - length), (0, 0)]), carry

    actual = value_and_gradients(padded, variables, x)
    assert_trees_agree(actual, value_and_gradients(short, variables, x), 1e-5)
    assert not np.any(actual[1][1][:, length:])  # The gradients towards the padding.


@every_cell
@pytest.mark.some(1)
def test_two_halves_are_the_whole(cell, random_inputs, random_variables):
    module, x = RNN(5, 2, cell), random_inputs(3, 6, 4)
    apply, variables = jitted(module), random_variables(module, x)
    whole, last = apply(variables, x, mask=MASK, return_carry=True)
    carry, halves = module.zero_carry(3), []
    for half in (slice(0, 3), slice(3, 6)):
        outputs, carry = apply(
            variables,
            x[:, half],
            mask=MASK[:, half],
            initial_carry=carry,
            return_carry=True,
        )
        halves.append(outputs)
    assert_trees_agree((np.concatenate(halves, 1), carry), (whole, last), 1e-5)


@every_cell
def test_two_directions_are_two_layers_of_which_one_reads_backwards(
    cell, random_inputs, random_variables
):
    module, x = RNN(5, 1, cell, bidirectional=True), random_inputs(3, 6, 4)
    params = random_variables(module, x)["params"]
    actual, carries = jitted(module)(
        {"params": params}, x, mask=MASK, return_carry=True
    )
    # The tokens from the last to the first, and the padding where it was.
    steps, lengths = np.arange(6), MASK.sum(axis=1, keepdims=True)
    backwards = np.where(MASK, lengths - 1 - steps, steps)
    core = jax.jit(RecurrentCore(5, cell).apply)
    for i, name in enumerate(["layer_0", "layer_0_reverse"]):
        order = (np.arange(3)[:, None], (steps[None], backwards)[i])
        found, carry = core({"params": params[name]}, x[order], mask=MASK)
        ours = np.asarray(actual)[order][..., 5 * i : 5 * (i + 1)]
        assert_trees_agree((ours, carries[0][i]), (found, carry), 1e-5)


@every_cell
@pytest.mark.some(1)
def test_what_was_before_a_reset_is_forgotten(cell, random_inputs, random_variables):
    core, x = RecurrentCore(5, cell), random_inputs(1, 6, 4)
    carry = jax.tree.map(lambda a: np.full_like(a, 0.5), core.zero_carry(1))
    variables = random_variables(core, x)
    resets = np.arange(6)[None] == 2

    def reset(variables, x, carry):
        return core.apply(variables, x, carry, resets)

    def split(variables, x, carry):
        first, _ = core.apply(variables, x[:, :2], carry)
        second, carry = core.apply(variables, x[:, 2:])
        return jnp.concatenate([first, second], axis=1), carry

    expected = value_and_gradients(split, variables, x, carry)
    assert_trees_agree(value_and_gradients(reset, variables, x, carry), expected, 1e-5)
    stacked = RNN(5, 2, cell)
    apply, variables = jitted(stacked), random_variables(stacked, x)
    changed = np.concatenate([x[:, :2] + 1, x[:, 2:]], axis=1)
    outputs = [apply(variables, seen, resets=resets)[:, 2:] for seen in (x, changed)]
    np.testing.assert_array_equal(*outputs)


def test_resets_need_one_direction(random_inputs):
    x, resets = random_inputs(1, 6, 4), np.zeros((1, 6), bool)
    with pytest.raises(ValueError, match="reverse=True: expected no resets"):
        RNN(5, bidirectional=True).init(jax.random.key(0), x, resets=resets)


def test_cells_have_names(random_inputs):
    with pytest.raises(ValueError, match="cell='mgu': expected one of"):
        RNN(5, cell="mgu").init(jax.random.key(0), random_inputs(1, 6, 4))


def test_dropout_lies_between_layers_in_training_only(random_inputs, random_variables):
    module, x = RNN(5, 2, dropout=1.0), random_inputs(3, 6, 4)
    variables = random_variables(module, x)
    rngs = {"dropout": jax.random.key(0)}
    last = {"params": variables["params"]["layer_1"]}
    blind, _ = jax.jit(RecurrentCore(5).apply)(last, np.zeros((3, 6, 5), np.float32))
    outputs, trained = features(module, variables, x, train=True, rngs=rngs)
    assert_trees_agree(outputs, blind, 1e-6)
    sighted, seen = features(RNN(5, 2), variables, x)
    assert_trees_agree(module.apply(variables, x), sighted, 1e-6)
    assert np.max(np.abs(blind - sighted)) > 0.01
    assert_trees_agree(trained["layer_0/states"], seen["layer_0/states"], 1e-6)


def test_remat_changes_nothing(random_inputs, random_variables):
    x, found = random_inputs(3, 6, 4), []
    for remat in (False, True):
        module = RNN(5, remat=remat)
        variables = random_variables(module, x)
        found.append(value_and_gradients(module.apply, variables, x))
    assert_trees_agree(*found, 1e-6)


@gru_or_slow
def test_bfloat16_stays_near(cell, random_inputs, random_variables):
    x, found = random_inputs(3, 6, 4), []
    for dtype in ("float32", "bfloat16"):
        module = RNN(16, cell=cell, dtype=dtype)
        variables = random_variables(module, x)
        found.append(value_and_gradients(module.apply, variables, x))
    (wide, wide_grads), (narrow, narrow_grads) = found
    assert narrow.dtype == jnp.bfloat16
    assert_trees_agree(np.float32(narrow), wide, 0.03)
    assert_trees_agree(narrow_grads, wide_grads, 0.1)
    chex.assert_trees_all_equal_dtypes(narrow_grads, wide_grads)


@pytest.mark.slow
def test_seeds_are_vmapped(random_inputs):
    core, x = RecurrentCore(5), random_inputs(2, 3, 6, 4)
    keys = jax.random.split(jax.random.key(0), 2)
    variables = jax.jit(jax.vmap(core.init))(keys, x)

    def gradients(variables, x):
        return jax.grad(lambda v: scalar(core.apply(v, x, mask=MASK)))(variables)

    together = jax.jit(jax.vmap(gradients))(variables, x)
    for i in range(2):
        one = jax.tree.map(lambda a, i=i: a[i], variables)
        found = jax.tree.map(lambda a, i=i: a[i], together)
        assert_trees_agree(found, jax.jit(gradients)(one, x[i]), 1e-5)


def test_second_derivatives_are_those_of_flax(random_inputs, random_variables):
    core, x = RecurrentCore(3), random_inputs(1, 4, 2)
    params = random_variables(core, x)["params"]
    theirs = nn.RNN(nn.OptimizedLSTMCell(3), return_carry=True)

    def ours_loss(p):
        return scalar(core.apply({"params": p}, x)[0])

    def their_loss(p):
        return scalar(theirs.apply({"params": {"cell": p}}, x)[1])

    actual, expected = (
        jax.jit(lambda p, f=f: jax.jvp(jax.grad(f), (p,), (p,))[1])(params)
        for f in (ours_loss, their_loss)
    )
    assert_trees_agree(actual, expected, 1e-4)


def test_other_lengths_are_not_compiled_again(random_inputs, random_variables):
    module, x = RNN(5), random_inputs(3, 6, 4)
    variables = random_variables(module, x)
    chex.clear_trace_counter()
    step = jax.jit(
        chex.assert_max_traces(lambda v, x, m: module.apply(v, x, mask=m), 1)
    )
    for lengths in ([6, 2, 4], [1, 1, 6]):
        mask = np.arange(6) < np.array(lengths)[:, None]
        outputs = step(variables, x, mask)
        assert np.array_equal(np.any(np.asarray(outputs), axis=-1), mask)


def test_the_bias_of_the_forget_gate_keeps_gradients_alive(random_inputs):
    """What a step 50 back counts in the last output, relative to the last step."""
    x, lag = random_inputs(4, 51, 8), 50

    @functools.partial(jax.jit, static_argnames="cell")
    def gradient(variables, x, cell):
        module = RNN(64, cell=cell)
        return jax.grad(lambda x: scalar(module.apply(variables, x)[:, -1]))(x)

    def remembered(module):
        variables = jax.jit(module.init)(jax.random.key(0), x)
        norms = np.linalg.norm(gradient(variables, x, module.cell), axis=(0, 2))
        return norms[-1 - lag] / norms[-1]

    assert remembered(RNN(64, cell="elman")) < 1e-6
    assert remembered(RNN(64, forget_bias=0.0)) < 1e-6
    assert remembered(RNN(64)) > 1e-5
    assert remembered(RNN(64, forget_bias=3.0)) > 0.1


def to_torch(torch, params, cell, num_layers, directions):
    """Our parameters as those of `torch.nn.RNN`, `GRU` and `LSTM`."""

    def joint(layer, names, leaf):
        arrays = [layer[name].get(leaf) for name in names]
        zero = np.zeros(5, np.float32)
        arrays = [zero if a is None else np.asarray(a) for a in arrays]
        return np.concatenate([a.T for a in arrays])

    state = {}
    for i in range(num_layers):
        for suffix in ("", "_reverse")[:directions]:
            layer = params[f"layer_{i}{suffix}"]
            for side, name in (("i", "ih"), ("h", "hh")):
                names = [side + gate for gate in GATES[cell]]
                for leaf, kind in (("kernel", "weight"), ("bias", "bias")):
                    state[f"{kind}_{name}_l{i}{suffix}"] = joint(layer, names, leaf)
    return {name: torch.tensor(array) for name, array in state.items()}


CASES = [(c, n, d) for c in FLAX for n, d in ((1, 1), (2, 1), (2, 2))]
every_case = pytest.mark.parametrize(("cell", "num_layers", "directions"), CASES)


def case(cell, num_layers, directions, random_inputs, random_variables):
    """A module, its variables and inputs, and a name."""
    module, x = RNN(5, num_layers, cell, directions == 2), random_inputs(3, 6, 4)
    name = f"{cell}_{num_layers}_{directions}"
    return module, random_variables(module, x), x, name


@every_case
@pytest.mark.some(4)
def test_layers_are_those_of_torch(
    cell, num_layers, directions, references, random_inputs, random_variables
):
    module, variables, x, name = case(
        cell, num_layers, directions, random_inputs, random_variables
    )
    outputs, carry = jax.jit(module.apply, static_argnames="return_carry")(
        variables, x, mask=MASK, return_carry=True
    )
    references.agree(f"{name}_outputs", outputs)
    references.agree(f"{name}_carry", jnp.stack(jax.tree.leaves(carry)))


@pytest.mark.oracle
@every_case
def test_layers_agree_with_torch(
    cell,
    num_layers,
    directions,
    torch,
    references,
    assert_close,
    random_inputs,
    random_variables,
):
    module, variables, x, name = case(
        cell, num_layers, directions, random_inputs, random_variables
    )
    kind = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    reference = kind(4, 5, num_layers, batch_first=True, bidirectional=directions == 2)
    params = variables["params"]
    reference.load_state_dict(to_torch(torch, params, cell, num_layers, directions))
    inputs = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, MASK.sum(axis=1), batch_first=True, enforce_sorted=False
    )
    packed, last = reference(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    # Torch has (h, c), each [layers and directions, B, H]; ours is (c, h) of each.
    last = torch.stack(last[::-1], 1).flatten(0, 1) if cell == "lstm" else last
    weights = [np.cos(np.arange(a.numel(), dtype=np.float32)) for a in (outputs, last)]
    weights = [
        w.reshape(a.shape) for w, a in zip(weights, (outputs, last), strict=True)
    ]
    found = zip((outputs, last), weights, strict=True)
    sum((a * torch.tensor(w)).sum() for a, w in found).backward()

    def call(params, x):
        outputs, carry = module.apply(
            {"params": params}, x, mask=MASK, return_carry=True
        )
        return outputs, jnp.stack(jax.tree.leaves(carry))

    def loss(params, x):
        return sum(
            jnp.vdot(a, w) for a, w in zip(call(params, x), weights, strict=True)
        )

    actual = jax.jit(call)(params, x)
    expected = [a.detach().numpy() for a in (outputs, last)]
    worst = [assert_close(*pair, 1e-5) for pair in zip(actual, expected, strict=True)]
    references.check(f"{name}_outputs", expected[0])
    references.check(f"{name}_carry", expected[1])

    grads, x_grad = jax.jit(jax.grad(loss, (0, 1)))(params, x)
    grads = to_torch(torch, grads, cell, num_layers, directions)
    far = [assert_close(x_grad, inputs.grad.numpy(), 1e-4)]
    for parameter, tensor in reference.named_parameters():
        ours, theirs = grads[parameter].numpy(), tensor.grad.numpy()
        known = ours != 0  # Torch has a second bias where one of ours stands.
        assert known.any() or "bias" in parameter
        far.append(assert_close(ours[known], theirs[known], 1e-4) if known.any() else 0)
    print(
        name, f"outputs {worst[0]:.1e}, carry {worst[1]:.1e}, gradients {max(far):.1e}"
    )

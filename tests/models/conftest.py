"""What the tests of the zoo share: numbers to fill models with, and oracles."""

import functools
import json
import math
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.features import features
from fdl.models.functional import zeros
from fdl.models.pretrained.convert import flatten, to_ours, to_theirs, unflatten

KEY = jax.random.key(0)
REFERENCES = pathlib.Path(__file__).parent / "references"


def pytest_collection_modifyitems(items):
    """What torch and its friends warn of is not ours to mend."""
    for item in items:
        if item.get_closest_marker("oracle"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def random_inputs():
    """``random_inputs(*shape, seed=0)``: standard normal, float32."""

    def make(*shape, seed=0):
        return np.random.RandomState(seed).normal(size=shape).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def random_variables():
    """``random_variables(module, *inputs)``: every array filled, at a sensible scale.

    The numbers depend on nothing but the paths and shapes, so that an oracle can be
    given the same ones, today and in a year.
    """

    def make(module, *inputs, seed=0, **options):
        inputs = inputs or zeros(module.example())
        shapes = jax.eval_shape(lambda k: module.init(k, *inputs, **options), KEY)
        random, filled = np.random.RandomState(seed), {}
        for path, leaf in sorted(flatten(shapes).items()):
            numbers = random.normal(size=leaf.shape)
            name = path.split("/")[-1]
            if name == "var":
                numbers = np.exp(0.1 * numbers)
            elif name in ("scale", "weight"):
                numbers = 1 + 0.1 * numbers
            elif len(leaf.shape) > 1:
                numbers = numbers / math.sqrt(math.prod(leaf.shape[:-1]))
            else:
                numbers = 0.1 * numbers
            filled[path] = numbers.astype(leaf.dtype)
        return unflatten(filled)

    return make


@pytest.fixture(scope="module")
def apply():
    """``apply(module, variables, *inputs, **options)``: compiled, outputs as NumPy's.

    One program for each module, shapes, and options that are no arrays; eager calls
    would be one for each operation.
    """
    return compiled(lambda module, *args, **options: module.apply(*args, **options))


@pytest.fixture(scope="module")
def see():
    """``see(module, variables, *inputs, **options)``: `features`, as `apply`."""
    return compiled(features)


def compiled(function):
    """Of a module: jitted for each one and its options, with outputs as NumPy's."""

    @functools.cache
    def jitted(module, options):
        return jax.jit(functools.partial(function, module, **dict(options)))

    def call(module, *args, **options):
        fixed = {
            name: option
            for name, option in options.items()
            if isinstance(option, bool | str) or callable(option)
        }
        arrays = {k: v for k, v in options.items() if k not in fixed}
        program = jitted(module, tuple(fixed.items()))
        return jax.tree.map(np.asarray, program(*args, **arrays))

    return call


class References:
    """Numbers of an oracle, committed: one file for each test file, a line a case."""

    def __init__(self, path):
        self.path = path
        self.cases = json.loads(path.read_text()) if path.exists() else {}

    def __getitem__(self, name):
        """Up to 32 numbers of what the oracle gave."""
        return np.array(self.cases[name], np.float64)

    def check(self, name, outputs):
        """That the committed numbers are the oracle's; writes them, if asked to."""
        if os.environ.get("FDL_WRITE_REFERENCES"):
            self.cases[name] = [float(f"{x:.8g}") for x in sample(outputs)]
            lines = [f"{json.dumps(k)}: {v}" for k, v in sorted(self.cases.items())]
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        assert_close(sample(outputs), self[name], 1e-5)

    def agree(self, name, outputs, tolerance=1e-5):
        """That our outputs are the committed numbers."""
        assert_close(sample(outputs), self[name], tolerance)


@pytest.fixture(scope="module")
def references(request):
    """The committed numbers of this test file."""
    stem = pathlib.Path(request.module.__file__).stem.removeprefix("test_")
    return References(REFERENCES / f"{stem}.json")


def sample(outputs):
    """32 numbers evenly spread over all of an array."""
    flat = np.asarray(outputs, np.float64).reshape(-1)
    return flat[np.linspace(0, flat.size - 1, min(32, flat.size)).astype(int)]


def assert_close(actual, expected, tolerance):
    """Relative to the largest number: small ones are sums in which digits cancel."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    worst = np.max(np.abs(actual - expected)) / max(np.max(np.abs(expected)), 1e-6)
    assert worst <= tolerance, f"relative difference {worst:.2e} > {tolerance:.0e}"
    return worst


@pytest.fixture(scope="session", name="assert_close")
def assert_close_fixture():
    """``assert_close(actual, expected, tolerance)``; returns the difference."""
    return assert_close


@pytest.fixture(scope="session")
def torch():
    """PyTorch, if it is installed; its torchvision may lack compiled operators."""
    torch = pytest.importorskip("torch")
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            operators.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
    torch.manual_seed(0)
    yield torch  # The operators live as long as `operators` does.


@pytest.fixture(scope="session")
def agrees_with_torch(torch, random_variables):
    """``agrees_with_torch(module, reference, rules, *inputs)``: in all that counts.

    Carries our variables over into a torch module, and holds against it the outputs in
    evaluation, the gradients of a scalar of the outputs in training towards every
    parameter, and the statistics of batch norm. Nothing may be random. Returns torch's
    outputs in evaluation.

    Args:
      to_theirs_inputs: Our inputs as torch's; images get their channels first.
      to_theirs_outputs: Our outputs as torch's, differentiable by JAX.
      outputs_of: What to compare of what torch returns.
      train: Whether gradients are those in training.
    """

    def check(
        module,
        reference,
        rules,
        *inputs,
        to_theirs_inputs=channels_first,
        to_theirs_outputs=lambda outputs: outputs,
        outputs_of=lambda outputs: outputs,
        train=True,
        tolerance=1e-5,
        gradient_tolerance=1e-4,
    ):
        variables = random_variables(module, *inputs)
        carry_over(torch, reference, to_theirs(variables, rules))
        theirs = [torch.tensor(x) for x in to_theirs_inputs(*inputs)]

        with torch.no_grad():
            expected = outputs_of(reference.eval()(*theirs)).numpy()
        actual = to_theirs_outputs(jax.jit(module.apply)(variables, *inputs))
        worst = {"outputs": assert_close(actual, expected, tolerance)}

        counts = count_normalised(torch, reference.train(train))
        outputs = outputs_of(reference(*theirs))
        weights = np.cos(np.arange(outputs.numel(), dtype=np.float32))
        weights = weights.reshape(outputs.shape)
        (outputs * torch.tensor(weights)).sum().backward()

        @jax.jit
        @functools.partial(jax.grad, has_aux=True)
        def gradients(params):
            outputs, state = module.apply(
                {**variables, "params": params},
                *inputs,
                train=train,
                mutable=["batch_stats"],
            )
            return jnp.sum(to_theirs_outputs(outputs) * weights), state

        actual, state = gradients(variables["params"])
        grads = {name: p.grad for name, p in reference.named_parameters()}
        grads = {name: g.numpy() for name, g in grads.items() if g is not None}
        expected_grads, _ = to_ours(grads, rules, {"params": actual})
        worst["gradients"] = assert_trees_close(
            flatten({"params": actual}), expected_grads, gradient_tolerance
        )
        if train and "batch_stats" in variables:
            after = biased(reference, to_theirs(variables, rules), counts)
            after, _ = to_ours(after, rules, state)
            worst["batch_stats"] = assert_trees_close(flatten(state), after, tolerance)
        name = type(module).__name__
        print(name, ", ".join(f"{key} {value:.1e}" for key, value in worst.items()))
        return expected

    return check


def channels_first(*inputs):
    """Images [B, H, W, C] as [B, C, H, W]; all else as it is."""
    return [np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x for x in inputs]


def carry_over(torch, reference, arrays):
    """Loads arrays into a torch module: each of them, and all that it learns."""
    state = {name: torch.tensor(np.array(array)) for name, array in arrays.items()}
    missing, unexpected = reference.load_state_dict(state, strict=False)
    learned = {name for name, _ in reference.named_parameters()}
    assert not unexpected and not learned & {*missing}, (missing, unexpected)


def assert_trees_close(actual, expected, tolerance):
    """Each array relative to its largest number, or a hundredth of the largest of all.

    Biases of keys, and those in front of a batch norm, have no gradient but rounding.
    """
    assert actual.keys() == expected.keys(), actual.keys() ^ expected.keys()
    top = max(np.max(np.abs(x)) for x in expected.values())
    worst = {
        path: np.max(np.abs(np.asarray(actual[path]) - expected[path]))
        / max(np.max(np.abs(expected[path])), 1e-2 * top)
        for path in expected
    }
    path = max(worst, key=worst.get)
    assert worst[path] <= tolerance, f"{path}: {worst[path]:.2e} > {tolerance:.0e}"
    return worst[path]


def count_normalised(torch, reference):
    """How many numbers each batch norm averages over; filled when it is called."""
    counts = {}
    for name, module in reference.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):

            def hook(module, inputs, name=name):
                counts[name] = inputs[0].numel() // inputs[0].shape[1], module.momentum

            module.register_forward_pre_hook(hook)
    return counts


def biased(reference, before, counts):
    """Torch's statistics, with its running variance by n for that by n - 1."""
    state = {name: x.numpy() for name, x in reference.state_dict().items()}
    for name, (n, momentum) in counts.items():
        kept = (1 - momentum) * before[f"{name}.running_var"]
        new = state[f"{name}.running_var"] - kept
        state[f"{name}.running_var"] = kept + new * (n - 1) / n
    return state

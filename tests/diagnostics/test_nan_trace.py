"""The first operation that goes wrong, in programs of which it is known."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fdl.diagnostics import trace_nonfinite

PROGRAMS = 340

ZERO, ONE = jnp.zeros(3), jnp.ones(3)


def log_of_relu(w):
    hidden = jax.nn.relu(-w)
    return jnp.log(hidden).mean()  # here


def overflow(w):
    large = jnp.exp(w * 100)  # here
    return (large / (large + 1)).sum()


def division_in_scan(w):
    def body(carry, x):
        carry = carry + x / (x * w[0])  # here
        return carry, carry

    return lax.scan(body, 0.0, jnp.array([1.0, 2.0, 0.0, 3.0]))[1].sum()


def reversed_scan(w):
    def body(carry, x):
        return carry - x, jnp.log(carry)  # here

    return lax.scan(body, w[0], jnp.array([9.0, 9.0, 9.0, 1.0]), reverse=True)[1].sum()


def while_loop(w):
    def body(carry):
        return carry[0] + 1, carry[1] * 1e20  # here

    return lax.while_loop(lambda c: c[0] < 5, body, (0, w))[1].sum()


def condition(w):
    return lax.cond(
        w[0] > 0,
        lambda x: 1 / (x - 1),  # here
        lambda x: x,
        w,
    ).sum()


def one_platform(w):
    return lax.platform_dependent(
        w - 1,
        cpu=lambda x: jnp.log(x),  # here
        default=lambda x: x,
    ).sum()


def rematerialised(w):
    @jax.checkpoint
    def inner(x):
        return jnp.log(x - 1)  # here

    return inner(w).sum()


def vmapped(w):
    return jax.vmap(lambda x: jnp.log(x - 1))(w).sum()  # here


@jax.custom_vjp
def own_gradient(x):
    return x


own_gradient.defvjp(
    lambda x: (x, x),
    lambda x, ct: (ct / (x - 1),),
)


def all_masked(w):
    scores = jnp.where(jnp.array([False] * 3), w, -jnp.inf)
    return jax.nn.softmax(scores).sum()  # here


def random_division(w):
    noise = jax.random.normal(jax.random.key(0), (3,))
    return (noise / (w - w)).sum()  # here


@pytest.mark.parametrize("jitted", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("with_gradient", [False, True])
@pytest.mark.parametrize(
    "function, primitive, loops",
    [
        (log_of_relu, "log", ()),
        (overflow, "exp", ()),
        (division_in_scan, "div", ("3 of 4",)),
        (reversed_scan, "log", ("3 of 4",)),
        (while_loop, "mul", ("2",)),
        (condition, "div", ()),
        (one_platform, "log", ()),
        (rematerialised, "log", ()),
        (vmapped, "log", ()),
        (all_masked, "sub", ()),
        (random_division, "div", ()),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
@pytest.mark.some(10)
def test_the_first_operation_is_named_with_its_line(
    function, primitive, loops, with_gradient, jitted
):
    if with_gradient and function is while_loop:
        pytest.skip("a loop of unknown length has no gradient backward")
    called = jax.value_and_grad(function) if with_gradient else function
    found = trace_nonfinite(jax.jit(called) if jitted else lambda w: called(w), ONE)
    assert found.operation.primitive == primitive
    assert found.operation.loops == loops
    assert found.arguments == ()
    assert not found.operation.backward
    assert line(found.operation) == marked(function)


def marked(function) -> int:
    """The line of a function with the mark."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, text in enumerate(lines) if "# here" in text)


def line(operation) -> int:
    """The innermost line of this file."""
    return [f.line for f in operation.frames if f.file == __file__][-1]


def test_an_overflow_is_named_before_the_nan_that_it_becomes():
    found = trace_nonfinite(overflow, ONE)
    assert found.operation.primitive == "exp" and found.nan_operation.primitive == "div"
    assert found.operation.result.value == np.inf
    assert np.isnan(found.nan_operation.result.value)


def test_a_gradient_can_go_wrong_where_the_loss_does_not():
    def root(w):
        return jnp.sqrt(w).sum()

    def where(w):
        return jnp.where(w > 0, jnp.log(w), 0.0).sum()

    for function, name in ((root, "div"), (where, "div")):
        assert trace_nonfinite(function, ZERO) is None
        found = trace_nonfinite(jax.value_and_grad(function), ZERO)
        assert found.operation.primitive == name and found.outputs == ("1",)
        assert line(found.operation) == function.__code__.co_firstlineno + 1
    assert found.operation.backward  # 0 / 0, in the branch that was not taken.


def test_a_backward_rule_of_ones_own_is_looked_into():
    """Its line is that of the call: jax gives no other to what runs backward."""

    def function(w):
        return own_gradient(w).sum()

    found = trace_nonfinite(jax.grad(function), ONE)
    assert found.operation.primitive == "div" and found.operation.backward
    assert line(found.operation) == function.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    "function",
    [
        lambda w: jax.nn.softmax(jnp.where(jnp.arange(3) > 0, w, -jnp.inf)).sum(),
        lambda w: jnp.where(w > 0, w, jnp.log(w - 1)).sum(),
        lambda w: jnp.exp(jnp.log(w - 1)).sum(),
        lambda w: jnp.minimum(jnp.inf, w).sum(),
    ],
)
def test_infinities_that_lead_to_nothing_are_no_fault(function):
    assert trace_nonfinite(function, ONE) is None

    def spoilt(w):
        return function(w) / jnp.zeros(())

    assert trace_nonfinite(spoilt, ONE).operation.primitive == "div"


def test_what_a_choice_leaves_out_is_not_to_blame():
    def function(w):
        low, high = jnp.log(jnp.arange(3) * w), w / (w - 1)
        return jnp.where(jnp.arange(3) > 0, low, high)  # The first of low is -inf.

    assert trace_nonfinite(function, ONE).operation.primitive == "div"


def test_a_loop_that_carries_infinity_on_purpose_is_not_blamed_for_a_nan():
    """The running maximum begins at -inf, as in a Viterbi path or a CTC loss."""

    def body(carry, x):
        best, low = carry
        return (jnp.maximum(best, x), low + x), jnp.log(x)

    def function(xs):
        (best, low), logs = lax.scan(body, (-jnp.inf, -jnp.inf), xs)
        return best + jnp.where(jnp.isfinite(low), low, 0) + jnp.sqrt(logs).sum()

    found = trace_nonfinite(function, jnp.array([2.0, 0.5, 3.0]))
    assert found.operation.primitive == "sqrt" and found.operation.loops == ()


def test_what_was_given_is_named_first():
    def function(params, batch):
        return jnp.log(batch["x"] @ params["w"]).sum()

    good, bad = jnp.ones((4, 3)), jnp.ones((4, 3)).at[2, 1].set(jnp.nan)
    for params, x, name in (
        (ONE, bad, "batch/x"),
        (ONE.at[0].set(jnp.inf), good, "params/w"),
        (ONE.at[0].set(jnp.nan), good, "params/w"),
    ):
        found = trace_nonfinite(function, {"w": params}, {"x": x})
        assert found.arguments == (name,) and found.operation is None
    found = trace_nonfinite(function, {"w": ONE}, {"x": bad.at[0].set(0.0)})
    assert found.arguments == ("batch/x",)
    # What is bad and not used is not named.
    masked = trace_nonfinite(
        lambda x: jnp.log(jnp.where(jnp.isnan(x), 0.0, x)).sum(), bad.astype(float)
    )
    assert masked.arguments == () and masked.operation.primitive == "log"


def test_a_constant_of_the_program_is_named_by_what_uses_it():
    table = np.array([1.0, np.nan, 2.0], np.float32)
    found = trace_nonfinite(lambda w: (w * 2 * table).sum(), ONE)
    assert found.operation.primitive == "mul" and found.arguments == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_every_kind_of_float_is_looked_at(dtype):
    found = trace_nonfinite(lambda x: (x / (x - x)).sum(), jnp.ones(3, dtype))
    assert found.operation.primitive == "div"
    assert found.operation.operands[0].type == f"{dtype}[3]"


def test_the_place_and_the_numbers_there_are_told():
    x = jnp.array([[1.0, 4.0], [0.0, 2.0]])
    made = trace_nonfinite(lambda x: jnp.log(x), x).operation
    assert made.position == (1, 0) and made.operands[0].value == 0
    assert made.result.value == -np.inf and made.result.num_nonfinite == 1
    assert made.operands[0][:3] == ("float32[2, 2]", 0.0, 4.0)
    assert made.result.size == 4


def test_modules_are_named():
    @functools.partial(jax.named_call, name="head")
    def head(x):
        return jnp.log(x - 1).sum()

    found = trace_nonfinite(jax.value_and_grad(head), ONE)
    assert "head" in found.operation.scope


def test_what_is_finite_has_no_origin():
    assert trace_nonfinite(jax.value_and_grad(lambda w: (w**2).sum()), ONE) is None
    assert trace_nonfinite(lambda n: n + 1, jnp.arange(3)) is None


@pytest.mark.parametrize("name", ["CNN", "RNNClassifier"])
@pytest.mark.some(1)
def test_networks_are_looked_into(name):
    """Convolutions differ by platform, and recurrence has a gradient of its own."""
    from fdl import models

    if name == "CNN":
        module = models.CNN((4,), (8,), 2)
        x = jnp.ones((2, 4, 4, 1))
    else:
        module, x = models.RNNClassifier(4, num_classes=2), jnp.ones((2, 5, 3))
    model = models.functional(module, x)
    variables = jax.jit(model.init)(jax.random.key(0))

    def loss(params, x):
        y, _ = model.apply({**variables, "params": params}, x)
        return jnp.log(jnp.square(y - y)).sum()

    found = trace_nonfinite(jax.value_and_grad(loss), variables["params"], x)
    assert found.operation.primitive == "log"
    large = jax.tree.map(lambda p: jnp.full_like(p, 3e38), variables["params"])
    found = trace_nonfinite(
        jax.value_and_grad(lambda p, x: model.apply({"params": p}, x)[0].sum()),
        large,
        x,
    )
    assert name in found.operation.scope and found.arguments == ()
    assert any("fdl/models" in frame.file for frame in found.operation.frames)

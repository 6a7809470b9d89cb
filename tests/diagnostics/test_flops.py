import jax
import jax.numpy as jnp
import pytest

from fdl import models
from fdl.diagnostics.flops import flops, flops_by_scope


@pytest.mark.parametrize("sizes", [(128, 256, 512), (1, 7, 3)])
def test_a_matrix_product_takes_two_operations_for_each_term(sizes):
    m, k, n = sizes
    assert flops(jnp.dot, jnp.zeros((m, k)), jnp.zeros((k, n))) == 2 * m * n * k


def test_a_scan_counts_as_often_as_it_runs():
    w = jnp.zeros((8, 8))

    def scanned(x):
        return jax.lax.scan(lambda x, _: (x @ w, None), x, length=24)[0]

    def unrolled(x):
        for _ in range(24):
            x = x @ w
        return x

    x = jnp.zeros((2, 8))
    assert flops(scanned, x) == flops(unrolled, x) == 24 * 2 * 2 * 8 * 8


def test_of_two_branches_the_more_expensive_counts():
    def either(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x, x)

    assert flops(either, jnp.zeros((4, 4))) == 2 * 4**3


def test_lenet_has_the_published_number_of_operations():
    # 0.417 million multiply-adds: 117,600 + 240,000 + 48,000 + 10,080 + 840.
    image = jnp.zeros((1, 28, 28, 1))
    model = models.functional(models.lenet5(), image)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert flops(model.apply, variables, image) == 2 * 416_520


def test_zeros_between_the_inputs_of_a_transposed_convolution_do_not_count():
    # Each pixel of the input is multiplied by the whole kernel, once.
    images, kernel = jnp.zeros((2, 5, 5, 3)), jnp.zeros((2, 2, 3, 4))

    def transposed(images, kernel):
        return jax.lax.conv_transpose(images, kernel, (2, 2), "VALID")

    assert flops(transposed, images, kernel) == 2 * (2 * 5 * 5) * 3 * (2 * 2 * 4)


def test_what_lies_in_a_scope_is_named_after_it():
    def function(x):
        with jax.named_scope("outer"):
            x = x @ x

            def body(x, _):
                with jax.named_scope("inner"):
                    x = jnp.einsum("ij,jk->ik", x, x)
                return jnp.einsum("ij,jk->ik", x, x), None

            x, _ = jax.lax.scan(body, x, length=3)
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x, x)

    by_scope = flops_by_scope(function, jnp.zeros((2, 2)))
    assert by_scope.total() == flops(function, jnp.zeros((2, 2)))
    outer = sum(n for scope, n in by_scope.items() if scope.startswith("outer"))
    inner = sum(n for scope, n in by_scope.items() if "inner" in scope)
    assert (outer, inner, by_scope.total()) == (16 * 7, 16 * 3, 16 * 9)

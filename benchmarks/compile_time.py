"""Compile time of the training step of a deep Transformer.

    .venv/bin/python benchmarks/compile_time.py

Layers unrolled, and stacked: one is compiled and run many times.
"""

import time

import jax
import jax.numpy as jnp
import optax

from fdl import models


def main() -> None:
    """Prints a table."""
    print(f"{'layers':>8}{'':10}{'trace s':>10}{'compile s':>11}")
    for num_layers in (12, 48):
        for scan_layers in (False, True):
            trace, compilation = seconds(num_layers, scan_layers)
            kind = "stacked" if scan_layers else "unrolled"
            print(f"{num_layers:8}  {kind:8}{trace:10.2f}{compilation:11.2f}")


def seconds(num_layers: int, scan_layers: bool) -> tuple[float, float]:
    """Tracing and lowering, and compiling, a training step."""
    module = models.GPT(
        num_layers, 4, 128, vocab_size=256, max_length=64, scan_layers=scan_layers
    )
    tokens = jnp.zeros((4, 64), jnp.int32)
    params = jax.eval_shape(module.init, jax.random.key(0), tokens)["params"]
    optimizer = optax.adam(1e-3)
    opt_state = jax.eval_shape(optimizer.init, params)

    def loss_fn(params):
        logits = module.apply({"params": params}, tokens, train=True)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, tokens)
        return losses.mean()

    def step(params, opt_state):
        updates, opt_state = optimizer.update(jax.grad(loss_fn)(params), opt_state)
        return optax.apply_updates(params, updates), opt_state

    began = time.perf_counter()
    lowered = jax.jit(step).lower(params, opt_state)
    traced = time.perf_counter()
    lowered.compile()
    return traced - began, time.perf_counter() - traced


if __name__ == "__main__":
    main()

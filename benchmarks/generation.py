"""Tokens a second of generation, with a cache and without.

    .venv/bin/python benchmarks/generation.py [CASE ...]

With a cache it is `fdl.generation.generate`, greedily, with a prompt of 32 tokens;
without, the whole text is computed anew for each token, in one program for the longest.
Both take turns, and the median of all rounds is printed; compilation is not measured.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from fdl import generation, models
from fdl.runs.process import keep_freed_memory

PROMPT = 32
CASES = {  # Model, and tokens to generate.
    "nanogpt_char": (models.nanogpt_char, 224),
    "gpt2_small": (models.gpt2_small, 96),
}


def main() -> None:
    """Prints a line for each case and batch size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=[*CASES], metavar="CASE")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_freed_memory()
    print(f"{'tokens a second':28}{'cache':>9}{'without':>9}{'ratio':>7}")
    for case in options.cases:
        for batch_size in (1, 16):
            cached, plain = measure(*CASES[case], batch_size, options.rounds)
            name = f"{case}, batch {batch_size}"
            print(
                f"{name:28}{cached:9.1f}{plain:9.1f}{cached / plain:7.1f}", flush=True
            )


def measure(make, num_tokens, batch_size, rounds):
    """Tokens a second with and without a cache."""
    module = make(dropout=0.0)
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    decoder = generation.decoder(model)
    random = np.random.RandomState(0)
    prompts = random.randint(module.vocab_size, size=(batch_size, PROMPT))
    few = 4  # Each token costs the same, as all are of the longest text.

    @jax.jit
    def next_token(variables, tokens, length):
        features, _ = model.apply(variables, tokens, return_features=True)
        last = jax.lax.dynamic_slice_in_dim(features, length - 1, 1, axis=1)
        logits, _ = model.apply(variables, last, method="logits")
        return tokens.at[:, length].set(logits[:, 0].argmax(axis=-1))

    def with_cache():
        made = generation.generate(decoder, variables, prompts, max_tokens=num_tokens)
        return made.tokens[:, 0], num_tokens

    def without():
        tokens = jnp.zeros((batch_size, PROMPT + num_tokens), jnp.int32)
        tokens = tokens.at[:, :PROMPT].set(prompts)
        for i in range(few):
            tokens = next_token(variables, tokens, PROMPT + i)
        return np.asarray(tokens[:, PROMPT:]), few

    first, second = with_cache()[0][:, :few], without()[0][:, :few]
    assert (first == second).all(), (first, second)
    seconds = [[timed(f) for f in (with_cache, without)] for _ in range(rounds)]
    return [batch_size / statistics.median(s) for s in zip(*seconds, strict=True)]


def timed(function) -> float:
    """Seconds for each token of a row."""
    start = time.perf_counter()
    _, count = function()
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()

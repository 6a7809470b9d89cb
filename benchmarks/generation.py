"""Tokens a second of generation, with a cache and without, and beside transformers.

    .venv/bin/python benchmarks/generation.py [CASE ...] [--torch]

With a cache it is `fdl.generation.generate`, greedily, with a prompt of 32 tokens;
without, the whole text is computed anew for each token, in one program for the longest.
With ``--torch``, which needs PyTorch and transformers, and a GPT-2, it is transformers'
`generate` of the same weights as well. All take turns, and the median of all rounds is
printed; compilation is not measured.

Each token of a batch of one reads all parameters once. The bandwidth is that of these
reads, as a share of what NumPy reads and writes when it copies 512 MiB.
"""

import argparse
import statistics
import tempfile
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
    parser.add_argument("--torch", action="store_true", help="beside transformers")
    options = parser.parse_args()
    keep_freed_memory()
    copied = copy_bandwidth()
    print(f"copying: {copied / 1e9:.1f} GB/s")
    names = ["cache", "without", *["torch"] * options.torch, "bandwidth"]
    print(f"{'tokens a second':28}" + "".join(f"{name:>10}" for name in names))
    for case in options.cases:
        make, num_tokens = CASES[case]
        module = make(dropout=0.0)
        model = models.functional(module)
        variables = jax.jit(model.init)(jax.random.key(0))
        size = sum(x.nbytes for x in jax.tree.leaves(variables))
        for batch_size in (1, 16):
            speeds = measure(model, variables, num_tokens, batch_size, options)
            share = speeds[0] / batch_size * size / copied
            row = "".join(f"{speed:10.1f}" for speed in speeds) + f"{share:10.0%}"
            print(f"{f'{case}, batch {batch_size}':28}{row}", flush=True)


def copy_bandwidth():
    """Bytes a second that are read and written to copy 512 MiB: the best of five."""
    source = np.ones(1 << 27, np.float32)
    target = np.zeros_like(source)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(seconds)


def measure(model, variables, num_tokens, batch_size, options):
    """Tokens a second with a cache, without, and of transformers if asked for."""
    module = model.module
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

    functions = [with_cache, without]
    if options.torch:
        functions.append(in_torch(model, variables, prompts, num_tokens))
    first, *others = (function()[0][:, :few] for function in functions)
    for other in others:
        assert (first == other).all(), (first, other)
    seconds = [[timed(f) for f in functions] for _ in range(options.rounds)]
    return [batch_size / statistics.median(s) for s in zip(*seconds, strict=True)]


def in_torch(model, variables, prompts, num_tokens):
    """Function of transformers that generates with the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        models.to_folder(folder, models.Published(model, variables))
        theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = torch.tensor(prompts)

    def generate():
        with torch.inference_mode():
            made = theirs.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=num_tokens,
                min_new_tokens=num_tokens,
                do_sample=False,
                pad_token_id=0,
            )
        return made[:, PROMPT:].numpy(), num_tokens

    return generate


def timed(function) -> float:
    """Seconds for each token of a row."""
    start = time.perf_counter()
    _, count = function()
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    main()

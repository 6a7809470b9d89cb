"""Recipes have the published sizes, rates and batches; small ones learn something."""

import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import optim
from fdl.cli import main
from fdl.runs.experiment import build, load
from fdl.runs.log import last_values, read_lines

FOLDER = pathlib.Path(__file__).parents[1] / "experiments" / "recipes"


def noam(size, warmup=4000):
    """Equation 3 of Vaswani et al."""
    return lambda step: size**-0.5 * min(step**-0.5, step * warmup**-1.5)


def cosine(peak, end, warmup, total):
    """Linear from zero, as Radford et al., and half a cosine to the last step."""

    def rate(step):
        if step <= warmup:
            return peak * step / warmup
        share = (step - warmup) / (total - warmup)
        return end + (peak - end) * (1 + np.cos(np.pi * share)) / 2

    return rate


def rsqrt(peak, warmup):
    """Schedule of flax's examples."""
    return lambda step: peak * min(step / warmup, (warmup / step) ** 0.5)


def linear(peak, warmup, total):
    """Linear warmup and decay, as transformers has it; BERT decays from the start."""
    return lambda step: peak * min(step / warmup, (total - step) / (total - warmup))


@pytest.mark.parametrize(
    "name, published, steps, offset",
    [
        ("wmt14_transformer.py:base", noam(512), (1, 4000, 100_000), 1),
        ("wmt14_transformer.py:big", noam(1024), (1, 4000, 300_000), 1),
        ("gpt2_124m.py:full", cosine(6e-4, 6e-5, 2000, 600_000), (0, 2000, 599_999), 0),
        ("lm1b.py:full", rsqrt(1.6e-3, 1000), (1, 1000, 500_000), 1),
        # Of a thousand steps.
        ("sst2_bert.py:full", linear(2e-5, 100, 1000), (0, 100, 999), 0),
    ],
)
def test_learning_rates_are_those_of_the_paper(name, published, steps, offset):
    config = load(str(FOLDER / name), []).config
    chain = optim.chain(**config.optimizer, num_steps=config.num_steps or 1000)
    params = {"kernel": jnp.ones((2, 2))}
    state = chain.init(params)

    @jax.jit
    def rate(count):
        later = jax.tree.map(lambda x: count if x.dtype == jnp.int32 else x, state)
        return chain.report(chain.update(params, later, params)[1]).metrics[
            "learning_rate"
        ]

    found = [float(rate(jnp.int32(step - offset))) for step in steps]
    np.testing.assert_allclose(found, [published(s) for s in steps], rtol=3e-5)


def encoder_decoder(size, hidden, num_layers=6, vocab_size=37_000):
    attention, norm = 4 * (size**2 + size), 2 * size
    mlp = 2 * size * hidden + hidden + size
    encoder = attention + mlp + 2 * norm
    decoder = 2 * attention + mlp + 3 * norm
    return num_layers * (encoder + decoder) + vocab_size * size


def decoder_only(size, hidden, num_layers, vocab_size, length):
    layer = 4 * (size**2 + size) + 2 * size * hidden + hidden + size + 4 * size
    return num_layers * layer + 2 * size + (vocab_size + length) * size


@pytest.mark.parametrize(
    "name, count",
    [
        ("wmt14_transformer.py:base", encoder_decoder(512, 2048)),
        ("wmt14_transformer.py:big", encoder_decoder(1024, 4096)),
        ("gpt2_124m.py:full", 124_373_760),
        ("lm1b.py:full", decoder_only(512, 2048, 6, 30_000, 128)),
        # Keras has 2,757,761 with one output in place of two.
        ("imdb_lstm.py:full", 2_757_761 + 129),
    ],
)
def test_parameters_are_as_many_as_published(name, count):
    config = load(str(FOLDER / name), []).config
    size = {"vocab_size": config.vocab_size} if "vocab_size" in config else {}
    module = fdl.make(fdl.models, config.model, **size)
    if "imdb" in name:
        module = module.clone(num_classes=2, pad_token=0)
    tokens = jnp.zeros((1, 8), jnp.int32)
    inputs = (tokens, tokens) if "wmt" in name else (tokens,)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == count


@pytest.fixture
def parallel(tmp_path):
    random = np.random.default_rng(0)
    for split, count in (("train", 3000), ("validation", 4)):
        for language in ("en", "de"):
            sizes = random.integers(1, 60, count)
            lines = (" ".join(random.choice(list("abcd"), n)) for n in sizes)
            (tmp_path / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_batches_keep_to_the_budget_of_tokens(parallel):
    loaded = load(
        str(FOLDER / "wmt14_transformer.py:base"),
        [f"data.path={parallel}", "num_buckets=2", "model.num_layers=1"],
    )
    (experiment,) = build(loaded)
    sizes = []
    for batch in itertools.islice(experiment.batches.stream(0), 20):
        rows = batch["source"].shape[0]
        widths = batch["source"].shape[1], batch["target"].shape[1] - 1
        sizes.append([rows * width for width in widths])
    assert np.max(sizes) <= 25_000
    # The last batch of a bucket is not full.
    assert np.max(sizes) > 0.99 * 25_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::fdl.errors.DataWarning")  # Captions repeat.
@pytest.mark.parametrize("name", ["wmt14_transformer", "gpt2_124m", "lm1b"])
def test_an_eighth_of_the_width_learns_more_than_frequencies(name, tmp_path):
    folder = tmp_path / "run"
    path = f"{FOLDER / name}.py:eighth"
    assert main(["train", path, "--workdir", str(folder)]) == 0
    loss = last_values(read_lines(folder / "metrics.jsonl"), "eval")["loss"]
    (experiment,) = build(load(path, []))
    assert loss < unigram(experiment.batches)


def unigram(batches):
    """Entropy of the tokens of a hundred batches, in nats."""
    counts = np.zeros(1)
    for item in itertools.islice(batches.stream(0), 100):
        batch = jax.device_get(batches.take(batches.data, item))
        tokens = batch["target"][:, 1:] if "target" in batch else batch["tokens"]
        found = np.bincount(tokens.ravel())
        counts = np.pad(counts, (0, max(0, len(found) - len(counts))))
        counts[: len(found)] += found
    if "target" in batch:
        counts = counts[:-1]  # Padding.
    shares = counts[counts > 0] / counts.sum()
    return -(shares * np.log(shares)).sum()

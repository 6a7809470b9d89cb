"""Laws of generation, on a Markov chain with a cache."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import generation, models
from fdl.errors import RunError
from fdl.generation import Decoder, beam_search, generate, stream

KEY = jax.random.key(0)
TABLE = np.float32(2 * np.random.RandomState(0).normal(size=(9, 9)))
PROMPTS = [[3, 1], [4], [1, 5, 2]]


def prefill(variables, prompt, mask, max_length):
    assert prompt.shape[1] <= max_length
    last = jnp.take_along_axis(prompt, mask.sum(axis=1)[:, None] - 1, axis=1)
    return step(variables, last, last[:, 0])


def step(variables, cache, token):
    return jnp.where(token[:, None] >= 0, token[:, None], cache), variables[token]


def reorder(cache, rows):
    return cache[rows]


CHAIN = Decoder(prefill, step, reorder, None, 9)
SHORT = CHAIN._replace(max_length=16)


def run(prompts=PROMPTS, key=KEY, *, table=TABLE, decoder=CHAIN, **options):
    options = {"max_tokens": 12, "num_samples": 2, **options}
    return generate(decoder, table, prompts, key, **options)


def test_without_a_key_the_most_likely_tokens_are_taken():
    expected = []
    for prompt in PROMPTS:
        text = [*prompt]
        for _ in range(12):
            text.append(int(TABLE[text[-1]].argmax()))
        expected.append(text[len(prompt) :])
    for sample in run(key=None).tokens.swapaxes(0, 1):
        assert sample.tolist() == expected
    cold = run(filters=[generation.temperature(0.0)])
    assert cold.tokens[:, 0].tolist() == expected


def test_samples_have_the_probabilities_of_the_filtered_logits():
    filters = [generation.temperature(1.5), generation.top_k(4)]
    found = run([[2]], max_tokens=1, num_samples=4000, filters=filters)
    counts = np.bincount(found.tokens[0, :, 0], minlength=9)
    logits = np.float64(TABLE[2]) / 1.5
    logits[np.argsort(logits)[:-4]] = -np.inf
    expected = 4000 * np.exp(logits) / np.exp(logits).sum()
    assert not counts[expected == 0].any()
    some = expected > 0
    chi2 = np.sum((counts - expected)[some] ** 2 / expected[some])
    assert chi2 < 16.3  # That of 3 degrees of freedom exceeds it once in a thousand.


def test_a_prompt_has_the_same_text_alone_and_in_any_batch():
    together = run()
    for number, prompt in enumerate(PROMPTS):
        alone = run([prompt], num_samples=1, numbers=[number])
        np.testing.assert_array_equal(alone.tokens[0, 0], together.tokens[number, 0])
    swapped = run(PROMPTS[::-1], numbers=[2, 1, 0])
    np.testing.assert_array_equal(swapped.tokens[::-1], together.tokens)
    texts = {tuple(row) for row in together.tokens.reshape(6, -1).tolist()}
    others = run(key=jax.random.key(1))
    assert len(texts) == 6 and (others.tokens != together.tokens).any()


def test_a_prompt_of_another_length_compiles_nothing():
    chex.clear_trace_counter()
    once = chex.assert_max_traces(lambda *args: prefill(*args), n=1)
    decoder = CHAIN._replace(prefill=once)
    for prompts in [[1], [2, 3]], [[1] * 8, [2, 3, 4]]:
        assert run(prompts, decoder=decoder).lengths.tolist() == [[12, 12]] * 2


def test_nothing_comes_behind_a_stop_token():
    free, found = run().tokens.reshape(6, -1), run(stop_tokens=[7, 8])
    lengths = found.lengths.reshape(6)
    for row, length, same in zip(
        found.tokens.reshape(6, -1), lengths, free, strict=True
    ):
        stops = np.flatnonzero(np.isin(same, [7, 8]))
        assert length == (stops[0] + 1 if stops.size else 12)
        np.testing.assert_array_equal(row[:length], same[:length])
        assert not row[length:].any()
    assert 0 < lengths.min() < lengths.max() <= 12


def test_a_stream_is_of_eight_tokens_and_ends_when_all_have_stopped():
    table = np.full((9, 9), -99, np.float32)
    table[np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 0]] = 0  # Counts up.
    options = {"key": KEY, "num_samples": 2}
    parts = [*stream(CHAIN, table, [[0], [2], [1]], max_tokens=12, **options)]
    assert [tokens.shape for tokens, _ in parts] == [(3, 2, 8), (3, 2, 4)]
    assert parts[0][0][0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    options["stop_tokens"] = [7, 8]
    parts = [*stream(CHAIN, table, [[0], [3], [6]], max_tokens=12, **options)]
    assert len(parts) == 1
    assert parts[0][1].sum(axis=-1).tolist() == [[7, 7], [4, 4], [1, 1]]


def test_where_positions_are_used_up_it_goes_on_from_the_last_tokens():
    expected = []
    for prompt in PROMPTS:
        text = [*prompt]
        for _ in range(40):
            logits, seen = TABLE[text[-1]].copy(), [*{*text}]
            logits[seen] *= np.where(logits[seen] > 0, 1 / 1.5, 1.5)
            text.append(int(logits.argmax()))
        expected.append(text[len(prompt) :])
    options = {"decoder": SHORT, "context": 5, "repetition_penalty": 1.5}
    found = run(key=None, max_tokens=40, **options)
    assert found.tokens[:, 0].tolist() == expected
    with pytest.raises(
        ValueError, match="3 tokens and max_tokens=14: expected at most"
    ):
        run(decoder=SHORT, max_tokens=14)
    with pytest.raises(ValueError, match="17 tokens: expected at most the 16 pos"):
        run([[1] * 17], decoder=SHORT, context=5)


def test_each_text_goes_on_from_its_own_last_tokens():
    def prefill(variables, prompt, mask, max_length):
        total = (prompt * mask).sum(axis=1)  # It knows of all that it was given.
        return total, variables[total % 9]

    def step(variables, total, token):
        return total + token, variables[(total + token) % 9]

    decoder = SHORT._replace(prefill=prefill, step=step)
    options = {"max_tokens": 40, "context": 5, "num_samples": 1, "decoder": decoder}
    together = run(**options)
    for number, prompt in enumerate(PROMPTS):
        alone = run([prompt], numbers=[number], **options)
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[number])


def test_samples_of_a_prompt_can_be_made_in_parts():
    whole = run([[3]], num_samples=3).tokens
    last = run([[3]], num_samples=2, first_sample=1).tokens
    np.testing.assert_array_equal(last, whole[:, 1:])


def test_no_tokens_can_be_asked_for():
    found = run(max_tokens=0)
    assert found.tokens.shape == (3, 2, 0) and not found.lengths.any()
    beams = beam_search(CHAIN, TABLE, PROMPTS, max_tokens=0)
    assert beams.tokens.shape == (3, 4, 0) and beams.scores[0, 0] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_say_nothing_fail(value):
    table = TABLE.copy()
    table[5] = value
    with pytest.raises(RunError, match="logits of the model are NaN"):
        run([[5]], table=table)
    with pytest.raises(RunError, match="logits of the model are NaN"):
        beam_search(CHAIN, table, [[5]], max_tokens=2)


def test_a_filter_does_not_hide_nan():
    table = TABLE.copy()
    table[5, 3] = np.nan
    with pytest.raises(RunError, match="logits of the model are NaN"):
        run([[5]], table=table, filters=[generation.top_k(2)])


@pytest.mark.slow
def test_half_precision_is_sampled_in_float32():
    table = jnp.zeros((9, 9), jnp.bfloat16)
    found = run([[1]], table=table, num_samples=900, max_tokens=1)
    counts = np.bincount(found.tokens.ravel(), minlength=9)
    assert found.tokens.dtype == np.int32 and 60 < counts.min() < counts.max() < 150


@pytest.mark.parametrize(
    "prompts, options, message",
    [
        ([], {}, r"prompts=\[\]: expected at least one"),
        ([[1], []], {}, r"prompts\[1\]: expected at least one token id"),
        ([[1, 9]], {}, r"prompts\[0\]: token id 9: expected 0 to 8"),
        ([[-1]], {}, r"token id -1: expected 0 to 8"),
        ([[1.5]], {}, r"prompts\[0\]: expected token ids, int \[P\]"),
        ([1, 2], {}, r"prompts\[0\]: expected token ids"),
        (["to be"], {}, r"prompts\[0\]: .* those of the encode of a tokenizer"),
        ([[1]], {"max_tokens": -1}, "max_tokens=-1: expected at least 0"),
        ([[1]], {"num_samples": 0}, "num_samples=0: expected at least 1"),
        ([[1]], {"repetition_penalty": 0.0}, "repetition_penalty=0.0: expected"),
        ([[1]], {"context": 16, "decoder": SHORT}, "context=16: expected at least 1"),
    ],
)
def test_what_cannot_be_continued_is_said(prompts, options, message):
    with pytest.raises(ValueError, match=message):
        run(prompts, **options)


def test_other_models_are_not_decoders():
    with pytest.raises(ValueError, match="model of MLP: expected a GPT, Llama"):
        generation.decoder(models.functional(models.MLP((4,), 2)))
    model = models.functional(models.GPT(1, 2, 8, vocab_size=9, max_length=8))
    variables = jax.eval_shape(model.init, KEY)
    tokens = jnp.ones((1, 4), jnp.int32)
    prefill = generation.decoder(model).prefill
    with pytest.raises(ValueError, match="max_length=9: expected at most the 8 pos"):
        jax.eval_shape(lambda v: prefill(v, tokens, tokens > 0, 9), variables)
    with pytest.raises(ValueError, match="max_length=3: expected at least the 4"):
        jax.eval_shape(lambda v: prefill(v, tokens, tokens > 0, 3), variables)

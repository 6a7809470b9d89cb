"""Beams are those of transformers; `test_decoder` has a search by hand."""

import jax
import numpy as np
import pytest

from fdl import generation, models
from fdl.models.pretrained.convert import to_theirs

GPT = models.GPT(1, 2, 8, vocab_size=11, max_length=16)
PROMPTS = np.array([[3, 1, 4], [1, 5, 9]])
STOP = 7
# Tokens and scores of transformers 5.24; an oracle test computes them anew.
EXPECTED = {
    0.0: [[7], [2, 7], [8, 7], [4, 7], [7], [2, 7], [4, 7], [8, 7]],
    1.0: [
        [2, 7],
        [7],
        [2, 1, 7],
        [2, 2, 7],
        [2, 7],
        [2, 1, 7],
        [4, 2, 2, 7],
        [4, 2, 7],
    ],
    2.0: [
        [4, 2, 2, 2, 2, 4, 2, 7],
        [4, 2, 2, 2, 4, 2, 1, 7],
        [2, 1, 2, 2, 2, 4, 2, 7],
        [4, 2, 2, 2, 4, 2, 2, 7],
        [4, 2, 2, 2, 2, 4, 2, 7],
        [4, 2, 2, 2, 4, 2, 1, 7],
        [4, 2, 2, 2, 2, 4, 8, 7],
        [4, 2, 2, 2, 4, 2, 2, 7],
    ],
    "greedy": [[2, 7, 8, 5, 7, 7, 7, 7], [2, 7, 8, 7, 4, 7, 7, 7]],
}
SCORES = {
    0.0: [
        -1.321535,
        -2.181278,
        -2.996476,
        -3.18068,
        -1.568712,
        -2.078496,
        -3.002683,
        -3.003975,
    ],
    1.0: [
        -1.090639,
        -1.321535,
        -1.427996,
        -1.454623,
        -1.039248,
        -1.386686,
        -1.423872,
        -1.445583,
    ],
    2.0: [
        -0.1917238,
        -0.1965795,
        -0.1970086,
        -0.1984061,
        -0.1847024,
        -0.1924039,
        -0.1934887,
        -0.1935594,
    ],
}


@pytest.fixture(scope="module")
def variables():
    shapes = jax.eval_shape(models.functional(GPT).init, jax.random.key(0))
    random = np.random.RandomState(1)
    return jax.tree.map(lambda x: np.float32(random.normal(size=x.shape) / 2), shapes)


def theirs(variables):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_layer=1, n_embd=8, n_head=2, vocab_size=11, n_positions=16
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    arrays = to_theirs(variables, GPT.checkpoints()["transformers"])
    state = {name: torch.tensor(np.array(x)) for name, x in arrays.items()}
    model.load_state_dict(state, strict=True)
    return lambda **options: model.generate(
        torch.tensor(PROMPTS),
        attention_mask=torch.ones(PROMPTS.shape, dtype=torch.long),
        max_new_tokens=8,
        do_sample=False,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_beams_of_transformers_are_as_expected(alpha, variables):
    found = theirs(variables)(
        num_beams=4,
        num_return_sequences=4,
        length_penalty=alpha,
        early_stopping="never",
        eos_token_id=STOP,
    )
    tokens = found.sequences[:, 3:].numpy().tolist()
    tokens = [row[: row.index(STOP) + 1] if STOP in row else row for row in tokens]
    assert tokens == EXPECTED[alpha]
    np.testing.assert_allclose(found.sequences_scores, SCORES[alpha], atol=1e-5)


@pytest.mark.oracle
def test_greedy_of_transformers_is_as_expected(variables):
    found = theirs(variables)(repetition_penalty=5.0, eos_token_id=None)
    assert found.sequences[:, 3:].numpy().tolist() == EXPECTED["greedy"]


@pytest.mark.parametrize(
    "alpha",
    [
        pytest.param(0.0, marks=pytest.mark.slow),
        1.0,
        pytest.param(2.0, marks=pytest.mark.slow),
    ],
)
def test_beams_are_those_of_transformers(alpha, variables):
    beams = generation.beam_search(
        generation.decoder(models.functional(GPT)),
        variables,
        PROMPTS,
        max_tokens=8,
        stop_tokens=[STOP],
        length_penalty=generation.power(alpha),
    )
    tokens, lengths, scores = (np.asarray(x) for x in beams)
    found = zip(tokens.reshape(8, 8).tolist(), lengths.reshape(8), strict=True)
    assert [row[:length] for row, length in found] == EXPECTED[alpha]
    np.testing.assert_allclose(scores.reshape(8), SCORES[alpha], atol=1e-5)


@pytest.mark.slow
def test_greedy_tokens_are_those_of_transformers(variables):
    found = generation.generate(
        generation.decoder(models.functional(GPT)),
        variables,
        PROMPTS,
        max_tokens=8,
        repetition_penalty=5.0,
    )
    assert found.tokens[:, 0].tolist() == EXPECTED["greedy"]


def test_length_penalties_are_those_of_the_papers():
    lengths = np.arange(1, 30, dtype=np.float32)
    np.testing.assert_allclose(
        generation.gnmt(0.6)(lengths), (5 + lengths) ** 0.6 / (5 + 1) ** 0.6, rtol=1e-6
    )
    np.testing.assert_allclose(generation.power(2.0)(lengths), lengths**2)

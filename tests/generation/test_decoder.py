"""All decoders are held to the model without a cache, and to a beam search by hand."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from fdl import generation, models
from fdl.models import functional

GPT = models.GPT(2, 2, 8, vocab_size=7, max_length=12)
LLAMA = models.Llama(2, 2, 8, 12, 1, vocab_size=7, max_length=3)
TRANSFORMER = models.Transformer(2, 2, 8, 12, vocab_size=7, max_length=3)
SEQ2SEQ = models.Seq2Seq(
    6, vocab_size=7, target_vocab_size=7, embedding_size=5, readout_size=4
)
MODELS = {
    "gpt": GPT,
    "gpt_scanned": dataclasses.replace(GPT, scan_layers=True),
    "llama": LLAMA,
    "llama_scanned": dataclasses.replace(LLAMA, scan_layers=True),
    "transformer": TRANSFORMER,
    "transformer_scanned": dataclasses.replace(TRANSFORMER, scan_layers=True),
    "seq2seq": SEQ2SEQ,
    "seq2seq_one_vector": SEQ2SEQ.clone(attention=False),
    "lstm": models.RNNLanguageModel(6, 2, vocab_size=7),
}
PROMPTS = np.array([[3, 1, 4, 1], [5, 0, 0, 0], [2, 6, 0, 0]], np.int32)
TEXTS = [[3, 1, 4, 1], [5], [2, 6]]
LENGTHS = np.array([4, 1, 2])
SOURCE = np.array([[1, 2, 3, 4, 5], [6, 5, 0, 0, 0], [4, 4, 4, 0, 0]], np.int32)
SOURCE_LENGTHS = np.array([5, 2, 3])
STOP, NUM_TOKENS = 6, 5


def cases(*default):
    """All cases; those that are not named are slow."""
    every = [(name, num_beams) for name in MODELS for num_beams in (1, 4)]
    marks = {case: [] if case in default else [pytest.mark.slow] for case in every}
    return [pytest.param(*case, marks=marks[case]) for case in every]


def random_variables(module):
    """Variables with which no two tokens are nearly as likely."""
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    random = np.random.RandomState(0)
    return jax.tree.map(lambda x: np.float32(random.normal(size=x.shape) / 2), shapes)


class Case:
    """A model, with and without its cache."""

    def __init__(self, name):
        module = MODELS[name]
        self.variables = variables = random_variables(module)
        self.decoder = generation.decoder(functional(module))
        self.inputs, sources = (), {}
        if len(module.example()) == 2:
            mask = np.arange(5) < SOURCE_LENGTHS[:, None]
            self.inputs, sources = (SOURCE, mask), {"source_mask": mask}

        @jax.jit
        def logits(tokens, mask):
            """Logits of rows of each prompt, [3, K, T], all at once."""

            def rows(tokens, mask):
                if not self.inputs:
                    return module.apply(variables, tokens, mask=mask)
                return module.apply(
                    variables, SOURCE, tokens, target_mask=mask, **sources
                )

            return jax.vmap(rows, (1, 1), 1)(tokens, mask)

        self.logits = logits

    def after(self, prompts):
        """Log-probabilities after texts, K of each prompt; one program for all."""
        size, most = max(map(len, prompts)), LENGTHS.max() + NUM_TOKENS
        tokens = np.zeros((3, 4, most), np.int32)
        mask = np.zeros(tokens.shape, bool)
        for i, texts in enumerate(prompts):
            for k, text in enumerate(texts):
                tokens[i, k, : len(text)], mask[i, k, : len(text)] = text, True
        logits = np.asarray(self.logits(tokens, mask), np.float64)
        last = np.maximum(mask.sum(-1) - 1, 0)
        logits = np.take_along_axis(logits, last[..., None, None], 2).squeeze(2)
        return (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))[:, :size]


@functools.cache
def case_of(name):
    return Case(name)


@pytest.mark.slow  # By default, the scores of beams show the same.
@pytest.mark.parametrize("name", MODELS)
def test_a_decoder_has_the_logits_of_the_model_without_a_cache(name):
    case = case_of(name)
    mask, decoder = np.arange(4) < LENGTHS[:, None], case.decoder
    rows = np.array([2, 0, 1])
    following = np.array([[1, 2, 3], [4, 5, 6], [0, 1, 0]])

    @jax.jit
    def run(variables):
        cache, first = decoder.prefill(variables, PROMPTS, mask, 7, *case.inputs)

        def step(cache, tokens):
            cache = decoder.reorder(cache, rows)
            return decoder.step(variables, cache, tokens)

        return first, jax.lax.scan(step, cache, following)[1]

    first, later = run(case.variables)
    seen = [first, *later]
    order, texts = np.arange(3), [list(text) for text in TEXTS]
    for i, logits in enumerate(seen):
        if i:
            order = order[rows]
            for row, token in zip(order, following[i - 1], strict=True):
                texts[row].append(token)
        expected = case.after([[text] for text in texts])[:, 0][order]
        actual = jax.nn.log_softmax(logits)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def beam_search_by_hand(case, num_beams, penalty):
    """Beam search with lists, over the model without a cache."""
    going, finished = [[([], 0.0)] for _ in TEXTS], [[] for _ in TEXTS]
    for length in range(1, NUM_TOKENS + 1):
        pairs = zip(TEXTS, going, strict=True)
        prompts = [[text + new for new, _ in beams] for text, beams in pairs]
        log_probs = case.after(prompts)
        for i, beams in enumerate(going):
            candidates = [
                ([*new, token], score + log_probs[i, k, token])
                for k, (new, score) in enumerate(beams)
                for token in range(7)
            ]
            candidates.sort(key=lambda c: -c[1])
            going[i] = [c for c in candidates if c[0][-1] != STOP][:num_beams]
            finished[i] += [
                (new, score / penalty(length))
                for new, score in candidates[:num_beams]
                if new[-1] == STOP
            ]
    for i, beams in enumerate(going):
        finished[i] += [(new, score / penalty(NUM_TOKENS)) for new, score in beams]
        finished[i].sort(key=lambda c: -c[1])
    return [of[:num_beams] for of in finished]


@pytest.mark.parametrize(
    "name, num_beams",
    # GPT is held to transformers in test_beam, and recurrence in tests/cli.
    cases(("transformer_scanned", 4)),
)
def test_beams_are_those_of_a_search_by_hand(name, num_beams):
    case, penalty = case_of(name), generation.gnmt(0.6)
    beams = generation.beam_search(
        case.decoder,
        case.variables,
        TEXTS,
        num_beams=num_beams,
        max_tokens=NUM_TOKENS,
        stop_tokens=(STOP,),
        length_penalty=penalty,
        inputs=case.inputs,
    )
    expected = beam_search_by_hand(case, num_beams, penalty)
    for i, hypotheses in enumerate(expected):
        for k, (tokens, score) in enumerate(hypotheses):
            length = beams.lengths[i, k]
            assert beams.tokens[i, k, :length].tolist() == tokens
            np.testing.assert_allclose(beams.scores[i, k], score, atol=1e-5)

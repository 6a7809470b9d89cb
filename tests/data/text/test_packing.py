"""Packed documents give what they give one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.data.text import pack, padding_share
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
DOCUMENTS = [RANDOM.integers(1, 9, size=n) for n in (3, 5, 1, 11, 2, 4, 8, 2, 21)]
LENGTH = 8


def segments_of(rows):
    """Pieces of all rows, as tuples."""
    pairs = zip(rows["tokens"], rows["segments"], strict=True)
    return [
        tuple(tokens[segments == i].tolist())
        for tokens, segments in pairs
        for i in range(1, segments.max() + 1)
    ]


def pieces_of(document):
    starts = range(0, max(len(document) - 1, 1), LENGTH - 1)
    return [tuple(document[i : i + LENGTH].tolist()) for i in starts]


def test_every_piece_is_in_a_row_once_and_padding_is_at_the_end():
    rows = pack(DOCUMENTS, LENGTH)
    expected = [piece for document in DOCUMENTS for piece in pieces_of(document)]
    assert sorted(segments_of(rows)) == sorted(expected)
    assert all(array.dtype == np.int32 for array in rows.values())
    segments = rows["segments"]
    steps = np.diff(segments, axis=1)
    ends = segments[:, 1:] == 0
    assert (segments[:, 0] == 1).all() and np.isin(steps[~ends], (0, 1)).all()
    assert not (ends[:, :-1] & ~ends[:, 1:]).any()
    assert (rows["tokens"][segments == 0] == 0).all()
    assert padding_share(segments) == 1 - sum(map(len, expected)) / segments.size


def test_each_token_but_the_first_of_a_document_is_a_target_once():
    rows = pack(DOCUMENTS, LENGTH)
    same = np.diff(rows["segments"], axis=1) == 0
    counted = same & (rows["segments"][:, 1:] > 0)
    pairs = zip(
        rows["tokens"][:, :-1][counted], rows["tokens"][:, 1:][counted], strict=True
    )
    expected = [x for d in DOCUMENTS for x in itertools.pairwise(d)]
    assert sorted(pairs) == sorted(expected)


def test_a_document_goes_where_it_fits_best():
    sizes = [4, 6, 3, 2, 5]
    rows = pack([np.full(n, n) for n in sizes], 8)
    assert [[*dict.fromkeys(row)] for row in rows["tokens"].tolist()] == [
        [4, 3, 0],
        [6, 2],
        [5, 0],
    ]


def test_neither_attention_nor_positions_nor_loss_cross_a_document():
    """Of a network that sees all earlier tokens of a row, and their positions."""
    module = models.GPT(1, 2, 8, vocab_size=9, max_length=LENGTH)
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    rows = pack(DOCUMENTS[:7], LENGTH)

    @jax.jit
    def log_likelihoods(tokens, segments):
        logits, _ = model.apply(variables, tokens, segments=segments)
        scores = jax.nn.log_softmax(logits)[:, :-1]
        return jnp.take_along_axis(scores, tokens[:, 1:, None], axis=-1)[..., 0]

    def of_pieces(tokens, segments):
        scores = np.asarray(log_likelihoods(tokens, segments))
        counted = (np.diff(segments, axis=1) == 0) & (segments[:, 1:] > 0)
        found = {}
        for i, row in enumerate(segments):
            for k in range(1, row.max() + 1):
                inside = counted[i] & (row[1:] == k)
                found[tuple(tokens[i][row == k].tolist())] = scores[i][inside]
        return found

    packed = of_pieces(**rows)
    # One by one: a piece in each row, of which there are as many.
    alone = {}
    pieces = [piece for document in DOCUMENTS[:7] for piece in pieces_of(document)]
    count = len(rows["tokens"])
    for i in range(0, len(pieces), count):
        single = np.zeros((2, count, LENGTH), np.int32)
        for row, piece in enumerate(pieces[i : i + count]):
            single[:, row, : len(piece)] = [piece, np.ones(len(piece))]
        alone |= of_pieces(*single)
    assert packed.keys() == alone.keys()
    for piece, scores in packed.items():
        assert len(scores) == len(piece) - 1
        np.testing.assert_allclose(scores, alone[piece], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "documents, length, message",
    [
        ([], 8, "documents: expected at least one"),
        ([[1, 2], []], 8, r"documents\[1\]: expected tokens, got an empty document"),
        ([[1.5]], 8, r"documents\[0\]: expected token ids, int \[T\], got float64"),
        ([[1]], 1, "length=1: expected an integer from 2"),
    ],
)
def test_what_is_wrong_is_told(documents, length, message):
    with pytest.raises(UserError, match=message):
        pack(documents, length)

"""Training of Unigram vocabularies, the same ones every time.

The trainer of the library `tokenizers` gives other scores in each process; so the
training is here, and the model is the library's.

References:
  Kudo, `Subword Regularization <https://arxiv.org/abs/1804.10959>`_, 2018.
"""

import collections
import math
from collections.abc import Callable, Mapping, Sequence

from fdl.errors import UserError

MAX_PIECE = 16  # Characters.
MAX_WORDS = 100_000  # Different words of which candidates are taken.
CANDIDATES = 20  # Times the size of the vocabulary.
KEPT = 0.75  # Share of the pieces that is left after a round.
ROUNDS = 2  # Of maximisation before each pruning.

Scores = dict[str, float]
# Splits words by the scores of pieces: the words' most probable pieces.
Segment = Callable[[Scores, Sequence[str]], list[list[str]]]


def learn_pieces(words: Mapping[str, int], size: int, segment: Segment) -> Scores:
    """Pieces of a Unigram language model and their log-probabilities.

    From all frequent substrings, those whose loss would cost the least are removed step
    by step. Probabilities are relative frequencies in the most probable segmentation:
    expectation-maximisation with the best path in place of all.

    Args:
      words: How often each word occurs.
      size: Largest number of pieces; all characters are among them.
      segment: Function from scores and words to the most probable pieces of each.

    Raises:
      UserError: There are more characters.
    """
    letters = {letter for word in words for letter in word}
    if len(letters) > size:
        raise UserError(
            f"vocab_size: expected room for {len(letters)} characters of the texts, "
            f"got {size} without special tokens"
        )
    ordered = sorted(words, key=lambda word: (-words[word], word))
    scores = _normalised(_candidates(words, ordered[:MAX_WORDS], CANDIDATES * size))
    while True:
        for _ in range(ROUNDS):
            counts = dict.fromkeys(sorted(letters), 0.5)
            for word, pieces in zip(ordered, segment(scores, ordered), strict=True):
                for piece in pieces:
                    counts[piece] = counts.get(piece, 0) + words[word]
            scores = _normalised(counts)
        if len(scores) <= size:
            return scores
        scores = _pruned(scores, counts, max(size, int(KEPT * len(scores))))


def _candidates(
    words: Mapping[str, int], chosen: Sequence[str], number: int
) -> dict[str, float]:
    """Counts of all characters, and of the substrings that cover the most text."""
    counts: collections.Counter[str] = collections.Counter()
    for word in chosen:
        for start in range(len(word)):
            for end in range(start + 2, min(start + MAX_PIECE, len(word)) + 1):
                counts[word[start:end]] += words[word]
    repeated = (piece for piece, count in counts.items() if count > 1)
    best = sorted(repeated, key=lambda piece: (-counts[piece] * len(piece), piece))
    letters: collections.Counter[str] = collections.Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    longer = {piece: counts[piece] for piece in best[:number]}
    return {**dict(sorted(letters.items())), **longer}


def _pruned(scores: Scores, counts: Mapping[str, float], number: int) -> Scores:
    """Scores of the characters, and of the pieces that would cost the most."""
    losses = {
        piece: counts[piece] * (score - _split_score(piece, scores))
        for piece, score in scores.items()
        if len(piece) > 1
    }
    longer = sorted(losses, key=lambda piece: (-losses[piece], piece))
    letters = {piece: score for piece, score in scores.items() if len(piece) == 1}
    kept = longer[: number - len(letters)]
    return {**letters, **{piece: scores[piece] for piece in kept}}


def _split_score(piece: str, scores: Scores) -> float:
    """Largest score of a piece as two or more others, by dynamic programming."""
    best = [0.0]
    for end in range(1, len(piece) + 1):
        starts = range(1 if end == len(piece) else 0, end)
        sums = (
            best[start] + scores.get(piece[start:end], -math.inf) for start in starts
        )
        best.append(max(sums))
    return best[-1]


def _normalised(counts: Mapping[str, float]) -> Scores:
    """Logarithms of relative frequencies."""
    total = math.log(math.fsum(counts.values()))
    return {piece: math.log(count) - total for piece, count in counts.items()}

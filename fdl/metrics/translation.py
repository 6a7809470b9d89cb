"""Metrics of translations by sacrebleu: BLEU and chrF."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fdl.errors import UserError


class CorpusScore(NamedTuple):
    """Score of all texts of a corpus together.

    Attributes:
      score: Score, from 0 to 100.
      signature: Signature of sacrebleu: how it was computed, and by which version.
        Scores compare only if their signatures are the same.
    """

    score: float
    signature: str


def bleu(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    **options: Any,
) -> CorpusScore:
    """BLEU: share of n-grams that are in the reference, of all texts together.

    The texts are as people read them: sacrebleu tokenises both sides itself, as
    version 13a of mteval does, and keeps the case.

    Args:
      predictions: Translations, N of them, detokenised.
      references: Correct translations, N of them; or of several references, N each.
      **options: Options of `sacrebleu.metrics.BLEU`, such as ``lowercase`` and
        ``tokenize``.

    Raises:
      UserError: There are none, or not as many translations as references.

    References:
      Papineni et al., `BLEU: a Method for Automatic Evaluation of Machine Translation
      <https://aclanthology.org/P02-1040>`_, 2002.
      Post, `A Call for Clarity in Reporting BLEU Scores
      <https://aclanthology.org/W18-6319>`_, 2018.

    Example:
      >>> bleu(["the cat sat on a mat"], ["the cat sat on the mat"]).score
      53.7284966
    """
    # Imported late: few need it.
    from sacrebleu.metrics.bleu import BLEU

    return _score(BLEU(**options), predictions, references)


def chrf(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    **options: Any,
) -> CorpusScore:
    """chrF: F-score of the n-grams of characters, of all texts together.

    It depends on no tokenisation, and counts words that are right but for their ending.

    Args:
      predictions: Translations, N of them, detokenised.
      references: Correct translations, N of them; or of several references, N each.
      **options: Options of `sacrebleu.metrics.CHRF`, such as ``word_order``: 2 for
        chrF++.

    Raises:
      UserError: There are none, or not as many translations as references.

    References:
      Popović, `chrF: character n-gram F-score for automatic MT evaluation
      <https://aclanthology.org/W15-3049>`_, 2015.
    """
    # Imported late: few need it.
    from sacrebleu.metrics.chrf import CHRF

    return _score(CHRF(**options), predictions, references)


def _score(metric: Any, predictions: Sequence[str], references: Any) -> CorpusScore:
    """Score of sacrebleu, checked."""
    if isinstance(predictions, str) or not len(predictions):
        raise UserError("predictions: expected a sequence of texts, at least one")
    if not len(references):
        raise UserError("references: expected as many texts as predictions, got none")
    single = references[0] is None or isinstance(references[0], str)
    for texts in [references] if single else references:
        if len(texts) != len(predictions):
            raise UserError(
                f"len(predictions)={len(predictions)}: expected {len(texts)}, one for "
                "each reference"
            )
    of_all = [[*references]] if single else [[*texts] for texts in references]
    for name, texts in (
        ("predictions", predictions),
        *(("references", x) for x in of_all),
    ):
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                kind = type(text).__name__
                raise UserError(f"{name}[{i}] of type {kind}: expected a text")
    found = metric.corpus_score([*predictions], of_all)
    return CorpusScore(found.score, str(metric.get_signature()))

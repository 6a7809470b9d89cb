"""Models of scikit-learn as baselines of an experiment."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fdl.data.sources import is_text
from fdl.data.splits import Splits
from fdl.errors import UserError, near
from fdl.types import Evaluate, Experiment, Variables

NAMES = ("linear", "forest", "mlp")
OF_TEXTS = ("tfidf",)


def with_baselines(
    experiment: Experiment,
    splits: Splits,
    baselines: Sequence[str] | Mapping[str, Any] = NAMES,
    *,
    inputs: str = "features",
) -> Experiment:
    """Experiment beside models of scikit-learn, fitted to the same training examples.

    The baselines are fitted once, at the first evaluation: to the examples as the
    experiment preprocesses them, or to the texts as they are. Evaluation and test have
    their accuracy as well, or their R² where the target is a number, as in
    ``forest_accuracy``; and the difference to the experiment, ``ahead_of_forest``.

    Args:
      experiment: Experiment with a metric ``accuracy``, or ``r2``.
      splits: Arrays by name that it is made of, with class indices ``label``, int [N],
        or else numbers ``target``, float [N].
      baselines: Names among "linear", "forest" and "mlp", for the models of these kinds
        with scikit-learn's defaults, or "tfidf", of texts: logistic regression of the
        TF-IDF of words and pairs of words; or estimators by name.
      inputs: Name of the inputs, [N, ...], which are flattened, or of the texts, str
        [N].

    Raises:
      UserError: There is no such baseline; or, at the first evaluation, no such metric.
    """
    target = "label" if "label" in splits.train else "target"
    score = "accuracy" if target == "label" else "r2"
    if not isinstance(baselines, Mapping):
        baselines = {name: _estimator(name, score) for name in baselines}

    def arrays(split: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        if inputs in split and is_text(np.asarray(split[inputs])):
            return split[inputs], split[target]
        seen = (
            split
            if experiment.examples is None
            else experiment.examples.preprocess(split)
        )
        return np.asarray(seen[inputs]).reshape(len(seen[inputs]), -1), split[target]

    @functools.cache
    def fitted() -> dict[str, Any]:
        # Imported late: scikit-learn takes seconds.
        from sklearn.base import clone

        train = arrays(splits.train)
        return {name: clone(model).fit(*train) for name, model in baselines.items()}

    def beside(evaluate: Evaluate, split: Mapping[str, np.ndarray]) -> Evaluate:
        @functools.cache
        def scores() -> dict[str, float]:
            held_out = arrays(split)
            return {name: float(m.score(*held_out)) for name, m in fitted().items()}

        def evaluate_all(variables: Variables) -> Mapping[str, float]:
            ours = evaluate(variables)
            if score not in ours:
                raise UserError(f"the experiment has no {score!r}. {near(score, ours)}")
            theirs = {f"{name}_{score}": value for name, value in scores().items()}
            # Ours are float32, theirs float64.
            ahead = {
                f"ahead_of_{name}": round(ours[score] - value, 6)
                for name, value in scores().items()
            }
            return {**ours, **theirs, **ahead}

        return evaluate_all

    return experiment._replace(
        evaluate=beside(experiment.evaluate, splits.validation),
        test=experiment.test and beside(experiment.test, splits.test),
    )


def _estimator(name: str, score: str) -> Any:
    """Unfitted model of scikit-learn, a classifier or a regressor."""
    # Imported late: scikit-learn takes seconds.
    from sklearn import compose, ensemble, linear_model, neural_network, preprocessing

    known = (*NAMES, *OF_TEXTS)
    if name not in known:
        raise UserError(f"baselines: there is no {name!r}. {near(name, known)}")
    if name == "tfidf":
        return _tfidf()
    if score == "accuracy":
        return {
            "linear": linear_model.LogisticRegression(max_iter=1000),
            "forest": ensemble.RandomForestClassifier(random_state=0),
            "mlp": neural_network.MLPClassifier(max_iter=2000, random_state=0),
        }[name]
    return {
        "linear": linear_model.LinearRegression(),
        "forest": ensemble.RandomForestRegressor(random_state=0),
        "mlp": compose.TransformedTargetRegressor(
            neural_network.MLPRegressor(max_iter=2000, random_state=0),
            transformer=preprocessing.StandardScaler(),
        ),
    }[name]


def _tfidf() -> Any:
    """Logistic regression of the TF-IDF of words, marks among them, and their pairs."""
    # Imported late: scikit-learn takes seconds.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # The best C of 1, 10, 100 and 1000 on the validations of TREC and SST-2.
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]")
    return make_pipeline(words, LogisticRegression(C=100, max_iter=1000))

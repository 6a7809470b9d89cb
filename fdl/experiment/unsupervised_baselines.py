"""Unsupervised models of scikit-learn as baselines of an experiment."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.data.splits import Splits
from fdl.errors import UserError, near
from fdl.evaluation import cluster_scores, together
from fdl.types import Evaluate, Experiment, Variables


def with_unsupervised_baselines(
    experiment: Experiment,
    splits: Splits,
    estimators: Mapping[str, Any],
    *,
    inputs: str = "image",
    labels: str = "label",
) -> Experiment:
    """Experiment beside unsupervised models of scikit-learn: PCA, k-means, mixtures.

    They are fitted once, at the first evaluation, to the training examples as the
    experiment preprocesses them, without labels. Evaluation and test have what each
    estimator can do:

    * ``NAME_loss``, the mean squared error of its reconstructions, in the units of
      `objectives.reconstruction`, if it has ``inverse_transform``, as PCA;
    * ``NAME_nmi``, ``NAME_ari`` and ``NAME_purity`` of its clusters, if it has
      ``predict``, as k-means and mixtures, and if there are labels;
    * ``NAME_nll``, the mean negative log-likelihood of an example, in nats, of a
      mixture.

    Args:
      experiment: Experiment with examples.
      splits: Arrays by name that it is made of.
      estimators: Estimators of scikit-learn by name, not fitted.
      inputs: Name of the inputs, [N, ...], which are flattened.
      labels: Name of the classes that clusters are compared with, int [N].

    Raises:
      UserError: The splits have no such inputs, or an estimator can do none of these.
    """
    for name, estimator in estimators.items():
        if not any(hasattr(estimator, x) for x in ("inverse_transform", "predict")):
            raise UserError(
                f"estimators[{name!r}]={estimator}: expected one with predict() or "
                "inverse_transform(), such as sklearn.cluster.KMeans(10)"
            )
    if inputs not in splits.train:
        raise UserError(f"inputs={inputs!r}: {near(inputs, splits.train)}")

    def flattened(split: Mapping[str, np.ndarray]) -> np.ndarray:
        examples = experiment.examples
        seen = split if examples is None else examples.preprocess(split)
        values = np.asarray(seen[inputs], np.float64)
        return values.reshape(len(values), -1)

    @functools.cache
    def fitted() -> dict[str, Any]:
        # Imported late: scikit-learn takes seconds.
        from sklearn.base import clone

        train = flattened(splits.train)
        return {name: clone(model).fit(train) for name, model in estimators.items()}

    def beside(evaluate: Evaluate, split: Mapping[str, np.ndarray]) -> Evaluate:
        @functools.cache
        def scores() -> dict[str, float]:
            x, y = flattened(split), split.get(labels)
            return {
                f"{name}_{metric}": value
                for name, model in fitted().items()
                for metric, value in _scores(model, x, y).items()
            }

        def theirs(variables: Variables) -> Mapping[str, float]:
            del variables  # They were fitted before.
            return scores()

        return together(evaluate, theirs)

    return experiment._replace(
        evaluate=beside(experiment.evaluate, splits.validation),
        test=experiment.test and beside(experiment.test, splits.test),
    )


def _scores(model: Any, x: np.ndarray, y: np.ndarray | None) -> dict[str, float]:
    """Scores of a fitted estimator on examples, float [N, D], of classes, int [N]."""
    found: dict[str, float] = {}
    if hasattr(model, "inverse_transform"):
        restored = model.inverse_transform(model.transform(x))
        found["loss"] = float(np.mean((restored - x) ** 2))
    if hasattr(model, "predict") and y is not None:
        found |= cluster_scores(y, model.predict(x))
    # The scores of PCA and of k-means are other things.
    if hasattr(model, "predict_proba"):
        found["nll"] = float(-model.score(x))
    return found

"""Measures of samples, beside the same measures of real test examples."""

import functools
import warnings
from typing import Any

import numpy as np

from fdl import evaluation
from fdl.data.splits import Splits
from fdl.errors import UserError
from fdl.types import Evaluate, Experiment, Variables


def with_sample_measures(
    experiment: Experiment,
    splits: Splits,
    *,
    num_samples: int = 1000,
    temperature: float = 1.0,
    classifier: Any = None,
    inputs: str = "image",
    labels: str = "label",
) -> Experiment:
    """Tests samples as well: their classes, copies among them, precision and recall.

    As many test examples are measured beside them, from the first on.

    Args:
      experiment: Experiment with a test, and an ability ``sample``, whose samples are
        in the units of preprocessed examples.
      splits: Arrays by name that it is made of, with class indices, int [N].
      num_samples: Number of samples; at most that of the test examples.
      temperature: Temperature of the samples.
      classifier: Unfitted classifier of scikit-learn with ``predict_proba``. Default: a
        multilayer perceptron of 100 units, 10 epochs. It is fitted to the training
        examples at the first test.
      inputs: Name of the examples, [N, ...].
      labels: Name of the labels.

    Returns:
      The experiment, whose test has, both of samples and, with ``real_`` in place of
      ``sample_``, of test examples

      * ``sample_confidence`` and ``sample_entropy``, see `sample_classes`: the mean
        confidence of the classifier, and the entropy of the classes in nats,
      * ``sample_nearest``, the median distance to the nearest training example,
      * ``sample_precision`` and ``sample_recall``, see `sample_precision_recall`; the
        test examples are compared with as many training examples.

    Raises:
      UserError: The experiment has no test, no examples or no samples, or there are
        more samples than test examples.
    """
    test, examples = experiment.test, experiment.examples
    if test is None or examples is None or "sample" not in experiment.abilities:
        raise UserError(
            "experiment: expected one with a test, examples and an ability 'sample'"
        )
    if not 4 <= num_samples <= len(splits.test[labels]):
        raise UserError(
            f"num_samples={num_samples}: expected 4 to {len(splits.test[labels])}, the "
            "number of test examples"
        )
    ability = experiment.abilities["sample"]

    @functools.cache
    def arrays(part: str) -> np.ndarray:
        split = getattr(splits, part)
        seen = np.asarray(examples.preprocess({inputs: split[inputs]})[inputs])
        return seen.reshape(len(seen), -1)

    @functools.cache
    def fitted() -> Any:
        from sklearn.base import clone  # Late: scikit-learn takes seconds.

        model = _perceptron() if classifier is None else clone(classifier)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The epochs are few on purpose.
            return model.fit(arrays("train"), splits.train[labels])

    def measures(points: np.ndarray, others: np.ndarray, prefix: str):
        seen = evaluation.sample_classes(fitted().predict_proba(points))
        nearest = evaluation.nearest_examples(points, arrays("train")).distances
        quality = evaluation.sample_precision_recall(others, points)
        return {
            f"{prefix}_confidence": seen.confidence,
            f"{prefix}_entropy": seen.entropy,
            f"{prefix}_nearest": float(np.median(nearest)),
            f"{prefix}_precision": quality.precision,
            f"{prefix}_recall": quality.recall,
        }

    @functools.cache
    def of_real() -> dict[str, float]:
        real, others = (arrays(part)[:num_samples] for part in ("test", "train"))
        return measures(real, others, "real")

    def of_samples(variables: Variables) -> dict[str, float]:
        asked = {"temperature": np.full(num_samples, temperature, np.float32)}
        drawn = evaluation.predict(ability, variables, asked)["sample"]
        real = arrays("test")[:num_samples]
        return measures(drawn.reshape(num_samples, -1), real, "sample") | of_real()

    return experiment._replace(test=evaluation.together(test, of_samples))


def with_energy_distance(
    experiment: Experiment, splits: Splits, *, inputs: str = "features"
) -> Experiment:
    """Also measures the energy distance of samples to held-out points.

    There are as many samples as held-out points, and as many training points, whose
    distance to them is the floor.

    Args:
      experiment: Experiment with an ability ``sample``, whose samples are in the units
        of the data.
      splits: Arrays by name that it is made of.
      inputs: Name of the points, [N, ...].

    Returns:
      The experiment, whose evaluation and test have the metrics ``energy_distance`` and
      ``real_energy_distance``, too.
    """
    sample = experiment.abilities["sample"]

    def beside(evaluate: Evaluate, held_out: Any) -> Evaluate:
        points = held_out[inputs]
        others = splits.train[inputs][: len(points)]

        @functools.cache
        def floor() -> float:
            return evaluation.energy_distance(others, points)

        def distances(variables: Variables) -> dict[str, float]:
            asked = {"temperature": np.ones(len(points), np.float32)}
            drawn = evaluation.predict(sample, variables, asked)["sample"]
            distance = evaluation.energy_distance(drawn, points)
            return {"energy_distance": distance, "real_energy_distance": floor()}

        return evaluation.together(evaluate, distances)

    return experiment._replace(
        evaluate=beside(experiment.evaluate, splits.validation),
        test=experiment.test and beside(experiment.test, splits.test),
    )


def _perceptron() -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((100,), max_iter=10, random_state=0)

"""Pictures of classes say what scikit-learn says."""

import re
import warnings

import numpy as np
import pytest
from sklearn import metrics

from fdl import plots

PROGRAMS = 140


def guesses(size, classes, seed=0):
    """Labels, and probabilities that are right more often than not."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, size)
    logits = generator.normal(size=(size, classes))
    logits[np.arange(size), labels] += 1.0
    logits = logits.round(1)  # Some are equal.
    odds = np.exp(logits)
    return labels, odds / odds.sum(axis=1, keepdims=True)


def legend(figure):
    """Numbers in a legend, by what stands before them."""
    found = {}
    for text in figure.axes[0].get_legend().get_texts():
        name, _, area = text.get_text().rpartition(" ")
        found[name.split(",")[0]] = float(area)
    return found


@pytest.mark.parametrize("size, classes", [(1, 2), (50, 2), (300, 10), (40, 24)])
def test_the_matrix_has_the_counts_of_scikit_learn(size, classes):
    labels, probabilities = guesses(size, classes)
    chosen = probabilities.argmax(axis=1)
    figure = plots.confusion_matrix(labels, chosen, [f"c{i}" for i in range(classes)])
    axes = figure.axes[0]
    expected = metrics.confusion_matrix(labels, chosen, labels=range(classes))
    found = np.zeros_like(expected)
    for text in axes.texts:
        column, row = text.get_position()
        found[int(row), int(column)] = int(text.get_text())
    np.testing.assert_array_equal(found, expected)
    rows = metrics.confusion_matrix(
        labels, chosen, labels=range(classes), normalize="true"
    )
    np.testing.assert_allclose(axes.images[0].get_array(), rows)
    accuracy = float(re.search(r"accuracy (\S+)", axes.get_title())[1])
    assert accuracy == pytest.approx(metrics.accuracy_score(labels, chosen), abs=1e-4)
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [f"c{i}" for i in range(classes)]


def test_many_classes_are_colours_without_numbers_or_crowded_names():
    labels, probabilities = guesses(500, 200)
    axes = plots.confusion_matrix(labels, probabilities.argmax(axis=1)).axes[0]
    assert axes.images[0].get_array().shape == (200, 200) and not axes.texts
    assert len(axes.get_xticks()) == 50


def test_labels_that_do_not_count_are_left_out():
    labels, probabilities = guesses(100, 3)
    ignored = np.where(np.arange(100) % 4 == 0, -1, labels)
    some = ignored >= 0
    chosen = probabilities.argmax(axis=1)
    for draw in (plots.roc, plots.precision_recall):
        assert legend(draw(ignored, probabilities)) == legend(
            draw(labels[some], probabilities[some])
        )
    of_all = plots.confusion_matrix(ignored, chosen).axes[0].images[0].get_array()
    alone = plots.confusion_matrix(labels[some], chosen[some]).axes[0]
    np.testing.assert_array_equal(of_all, alone.images[0].get_array())


@pytest.mark.parametrize("num_bins", [5, 15])
def test_bars_are_the_accuracy_in_each_bin_of_confidence(num_bins):
    labels, probabilities = guesses(400, 4)
    figure = plots.reliability(labels, probabilities, num_bins=num_bins)
    above, below = figure.axes
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, num_bins + 1)
    expected, gaps = {}, []
    for m in range(num_bins):
        inside = (sure > edges[m]) & (sure <= edges[m + 1])
        if inside.any():
            expected[m] = right[inside].mean(), sure[inside].mean(), inside.mean()
            gaps.append(abs(expected[m][0] - expected[m][1]))
    accuracy, confidence, share = np.array(list(expected.values())).T
    bars = [bar.get_height() for bar in above.patches]
    np.testing.assert_allclose(bars, accuracy, atol=1e-6)
    np.testing.assert_allclose(above.lines[0].get_ydata(), confidence, atol=1e-6)
    shares = [bar.get_height() for bar in below.patches]
    np.testing.assert_allclose(np.array(shares)[list(expected)], share, atol=1e-6)
    error, largest = map(float, re.findall(r"\d\.\d+", above.get_title()))
    assert error == pytest.approx((share * gaps).sum(), abs=6e-5)
    assert largest == pytest.approx(max(gaps), abs=6e-5)


def test_two_classes_have_one_curve_with_the_areas_of_scikit_learn():
    labels, probabilities = guesses(120, 2)
    yes = probabilities[:, 1]
    figure = plots.roc(labels, probabilities, ["no", "yes"])
    assert legend(figure) == {"yes": round(metrics.roc_auc_score(labels, yes), 4)}
    x, y, _ = metrics.roc_curve(labels, yes, drop_intermediate=False)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata(), x)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), y)
    figure = plots.precision_recall(labels, probabilities, ["no", "yes"])
    area = metrics.average_precision_score(labels, yes)
    assert legend(figure) == {"yes": round(area, 4)}
    y, x, _ = metrics.precision_recall_curve(labels, yes)
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), y[::-1])
    np.testing.assert_allclose(line.get_xdata(), x[::-1])


@pytest.mark.parametrize("classes", [3, 10])
def test_several_classes_have_the_areas_of_scikit_learn(classes):
    labels, probabilities = guesses(400, classes)
    together = np.eye(classes, dtype=int)[labels]
    found = legend(plots.roc(labels, probabilities))
    for average in ("macro", "micro"):
        area = metrics.roc_auc_score(
            labels, probabilities, average=average, multi_class="ovr"
        )
        assert found.pop(average) == pytest.approx(area, abs=6e-5)
    each = metrics.roc_auc_score(together, probabilities, average=None)
    np.testing.assert_allclose(list(found.values()), each, atol=6e-5)
    found = legend(plots.precision_recall(labels, probabilities))
    for average in ("macro", "micro"):
        area = metrics.average_precision_score(together, probabilities, average=average)
        assert found.pop(average) == pytest.approx(area, abs=6e-5)
    each = metrics.average_precision_score(together, probabilities, average=None)
    np.testing.assert_allclose(list(found.values()), each, atol=6e-5)


def test_a_class_without_examples_has_no_curve_and_does_not_count():
    labels, probabilities = guesses(200, 3)
    some = labels < 2
    found = legend(plots.roc(labels[some], probabilities[some]))
    areas = [
        metrics.roc_auc_score(labels[some] == i, probabilities[some, i])
        for i in range(2)
    ]
    assert list(found) == ["class 0", "class 1", "micro", "macro"]
    assert found["macro"] == pytest.approx(np.mean(areas), abs=6e-5)


@pytest.mark.parametrize("labels", [[], [1], [0, 0]])
def test_too_few_examples_are_a_figure_without_a_warning(labels):
    labels = np.array(labels, int)
    probabilities = np.tile([0.25, 0.75], (len(labels), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (plots.roc, plots.precision_recall, plots.reliability):
            draw(labels, probabilities).canvas.draw()
        plots.confusion_matrix(labels, probabilities.argmax(axis=1)).canvas.draw()


def test_more_classes_than_names_have_room_for_keep_their_mean_alone():
    labels, probabilities = guesses(400, 30)
    assert set(legend(plots.roc(labels, probabilities))) == {"micro", "macro"}


@pytest.mark.parametrize(
    "labels, probabilities, message",
    [
        ([0, 1], [[0.5, 0.5]], r"labels of shape \[2\], answers of shape \[1, 2\]"),
        ([0, 1], [0.5, 0.5], r"probabilities of shape \[2\]: expected \[N, C\]"),
        ([0, 2], [[0.5, 0.5]] * 2, "label=2: expected less than 2"),
    ],
)
def test_what_does_not_fit_is_told(labels, probabilities, message):
    for draw in (plots.roc, plots.precision_recall, plots.reliability):
        with pytest.raises(ValueError, match=message):
            draw(np.array(labels), np.array(probabilities))


def test_names_with_dollars_are_no_formulas(tmp_path):
    labels, probabilities = guesses(60, 3)
    names = ["$1_$", "$5-$10", "_x"]
    rows = np.random.default_rng(0).normal(size=(60, 3))
    figures = (
        plots.confusion_matrix(labels, probabilities.argmax(axis=1), names),
        plots.roc(labels, probabilities, names, title="$1_$"),
        plots.mistakes(rows, labels, probabilities, names, columns=names),
        plots.weights(rows.T, names),
        plots.predictions(rows[:, 0], rows[:, 1], names=names),
        plots.comparison({"$1_$": {name: np.arange(3.0) for name in names}}),
        plots.curves({f"{name}/$1_$": {} for name in names}),
    )
    for figure in figures:
        plots.save(figure, tmp_path / "picture.png")
    shown = [text.get_text() for text in figures[1].axes[0].get_legend().get_texts()]
    assert [text.split(",")[0] for text in shown[:3]] == [
        r"\$1_\$",
        r"\$5-\$10",
        "class _x",
    ]

"""Pictures of what has been measured over time, and over seeds."""

import warnings

import numpy as np
import pytest
from scipy import stats

from fdl import plots

STEPS = [0, 10, 20]


def seeds(values):
    return np.array(values, float).reshape(len(values), -1)


def test_every_metric_has_a_panel_with_its_mean_and_interval():
    train, test = seeds([[4, 6], [2, 3], [1, 1]]), seeds([[5, 7], [3, 3], [2, 6]])
    series = {"grad_norm": {"train": (STEPS, train)}, "loss": {"train": (STEPS, train)}}
    series["loss"]["eval"] = (STEPS, test)
    figure = plots.curves(series)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "grad_norm"]
    loss = figure.axes[0]
    lines = {line.get_label(): line for line in loss.lines}
    np.testing.assert_allclose(lines["train"].get_ydata(), train.mean(axis=1))
    np.testing.assert_allclose(lines["eval"].get_ydata(), test.mean(axis=1))
    assert loss.get_yscale() == "log"
    shade = loss.collections[1].get_paths()[0].vertices[:, 1]
    low, high = stats.t.interval(0.95, 1, test[2].mean(), stats.sem(test[2]))
    assert shade.min() == pytest.approx(low) and shade.max() == pytest.approx(high)


def series_of(names):
    """One metric for each learner, so that learner i ends at i."""
    return {
        f"{name}/accuracy": {
            "train": (STEPS, seeds([0, i / 2, i])),
            "eval": ([10, 20], seeds([i / 2, i])),
        }
        for i, name in enumerate(names)
    }


def test_learners_share_a_panel_with_a_colour_each_dashed_in_training():
    series = {
        **series_of(["relu", "tanh"]),
        "loss": {"train": (STEPS, seeds([3, 2, 1]))},
    }
    figure = plots.curves(series)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    lines = figure.axes[1].lines
    assert [line.get_linestyle() for line in lines] == ["--", "-", "--", "-"]
    colors = [line.get_color() for line in lines]
    assert colors == [plots.COLORS[i] for i in (0, 0, 1, 1)]
    assert lines[3].get_ydata()[-1] == 1
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["relu", "tanh", "train", "eval"]


def test_many_learners_go_from_dark_to_light_in_the_order_that_is_asked_for():
    names = [f"width_{2**i}" for i in range(12)]
    figure = plots.curves(series_of(names[::-1]), names)
    legend = figure.legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["width_1", *texts[1:5], "width_2048", "train", "eval"]
    assert legend.get_title().get_text() == "of 12 learners"
    colors = plots.colors(12, ordered=True)
    assert figure.axes[0].lines[0].get_color() == colors[11]
    light = [sum(np.array(color[:3]) * [0.3, 0.6, 0.1]) for color in colors]
    assert light == sorted(light)


def test_each_learner_ends_in_its_mean_and_its_interval():
    values = {"accuracy": {"b": [1.0, 2.0, 6.0], "a": [4.0], "c": [np.nan, 5.0, 7.0]}}
    (axes,) = plots.comparison(values).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "a", "c"]
    points = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert points == [3.0, 4.0, 6.0]
    bars = [bar.get_paths()[0].vertices[:, 1] for bar in axes.collections[:1]]
    low, high = stats.t.interval(0.95, 2, 3, stats.sem([1, 2, 6]))
    np.testing.assert_allclose(bars[0], [low, high])


def test_intervals_stay_within_the_range_of_a_metric():
    folds = np.array([0.93, 0.97, 0.99])
    (axes,) = plots.comparison({"accuracy": {"cnn": folds}}).axes
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == 1
    points = np.arange(2), np.stack([folds, folds])
    for name in ("accuracy", "cnn/accuracy"):
        axes = plots.curves({name: {"eval": points}}).axes[0]
        assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == 1


def test_layers_are_drawn_by_depth_on_a_log_scale_with_what_vanished_left_out():
    gradients = {f"dense_{i}": 10.0 ** (i - 30) * np.ones(3) for i in range(30)}
    gradients["dense_0"] = np.array([0.0, 1e-30, np.nan])
    outputs = {name: np.array([[1, 3, 8], [2, 2, 2], [5, 1, 8]]) for name in gradients}
    figure = plots.layer_stats(STEPS, gradients, outputs)
    left, right = figure.axes
    assert left.get_yscale() == right.get_yscale() == "log"
    np.testing.assert_array_equal(left.lines[0].get_ydata(), [np.nan, 1e-30, np.nan])
    np.testing.assert_allclose(left.lines[7].get_ydata(), 1e-23)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), [3, 2, 5])  # Medians.
    dark, light = left.lines[0].get_color(), left.lines[29].get_color()
    assert sum(dark[:3]) < sum(light[:3])
    assert [a.get_color() for a in left.lines] == [a.get_color() for a in right.lines]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(texts) == 12 and texts[0] == "dense_0" and texts[-1] == "dense_29"


def test_numbers_that_are_not_of_the_steps_are_told():
    with pytest.raises(ValueError, match="2 values of layer 'dense': expected 3"):
        plots.layer_stats(STEPS, {"dense": np.ones(2)}, {})


def test_no_data_is_a_figure_and_needs_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.layer_stats([0], {"a": np.zeros(1)}, {"a": np.full(1, np.nan)})
        for figure in (
            plots.curves({}),
            plots.comparison({}),
            plots.comparison({"x": {}}),
        ):
            figure.canvas.draw()
            assert not any(axes.lines for axes in figure.axes)


def test_colours_can_be_told_apart_without_red_or_without_green():
    from matplotlib.colors import to_rgb

    colors = np.array([to_rgb(color) for color in plots.COLORS])
    linear = np.where(
        colors > 0.04045, ((colors + 0.055) / 1.055) ** 2.4, colors / 12.92
    )
    # Viénot, Brettel and Mollon, 1999: what those see who lack one kind of cone.
    blind = {
        "red": [[0.10889, 0.89111, 0], [0.10889, 0.89111, 0], [0.00447, -0.00447, 1]],
        "green": [[0.29031, 0.70969, 0], [0.29031, 0.70969, 0], [-0.02197, 0.02197, 1]],
    }
    for matrix in blind.values():
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert apart[np.triu_indices(len(seen), 1)].min() > 0.14


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.png"
    first, figure = (
        plots.confusion_matrix(np.array([0, 1]), np.array([1, 1])) for _ in range(2)
    )
    written = plots.save(first, path).read_bytes()
    assert plots.save(figure, path).read_bytes() == written
    with pytest.raises(OSError):
        plots.save(figure, tmp_path / "missing" / "a.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "x").touch()
    with pytest.raises(OSError):
        plots.save(figure, tmp_path / "folder.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "folder.png"]


def test_a_performance_profile_falls_from_all_runs_to_none():
    scores = {"A": np.arange(6.0), "B": np.array([[1.0, 9.0]] * 3)}
    (axes,) = plots.performance_profiles(scores, name="return").axes
    assert axes.get_xlabel() == "return"
    for line, values in zip(axes.lines, scores.values(), strict=True):
        thresholds, shares = line.get_data()
        expected = [(values > t).mean() for t in thresholds]
        np.testing.assert_allclose(shares, expected)
        assert shares[0] == 1 and shares[-1] == 0
    (band, _) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() <= 1


def test_sample_efficiency_is_the_interquartile_mean_over_environment_steps():
    values = np.random.default_rng(0).normal(size=(100, 8))
    values[0] = np.nan  # No episode has ended yet.
    curves = {"A": (10 * np.arange(100), values)}
    _, axes = plots.performance_profiles({"A": values[-1]}, curves=curves).axes
    steps, middle = axes.lines[0].get_data()
    np.testing.assert_array_equal(steps, 10 * np.arange(1, 100, 2))
    expected = np.sort(values[1::2], axis=1)[:, 2:-2].mean(axis=1)
    np.testing.assert_allclose(middle, expected)

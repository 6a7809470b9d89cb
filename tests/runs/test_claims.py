"""Claims and what is said of them, held against scipy's intervals."""

import json

import numpy as np
import pytest
from scipy import stats

from fdl.errors import UserError
from fdl.runs import claims
from fdl.runs.log import last_values
from fdl.types import Claim

ABOVE = [0.30, 0.32, 0.31, 0.29, 0.33]


def verdict_of(values, **bounds):
    (verdict,) = claims.evaluate_claims(
        [Claim("x", lambda m: m["x"], **bounds)], values
    )
    return verdict


def test_the_interval_is_students_over_the_seeds():
    found = verdict_of({"x": ABOVE}, at_least=0.2)
    expected = stats.t.interval(
        0.95, len(ABOVE) - 1, loc=np.mean(ABOVE), scale=stats.sem(ABOVE)
    )
    np.testing.assert_allclose(found.interval, expected)
    np.testing.assert_allclose(found.measured, np.mean(ABOVE))
    assert found.values == ABOVE


def test_the_interval_of_a_metric_stays_within_its_range():
    values = {"cnn/accuracy": [0.93, 0.97, 0.99]}
    whole, gap = (
        claims.evaluate_claims([Claim("x", measure, at_least=0)], values)[0].interval
        for measure in (lambda m: m["cnn/accuracy"], lambda m: 1 - m["cnn/accuracy"])
    )
    assert whole[1] == 1 and gap[0] < 0


# The interval of ABOVE is 0.2904 to 0.3296.
@pytest.mark.parametrize(
    "bounds, verdict",
    [
        ({"at_least": 0.29}, "holds"),
        ({"at_least": 0.291}, "undecided"),
        ({"at_least": 0.329}, "undecided"),
        ({"at_least": 0.33}, "does not hold"),
        ({"at_most": 0.33}, "holds"),
        ({"at_most": 0.329}, "undecided"),
        ({"at_most": 0.29}, "does not hold"),
        ({"at_least": 0.29, "at_most": 0.33}, "holds"),
        ({"at_least": 0.31, "at_most": 0.33}, "undecided"),
        ({"at_least": 0.0, "at_most": 0.1}, "does not hold"),
        ({"at_least": 0.4, "at_most": 0.5}, "does not hold"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_does(bounds, verdict):
    assert verdict_of({"x": ABOVE}, **bounds).verdict == verdict


def test_seeds_that_agree_leave_an_interval_of_no_width():
    assert verdict_of({"x": [1.0] * 5}, at_least=1).verdict == "holds"
    assert verdict_of({"x": [1.0] * 5}, at_least=1.01).verdict == "does not hold"


def test_one_seed_decides_nothing():
    found = verdict_of({"x": 0.5}, at_least=0.2)
    assert found.verdict == "undecided" and found.interval is None
    expected = "undecided: x: measured 0.5, one seed, no interval, claimed at least 0.2"
    assert str(found) == expected


def test_what_is_no_number_decides_nothing():
    found = verdict_of({"x": [0.5, None, 0.6]}, at_least=0.2)
    assert found.verdict == "undecided" and found.values == [0.5, None, 0.6]
    assert "a number in only 2 of 3 seeds" in str(found)
    infinite = Claim("x", lambda m: 1 / m["x"], at_least=0.2)
    (found,) = claims.evaluate_claims([infinite], {"x": [0.0, 1.0]})
    assert found.verdict == "undecided" and found.values == [None, 1.0]


def test_a_claim_sees_each_seed_by_itself():
    claim = Claim("a over b", lambda m: m["a"] - m["b"], at_least=0.05)
    (found,) = claims.evaluate_claims([claim], {"a": [1.0, 5.0], "b": [0.9, 4.9]})
    np.testing.assert_allclose(found.values, [0.1, 0.1])
    expected = "holds: a over b: measured 0.1, 95 % interval 0.1 .. 0.1 over 2 seeds"
    assert str(found) == f"{expected}, claimed at least 0.05"


def test_both_bounds_are_told():
    line = str(verdict_of({"x": ABOVE}, at_least=0.2, at_most=0.4))
    assert line.endswith(
        "0.2904 .. 0.3296 over 5 seeds, claimed at least 0.2 and at most 0.4"
    )


def test_a_claim_can_ask_only_for_what_is_evaluated():
    claim = Claim("x", lambda m: m["adam/acuracy"], at_least=0)
    with pytest.raises(UserError, match="'adam/acuracy', not evaluated"):
        claims.check_claims([claim], {"adam/accuracy": [0.1, 0.2]})


def test_a_claim_needs_a_bound():
    with pytest.raises(UserError, match="needs at_least or at_most"):
        claims.check_claims([Claim("x", lambda m: m["x"])], {"x": 1.0})


@pytest.mark.parametrize("low, high", [(0.9, 0.1), (np.nan, None), (None, np.nan)])
def test_a_claim_that_nothing_fulfils_is_an_error(low, high):
    claim = Claim("x", lambda m: m["x"], at_least=low, at_most=high)
    with pytest.raises(UserError, match="nothing is"):
        claims.check_claims([claim], {"x": 1.0})


def test_the_last_values_of_a_split_are_read_with_those_that_are_no_number():
    rows = [{"eval/x": 1.0}, {"step": 2, "eval/x": None, "eval/y": 3}, {"train/x": 2}]
    assert last_values(rows, "eval") == {"x": None, "y": 3}
    assert last_values(rows, "train") == {"x": 2}
    assert last_values(rows, "test") == last_values([], "eval") == {}


def test_verdicts_are_written_as_json(tmp_path):
    found = [
        verdict_of({"x": ABOVE}, at_least=0.2),
        verdict_of({"x": [0.1, None]}, at_most=1.0),
    ]
    written = json.loads(claims.write_claims(tmp_path, found).read_text())
    assert written[0]["verdict"] == "holds" and written[0]["values"] == ABOVE
    assert written[0]["at_least"] == 0.2 and written[0]["at_most"] is None
    np.testing.assert_allclose(written[0]["interval"], found[0].interval)
    assert written[1]["measured"] is None and written[1]["interval"] is None

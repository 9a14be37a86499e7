"""Months of age on the calendar, and the autoregression of the period effect."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from bayes_hfgrowth.panel.period import calendar_position, continued, month_names, stationary

type Floats = npt.NDArray[np.float64]

DRAWS = 40_000
PERSISTENCE, SCALE = 0.7, 0.3
SPREAD = SCALE / np.sqrt(1.0 - PERSISTENCE**2)
ERROR = 5.0 / np.sqrt(DRAWS)  # five standard errors of a correlation


# --- On the calendar ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "month", "first", "share"),
    [
        ("2023-05-11", 1, "2023-05", 21 / 31),  # 11 May to 11 June
        ("2023-05-11", 2, "2023-06", 20 / 30),
        ("2023-12-05", 1, "2023-12", 27 / 31),  # across the turn of the year
        ("2023-12-05", 2, "2024-01", 27 / 31),
        ("2024-02-15", 1, "2024-02", 15 / 29),  # a leap year
        ("2023-02-15", 1, "2023-02", 14 / 28),
        ("2024-03-15T12:00", 1, "2024-03", 16.5 / 31),
        # The 31st, where month ends are moved to the last day of shorter months.
        ("2024-01-31", 1, "2024-01", 1 / 29),  # 31 January to 29 February
        ("2024-01-31", 2, "2024-02", 1 / 31),  # 29 February to 31 March
        ("2024-01-31", 3, "2024-03", 1 / 30),  # 31 March to 30 April
        ("2023-01-31", 1, "2023-01", 1 / 28),
        ("2023-01-30", 2, "2023-02", 1 / 30),  # 28 February to 30 March
        ("2024-02-29", 12, "2025-01", 3 / 30),  # 29 January to 28 February
        # From the first day on, a month of age is a calendar month.
        ("2024-01-01", 1, "2024-01", 1.0),
        ("2024-01-01", 14, "2025-02", 1.0),
        ("2024-02-01T06:00", 1, "2024-02", 28.75 / 29),
    ],
)
def test_a_month_of_age_lies_across_two_calendar_months(
    created: str, month: int, first: str, share: float
) -> None:
    when = pd.DatetimeIndex([created]).tz_localize("UTC")
    found, part = calendar_position(when, np.array([month]))
    assert month_names(int(found[0]), 1) == [first]
    assert part[0] == pytest.approx(share, rel=1e-12)


def test_months_of_age_follow_one_another_without_gaps() -> None:
    days = pd.date_range("2023-01-01", "2024-03-31", tz="UTC").repeat(30)
    ages = np.tile(np.arange(1, 31), len(days) // 30)
    first, share = calendar_position(days, ages)
    assert (np.diff(first.reshape(-1, 30), axis=1) == 1).all()
    assert ((share > 0.0) & (share <= 1.0)).all()
    assert (share.reshape(-1, 30) == 1.0).all(axis=1).sum() == 15  # those of a first day


def test_an_unknown_creation_is_the_beginning_of_1970() -> None:
    never = pd.DatetimeIndex([pd.NaT], tz="UTC")
    first, share = calendar_position(never.repeat(2), np.array([1, 13]))
    assert first.tolist() == [0, 12]
    assert share.tolist() == [1.0, 1.0]


def test_calendar_months_have_names() -> None:
    assert month_names(0, 2) == ["1970-01", "1970-02"]
    assert month_names(12 * 54 + 11, 3) == ["2024-12", "2025-01", "2025-02"]


# --- The autoregression ---------------------------------------------------------------------


def drawn(months: int, seed: int) -> Floats:
    noise = np.random.default_rng(seed).standard_normal((DRAWS, months))
    return stationary(noise, np.array(PERSISTENCE), np.array(SCALE))


def assert_stationary(effects: Floats) -> None:
    """Means 0, and covariances spread² · persistence^distance, in both directions of time."""
    months = np.arange(effects.shape[1])
    expected = PERSISTENCE ** np.abs(months[:, None] - months)
    np.testing.assert_allclose(effects.mean(axis=0), 0.0, atol=ERROR * SPREAD)
    np.testing.assert_allclose(np.cov(effects.T) / SPREAD**2, expected, atol=2.0 * ERROR)


def test_it_is_stationary() -> None:
    assert_stationary(drawn(6, 1))


def test_each_draw_has_its_own_persistence_and_innovation() -> None:
    noise = np.random.default_rng(2).standard_normal((2, 5))
    persistence, scale = np.array([0.0, 0.9]), np.array([0.2, 0.5])
    effects = stationary(noise, persistence, scale)
    np.testing.assert_allclose(effects[0], 0.2 * noise[0])
    np.testing.assert_allclose(effects[1, 1:], 0.9 * effects[1, :-1] + 0.5 * noise[1, 1:])
    assert effects[1, 0] == pytest.approx(noise[1, 0] * 0.5 / np.sqrt(0.19))


def go_on(effects: Floats, before: int, after: int, seed: int = 3) -> Floats:
    same = np.ones(len(effects))
    rng = np.random.default_rng(seed)
    return continued(effects, PERSISTENCE * same, SCALE * same, before, after, rng)


@pytest.mark.parametrize(("before", "after"), [(0, 4), (4, 0), (3, 3)])
def test_what_is_continued_stays_stationary(before: int, after: int) -> None:
    known = drawn(2, 4)
    whole = go_on(known, before, after)
    assert whole.shape == (DRAWS, before + 2 + after)
    np.testing.assert_array_equal(whole[:, before : before + 2], known)
    assert_stationary(whole)


def test_nothing_to_add_is_the_same_again() -> None:
    known = drawn(3, 5)[:10]
    np.testing.assert_array_equal(go_on(known, 0, 0), known)


def test_a_series_has_the_same_numbers_however_far_it_goes() -> None:
    known = drawn(2, 6)[:10]
    near, far, both = go_on(known, 0, 3), go_on(known, 0, 9), go_on(known, 5, 9)
    np.testing.assert_array_equal(far[:, :5], near)
    np.testing.assert_array_equal(both[:, 5:], far)
    assert not np.isclose(go_on(known, 0, 3, seed=7)[:, 2:], near[:, 2:]).any()


def test_it_starts_from_the_last_month_known() -> None:
    """Without innovations it only dies away, to either side."""
    nothing = np.zeros(1)
    whole = continued(
        np.array([[1.0, 2.0]]), np.array([0.5]), nothing, 2, 2, np.random.default_rng(8)
    )
    np.testing.assert_allclose(whole, [[0.25, 0.5, 1.0, 2.0, 1.0, 0.5]])

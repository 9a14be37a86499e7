"""A sample of a population: its draws, and their period effects ahead."""

import numpy as np

from bayes_hfgrowth.posterior.population_sample import PopulationSample


def test_period_effects_ahead_are_one_path_for_each_draw(wide):
    sample = PopulationSample(wide, 4, 400)
    shared, number = sample.shared, sample.shared.period.shape[1]
    first, end = shared.first, shared.first + number
    whole = sample.over_calendar(first - 3, number + 10)
    again = PopulationSample(wide, 4, 400)
    short = again.over_calendar(first - 1, number + 2)
    np.testing.assert_array_equal(short.period, whole.over(first - 1, number + 2))
    np.testing.assert_array_equal(again.over_calendar(first, number + 7).over(first, number + 7),
                                  whole.over(first, number + 7))  # fmt: skip
    np.testing.assert_array_equal(whole.over(first, number), shared.period)
    which = np.random.default_rng(1).permutation(400)
    known = end + 1
    moved = sample.shared_of(which, first, number + 7, known)
    path = moved.over(first, number + 7)
    np.testing.assert_allclose(path[:, : number + 2], whole.over(first, number + 2)[which])
    steps, own = (
        np.diff(z[:, number + 1 :]) + (1 - a[:, None]) * z[:, number + 1 : -1]
        for z, a in ((path, moved.persistence), (whole.over(first, number + 7), whole.persistence))
    )
    np.testing.assert_allclose(steps / moved.innovation[:, None], own / whole.innovation[:, None])
    still = sample.shared_of(np.arange(400), first, number + 7, known)
    np.testing.assert_array_equal(still.over(first, number + 7), whole.over(first, number + 7))


def test_draws_are_the_same_population_for_all_numbers_of_them(population):
    number = population.posterior.sizes["chain"] * population.posterior.sizes["draw"]
    few = PopulationSample(population, 1, 100)
    np.testing.assert_array_equal(few.scales, population.spreads[:: number // 100])
    many = PopulationSample(population, 1, 2 * number)
    np.testing.assert_array_equal(many.scales[::2], population.spreads)
    np.testing.assert_array_equal(many.shared.period[1::2], population.shared.period)

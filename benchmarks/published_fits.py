"""Our curves against the published least-squares curves, where those are sound.

    python -m benchmarks.published_fits --model reinforced --out published_fits

Fits the shipped base models with at least 59 fine-tunes (the bound above which six sound
published fits are left), writes the figure of six base models with sound published parameters
beside six with degenerate ones, and prints how far the posterior median curve lies from the
published one over the ages that were observed: the root mean square of the difference, as a
share of the last count.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hfgrowth.comparison.quantities import exponents
from bayes_hfgrowth.figures import paper_comparison, save_figure
from bayes_hfgrowth.figures.paper import choose_base_models, published_curve
from bayes_hfgrowth.fit import GrowthFit, GrowthModel
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.sources.example import load_example, load_paper_fits


def distances(fit: GrowthFit, paper_fits: pd.DataFrame) -> pd.DataFrame:
    """Distance of median curve, published curve and data from each other, for sound fits."""
    rows = []
    names = choose_base_models(fit, paper_fits)[0]
    for name in names:
        history = fit.history
        index = history.base_models.index(name)
        months = slice(history.start[index], history.start[index + 1])
        age, count = history.month[months], (history.previous + history.new)[months]
        own = fit.posterior.sel(base_model=name)
        fitness, immediacy, longevity = (
            own[p].to_numpy().reshape(-1, 1) for p in ("fitness", "immediacy", "longevity")
        )
        exponent = exponents(fit.spec, fit.posterior)[:, None]
        counts = cumulative(age, fitness, immediacy, longevity, fit.spec.m, exponent)
        ours = np.median(counts, axis=0)
        published = published_curve(age, paper_fits.loc[name])

        def apart(a: np.ndarray, b: np.ndarray, last: float = count[-1]) -> float:
            return float(np.sqrt(np.mean((a - b) ** 2)) / last)

        rows.append(
            {
                "base_model": name,
                "months": len(age),
                "finetunes": int(count[-1]),
                "ours_to_published": apart(ours, published),
                "ours_to_data": apart(ours, count),
                "published_to_data": apart(published, count),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="reinforced")
    parser.add_argument("--min-finetunes", type=int, default=59)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("published_fits"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    panel = load_example().select(min_finetunes=options.min_finetunes)
    fit = GrowthModel(options.model).fit(panel, seed=options.seed)
    print(f"{options.model} on {len(panel.base_models)} base models: {fit.convergence}")
    paper_fits = load_paper_fits()
    save_figure(paper_comparison(fit, paper_fits), options.out / f"{options.model}.png")
    print(distances(fit, paper_fits).round(3).to_string(index=False))


if __name__ == "__main__":
    main()

"""Make the pictures of the README again.

The comparison is drawn from the population posterior that comes with the package, in seconds.
The forecast is the fan chart that ``make demo`` leaves in ``demo/``, taken over if it is there.

    python docs/images/make_images.py
"""

import shutil
from pathlib import Path

import bayes_hfgrowth as hfg
from bayes_hfgrowth.figures import organization_ridges, save_figure

FOLDER = Path(__file__).parent
DEMO = FOLDER.parents[1] / "demo" / "fan_chart.png"
ORGANIZATIONS = (
    "MistralAI",
    "OpenAI",
    "StabilityAI",
    "DeepSeek",
    "Qwen",
    "Google",
    "Microsoft",
    "Meta",
)


def main() -> None:
    """Write the pictures beside this file."""
    figure = organization_ridges(hfg.load_population(), ORGANIZATIONS)
    save_figure(figure, FOLDER / "comparison.png")
    if DEMO.exists():
        shutil.copyfile(DEMO, FOLDER / "forecast.png")


if __name__ == "__main__":
    main()

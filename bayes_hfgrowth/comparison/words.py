"""Probabilities in words, with no more certainty than the draws give."""

import pandas as pd

from bayes_hfgrowth.comparison.quantities import MANY, NEW_MONTHS, quantity_of
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.posterior.importance import GOOD_K

__all__ = ["largest_sentence", "pair_sentence", "probability_words", "reliability_words"]


def probability_words(probability: float) -> str:
    """Two digits, and never a certainty that a finite number of draws cannot give.

    ``"= 0.42"``, ``"< 0.01"`` or ``"> 0.99"``.
    """
    if probability < 0.005:
        return "< 0.01"
    if probability >= 0.995:
        return "> 0.99"
    return f"= {probability:.2f}"


def reliability_words(pareto_k: float) -> str:
    """A warning where the draws cannot tell what would be without a base model.

    Empty up to a Pareto k, of the weights that take it out, of
    `bayes_hfgrowth.posterior.importance.GOOD_K`.
    """
    if pareto_k <= GOOD_K:
        return ""
    return f" (unreliable: Pareto k {pareto_k:.2f}; fit without it to know)"


def pair_sentence(
    quantity: str,
    first: str,
    second: str,
    probability: float,
    tied: float,
    without: float,
    pareto_k: float,
    *,
    counted: Counted = FINETUNES,
) -> str:
    """Say how probable it is that the first organization's quantity is larger.

    Parameters
    ----------
    quantity : str
        Key of `bayes_hfgrowth.comparison.QUANTITIES`.
    first, second : str
        The organizations.
    probability, tied : float
        That it is larger, ties counted half; and that they tie.
    without : float
        The probability without the largest base model of each.
    pareto_k : float
        Of the weights that leave these out.
    """
    statement = quantity_of(quantity, counted).larger
    assert statement is not None  # only quantities with draws come here
    note = f" (ties, {tied:.0%}, count half)" if tied >= 0.005 else ""
    return (
        f"P({statement.format(first=first, second=second)}) {probability_words(probability)}"
        f"{note}; without the largest base model of each {probability_words(without)}"
        f"{reliability_words(pareto_k)}"
    )


def largest_sentence(
    organization: str, largest: pd.Series, cells: pd.DataFrame, counted: Counted = FINETUNES
) -> str:
    """Say how much of an organization hangs on its largest base model.

    `largest` is its row of `bayes_hfgrowth.comparison.Comparison.largest`, and `cells` are its
    rows of the table, indexed by quantity.
    """
    if largest["finetunes"] == 0:
        return f"No base model of {organization} in the fit has any {counted.one}."
    mostly = "; what is said of the total is mostly said of this one"
    warning = mostly if largest["share"] > 0.5 else ""
    new, total = f"share_passing_{MANY}", f"portfolio_after_{NEW_MONTHS}_months"
    parts = []
    for key, what, digits in (
        ("fitness", "median fitness", ".2f"),
        (new, f"the share of new ones that pass {MANY} {counted.many}", ".0%"),
        (total, f"the present total {NEW_MONTHS} months on", ",.0f"),
    ):
        before, after = cells.loc[key, ["median", "median_without_largest"]]
        parts.append(f"{what} is {after:{digits}} instead of {before:{digits}}")
    return (
        f"{largest['base_model']} holds {largest['share']:.0%} of the {counted.many} of "
        f"{organization}{warning}. Without it {', '.join(parts[:-1])}, and {parts[-1]}"
        f"{reliability_words(largest['pareto_k'])}."
    )

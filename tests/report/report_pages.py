"""Harmful names, and what stands in a page."""

import json
import re

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</script><script>alert(3)</script>",
    "a/$\\frac{1}{$",
    "b/</SCRIPT ><!--<script>",
    "c/'&quot;&lt;b&gt;\u2028{{ 7 * 7 }}",
)
"""Names that would do harm if any layer took them for more than text."""

HOSTILE_ORGANIZATION = "<b onclick=alert(4)>$x_{$</b>"


def renamed(fit, base_models, organizations):
    """The same fit with other names, in their order."""
    from bayes_hfgrowth.posterior.draws import FittedDraws

    def rename(group):
        names = {"base_model": base_models, "organization": organizations}
        here = {name: list(values) for name, values in names.items() if name in group.coords}
        return group.assign_coords(here)

    tree = fit.tree.map_over_datasets(rename)
    tree.attrs = dict(fit.tree.attrs)
    return FittedDraws(tree)


def island(page):
    """The numbers that stand in a page."""
    [text] = re.findall(r'<script type="application/json" id="report-data">(.*)</script>', page)
    return json.loads(text)

"""Let docstrings name things by where they are written, and link to where they are documented.

``bayes_hfgrowth.forecast.paths.forecast_new`` leads to ``bayes_hfgrowth.forecast_new``.
"""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PACKAGE = "bayes_hfgrowth"


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.reference | None:
    """Look a name of the package up under its public name."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith(f"{PACKAGE}."):
        return None
    parts = target.split(".")
    objects = env.domains.python_domain.objects
    for kept in (1, 2):  # a function or class, or a method of one
        public = ".".join([PACKAGE, *parts[-kept:]])
        if public != target and public in objects:
            return env.domains.python_domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", public, node, contnode
            )
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Configuration of the documentation; `make docs` builds it.

The root of the repository is the source, so the pages in ``docs/`` link to notebooks, data cards
and benchmarks by the same relative paths in the repository and on the site.

``NOTEBOOKS=off`` in the environment shows the notebooks with the outputs that are stored in them;
otherwise they are run in their small mode, each again only after it was changed.
"""

import logging
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import bayes_hfgrowth  # noqa: E402

project = "bayes-hfgrowth"
author = "The bayes-hfgrowth maintainers"
project_copyright = "2026, The bayes-hfgrowth maintainers"
version = release = bayes_hfgrowth.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "mathml",
    "offline",
    "public_names",
    "thumbnails",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "benchmarks/README.md",
    "bayes_hfgrowth/data/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
# Folders that need not be looked through.
exclude_patterns = [
    ".*",
    "build",
    "demo",
    "dist",
    "docs/_*",
    "tests",
]
templates_path = [str(DOCS / "_templates")]  # autosummary would look in the root
needs_sphinx = "9.1"

# Pages

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

# Notebooks

os.environ["HFGROWTH_QUICK"] = "1"
nb_execution_mode = "off" if os.environ.get("NOTEBOOKS") == "off" else "cache"
nb_execution_cache_path = str(DOCS / "_build" / "notebooks")
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no notebook has a widget; these come from afar
nb_merge_streams = True

# Reference

for name in ("arviz", "pytensor", "traitlets"):  # what they tell of their work is no warning
    logging.getLogger(name).setLevel(logging.WARNING)
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
autosummary_ignore_module_all = False
numpydoc_show_class_members = False

# Site

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"bayes-hfgrowth {version}"
html_extra_path = ["_root"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

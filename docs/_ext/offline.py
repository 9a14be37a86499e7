"""The site needs no network: no page loads a script, a style, a font or a picture from afar."""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

LOADS = re.compile(
    r"<(?:script|img|iframe|source|embed)\b[^>]*\bsrc\s*=\s*[\"'](?:https?:)?//[^\"']+"
    r"|<link\b(?=[^>]*\brel\s*=\s*[\"']?(?:stylesheet|preload|icon|preconnect))[^>]*"
    r"\bhref\s*=\s*[\"'](?:https?:)?//[^\"']+"
)
STYLE_LOADS = re.compile(r"(?:@import\s+|url\()\s*(?:url\()?[\"']?(?:https?:)?//[^\"')]+")


def remote_loads(folder: Path) -> list[str]:
    """What files of a site would load from a network, one line each."""
    found = []
    for pattern, search in (("*.html", LOADS), ("*.css", STYLE_LOADS)):
        for path in sorted(folder.rglob(pattern)):
            loads = search.findall(path.read_text(encoding="utf-8"))
            found += [f"{path.relative_to(folder)}: {load[:200]}" for load in loads]
    return found


def check(app: Sphinx, failure: Exception | None) -> None:
    """Warn of everything that a page would load from a network."""
    if failure is None and app.builder.format == "html":
        for line in remote_loads(Path(app.outdir)):
            logging.getLogger(__name__).warning("loaded from a network: %s", line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

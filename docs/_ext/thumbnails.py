"""Thumbnails of the notebooks, from the pictures that are stored in them."""

import base64
import io
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image
from sphinx.application import Sphinx

WIDTH, HEIGHT = 640, 400


def last_picture(path: Path) -> bytes | None:
    """Last picture among the stored outputs of a notebook."""
    pictures = [
        output["data"]["image/png"]
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    return base64.b64decode(pictures[-1]) if pictures else None


def thumbnail(picture: bytes) -> Image.Image:
    """The picture's upper part, of one size for all."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    height = min(image.height, image.width * HEIGHT // WIDTH)
    small = image.crop((0, 0, image.width, height))
    small.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (WIDTH, HEIGHT), "white")
    page.paste(small, ((WIDTH - small.width) // 2, (HEIGHT - small.height) // 2))
    return page


def make_thumbnails(app: Sphinx) -> None:
    """Write one thumbnail for each notebook to ``docs/_build/thumbnails``."""
    folder = Path(app.confdir) / "_build" / "thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((Path(app.srcdir) / "notebooks").glob("*.ipynb")):
        picture = last_picture(path)
        if picture is not None:
            thumbnail(picture).save(folder / f"{path.stem}.png", optimize=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", make_thumbnails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Pictures of the pages, for the documentation: small, and only on demand."""

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

VARIABLE = "RNNFLOW_SCREENSHOTS"
MAX_BYTES = 120_000
SETTLE_MS = 1500  # charts and cards fade in


def take_screen(page: Page, name: str, *, height: int | None = None) -> None:
    """Save what the page shows as `name`.png in the folder that RNNFLOW_SCREENSHOTS names; without it, do nothing.

    `height` is that of a page that is worth more pixels than the tab has.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    usual = page.viewport_size
    if height and usual:
        page.set_viewport_size({**usual, "height": height})
    page.wait_for_timeout(SETTLE_MS)
    path = Path(folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compress(page.screenshot()))
    if usual:
        page.set_viewport_size(usual)


def compress(png: bytes) -> bytes:
    """Repaint a picture in as many colours as the limit on its size allows."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for num_colours in (256, 64, 16):
        buffer = io.BytesIO()
        picture.quantize(num_colours, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    raise ValueError(f"{buffer.tell():,} bytes even in {num_colours} colours")

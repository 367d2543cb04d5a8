"""Debian's Chromium without a screen: what a page looks like, and what it measures, at a given width."""

import json
import os
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; scripts/install-system-packages.sh installs it")
TIMEOUT_S = 100

# The page stands in a frame, since a window is never narrower than 500 pixels, and the page's own policy runs no script.
FRAME = """<!doctype html><html><head><meta charset="utf-8"><style>body {{ margin: 0 }}</style></head><body>
<iframe id="page" style="border:0;width:{width}px;height:{height}px" srcdoc="{page}"></iframe><pre id="measured"></pre><script>
addEventListener("load", () => {{
  const shown = document.getElementById("page").contentDocument, root = shown.documentElement;
  const measure = (view => {{ {script} }});
  const found = {{ width: root.clientWidth, scroll_width: root.scrollWidth, scroll_height: root.scrollHeight,
                   found: measure(shown) ?? null }};
  document.getElementById("measured").textContent = JSON.stringify(found);
}});
</script></body></html>"""


def colors(picture: Path) -> dict[tuple[int, ...], int]:
    """Red, green and blue of every pixel of a PNG -> how many there are."""
    with Image.open(picture) as opened:
        pixels = np.frombuffer(opened.convert("RGB").tobytes(), np.uint8).reshape(-1, 3)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    return dict(zip(map(tuple, found.tolist()), counts.tolist(), strict=True))


class Browser:
    """Shows pages; everything it writes stays in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def measure(self, page: str, *, width: int, script: str = "return null", dark: bool = False) -> dict[str, Any]:
        """The page's own width and that of what is in it; `script` gets the document as `view` and returns JSON as `found`."""
        out = self._run(self._framed(page, width, 900, script), "--dump-dom", dark=dark)
        text = out.partition('<pre id="measured">')[2].partition("</pre>")[0]
        assert text, out[-2000:]
        measured: dict[str, Any] = json.loads(unescape(text))
        return measured

    def screenshot(self, page: str, *, width: int, height: int, dark: bool = False) -> Path:
        """A PNG of the page's top."""
        target = self._folder / f"shot-{width}-{dark}.png"
        size = f"--window-size={max(width, 500)},{height}"
        self._run(self._framed(page, width, height, ""), f"--screenshot={target}", size, dark=dark)
        return target

    def printed(self, page: str) -> bytes:
        """The page as a PDF, as `print` makes it."""
        source, target = self._folder / "page.html", self._folder / "page.pdf"
        source.write_text(page, encoding="utf-8")
        self._run(source, f"--print-to-pdf={target}", "--no-pdf-header-footer", dark=False)
        return target.read_bytes()

    def _framed(self, page: str, width: int, height: int, script: str) -> Path:
        file = self._folder / "frame.html"
        text = FRAME.format(width=width, height=height, page=escape(page), script=script)
        file.write_text(text, encoding="utf-8")
        return file

    def _run(self, file: Path, *options: str, dark: bool) -> str:
        assert CHROMIUM is not None
        command = [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync", "--disable-extensions"),
            *(f"--user-data-dir={self._folder / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}"),
            *("--virtual-time-budget=3000", *options, file.as_uri()),
        ]
        environment = {**os.environ, "HOME": str(self._folder)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

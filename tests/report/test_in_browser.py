"""A report as people see it, in Chromium: on a phone and on a desk, in light and in dark, and on paper."""

import random
from pathlib import Path

import pytest

from qloom.report import MetricSeries, job_comparison, job_report
from qloom.report.pictures import Picture, Pictures
from tests.chromium import Browser, colors, needs_chromium
from tests.report.test_html import full_report
from tests.report.test_stages import every_stage

pytestmark = needs_chromium

PHONE, DESK = 390, 1200
LIGHT_PAGE, DARK_PAGE = (0xF5, 0xF6, 0xF8), (0x0E, 0x11, 0x16)
LIGHT_LINE, DARK_LINE = (0x33, 0x46, 0xC8), (0x8E, 0xA2, 0xFF)
LIGHT_SECOND, DARK_SECOND = (0x0B, 0x7A, 0x75), (0x4F, 0xD1, 0xC5)
DRAWING = b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="90"><rect width="900" height="90" fill="#00ff00"/></svg>'
LONG = "a" * 300

# What is measured of a page: whether the drawings for wide and for narrow screens are shown, and how wide the pictures are.
LOOK = """
const shown = name => view.defaultView.getComputedStyle(view.querySelector("svg." + name)).display !== "none";
const images = [...view.images].map(image => [image.complete && image.naturalWidth > 0, image.getBoundingClientRect().width]);
return { wide: shown("wide"), narrow: shown("narrow"), images };
"""


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(tmp_path)


@pytest.fixture(scope="module")
def page() -> str:
    """A job with everything that could be too wide: long words, a long error, a wide picture, counts of 20 bits, 1,000 steps."""
    noise = random.Random(1)
    steps = tuple(map(float, range(1000)))
    metrics = tuple(MetricSeries(f"m{name}", steps, tuple(noise.gauss(0, 1) for _ in steps)) for name in range(3))
    counts = {format(noise.getrandbits(20), "020b"): noise.randrange(1, 9) for _ in range(40)}
    return job_report(
        full_report(
            parameters={LONG: LONG, "bond_angstrom": 0.7},
            error=LONG,
            metrics=metrics,
            result={"energy_hartree": -1.0, "counts": counts, "list": [LONG]},
            log=(LONG,) * 3,
            packages={LONG: LONG},
            stages=(*every_stage(), {"name": LONG, LONG: [LONG], "error": LONG}),
            pictures=Pictures((Picture("best_cut", "image/svg+xml", DRAWING),)),
        )
    )


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(browser: Browser, page: str, width: int) -> None:
    seen = browser.measure(page, width=width, script=LOOK)
    assert seen["width"] == seen["scroll_width"] == width
    assert seen["found"]["wide"] is (width == DESK)
    assert seen["found"]["narrow"] is (width == PHONE)
    ((loaded, image_width),) = seen["found"]["images"]
    assert loaded
    assert 0 < image_width < width


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_two_jobs_compared_are_not_wider_than_the_screen_either(browser: Browser, width: int) -> None:
    first = full_report(parameters={"word": LONG}, result={"bell": {"0" * 12: 5}, "text": LONG, "energy_hartree": -1.1373})
    second = full_report(parameters={"word": "b"}, result={"bell": {"1" * 12: 5}, "text": "b", "energy_hartree": -1.1})
    seen = browser.measure(job_comparison(first, second), width=width)
    assert seen["width"] == seen["scroll_width"] == width


@pytest.mark.parametrize(
    ("dark", "paper", "ink"), [(False, LIGHT_PAGE, LIGHT_LINE), (True, DARK_PAGE, DARK_LINE)], ids=["light", "dark"]
)
def test_it_follows_light_and_dark(
    browser: Browser, page: str, *, dark: bool, paper: tuple[int, int, int], ink: tuple[int, int, int]
) -> None:
    seen = colors(browser.screenshot(page, width=PHONE, height=1600, dark=dark))
    assert seen.get(paper, 0) > 10_000
    assert seen.get(ink, 0) > 300  # the curves


def test_it_can_be_printed_on_a_few_sheets(browser: Browser, page: str) -> None:
    document = browser.printed(page)
    assert document.startswith(b"%PDF")
    assert 1 <= document.count(b"/Type /Page\n") <= 8


@pytest.mark.parametrize(
    ("dark", "full", "limit"), [(False, LIGHT_LINE, LIGHT_SECOND), (True, DARK_LINE, DARK_SECOND)], ids=["light", "dark"]
)
def test_fits_and_confusion_matrices_follow_light_and_dark(
    browser: Browser, *, dark: bool, full: tuple[int, int, int], limit: tuple[int, int, int]
) -> None:
    readout = {"name": "readout", "model": "full", "method": "inverse", "confusion": [{"bits": [0], "matrix": [[1, 0], [0, 1]]}]}
    zne = next(notes for notes in every_stage() if notes["name"] == "zne")
    page = job_report(full_report(metrics=(), result={}, stages=(readout, zne)))
    seen = colors(browser.screenshot(page, width=PHONE, height=1600, dark=dark))
    assert seen.get(full, 0) > 2 * 30 * 30  # the two cells of probability 1, less their numbers
    assert seen.get(limit, 0) > 50  # the value without noise, its bar and its words

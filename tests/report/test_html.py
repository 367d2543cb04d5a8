import math
import random
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.report import AttemptReport, JobReport, MetricSeries, job_report
from qloom.report.html import PLOTS
from qloom.report.pictures import Picture, Pictures
from qloom.report.values import Timings

HOSTILE = '</pre></td></title><script>alert(1)</script><img src=x onerror=alert(1)>" onload="x\' &amp; \x1b[31m\x00\ud800\u202e'
VOID = {"meta", "br", "hr", "img"}
KNOWN = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "footer",
        "section",
        "div",
        "span",
        "p",
        "h1",
        "h2",
        "h3",
        "code",
    ),
    *("pre", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "path", "line", "circle", "text", "rect"),
    *("details", "summary", "mark"),
}


class Page(HTMLParser):
    """Reads a page; fails on tags that do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def full_report(**changes: Any) -> JobReport:
    steps = tuple(map(float, range(40)))
    known: dict[str, Any] = {
        "job_id": "01jzz",
        "program": "h2_vqe",
        "state": "COMPLETED",
        "created_at": 1.75e9,
        "seconds": 2.5,
        "parameters": {"bond_angstrom": 0.735},
        "settings": {"device": "sim", "seed": "7"},
        "result": {"energy_hartree": -1.1373058, "exact_hartree": -1.137306, "iterations": 39},
        "metrics": (MetricSeries("energy_hartree", steps, tuple(-1.137306 + 0.1 * math.exp(-step / 4) for step in steps)),),
        "attempts": (AttemptReport(number=1, ended="INTERRUPTED", error="killed"), AttemptReport(number=2, ended="COMPLETED")),
        "executed": 30,
        "replayed": 10,
        "engine": "qulacs",
        "environment": {"python": "3.12.1", "platform": "Linux"},
        "packages": {"numpy": "2.2.6"},
        "timings": Timings(queue_s=0.25, running_s=2.5, quantum_s=2.0, classical_s=0.5),
        "cost_usd": 0.0,
        "log": ("hello from the program",),
    }
    return JobReport(**(known | changes))


def test_a_report_shows_everything_about_the_job() -> None:
    shown = Page(job_report(full_report())).text
    for part in (
        "h2_vqe",
        "COMPLETED",
        "01jzz",
        "2025-06-15 15:06:40 UTC",
        "2.5 s",
        "bond (angstrom) 0.735",
        "seed 7",
        "−1.137306",
    ):
        assert part in shown
    for part in (
        "iterations 39",
        "quantum tasks computed 30",
        "10",
        "qulacs",
        "3.12.1",
        "1 INTERRUPTED killed",
        "hello from the program",
    ):
        assert part in shown


def test_a_report_loads_nothing_runs_nothing_and_points_nowhere() -> None:
    page = job_report(full_report())
    read = Page(page)
    assert set(read.tags) <= KNOWN
    assert not {name for name, _ in read.attributes} & {"src", "href", "srcset", "style", "action", "data"}
    assert not re.search(r"url\(|@import|javascript:", page)
    assert set(re.findall(r"https?://[^\"]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_a_report_follows_light_and_dark_phones_and_paper() -> None:
    page = job_report(full_report())
    for condition in ("prefers-color-scheme: dark", "max-width: 44rem", "@media print", "width=device-width"):
        assert condition in page


def hostile_report(text: str) -> JobReport:
    return full_report(
        job_id=text,
        program=text,
        state="FAILED",
        reason=text,
        error=text,
        error_type=text,
        frames=(text,),
        parameters={text: text},
        settings={text: text},
        packages={text: text},
        built_from={"lock_digest": text, "packages": {text + "2": text}},
        stages=({"name": text, text: text},),
        pictures=Pictures((Picture(text, "image/svg+xml", text.encode(errors="replace")),), (text,)),
        result={text: {text: [text]}, f"{text}_hartree": 1.0},
        metrics=(MetricSeries(text, (0.0,), (1.0,)), MetricSeries(f"{text}_hartree", (0.0, 1.0), (math.inf, 2.0))),
        attempts=(AttemptReport(number=1, ended=text, error=text),),
        engine=text,
        environment={text: text},
        log=(text, text),
        problems=(text,),
    )


def test_hostile_text_is_shown_and_never_run() -> None:
    page = job_report(hostile_report(HOSTILE))
    read = Page(page)
    assert set(read.tags) <= KNOWN | {"img"}
    assert [value.partition(",")[0] for name, value in read.attributes if name == "src" and value] == [
        "data:image/svg+xml;base64"
    ]
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in read.text
    assert "\x1b" not in page
    assert "\x00" not in page
    page.encode()


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(), min_size=1, max_size=30).filter(lambda text: text != "exact"))
def test_no_text_from_a_job_can_add_an_element(text: str) -> None:
    plain, hostile = Page(job_report(hostile_report("x"))), Page(job_report(hostile_report(text)))
    assert hostile.tags == plain.tags


def test_twelve_long_metrics_stay_under_a_megabyte() -> None:
    noise = random.Random(1)
    steps = tuple(map(float, range(5000)))
    metrics = tuple(MetricSeries(f"m{name}", steps, tuple(noise.gauss(0, 1) for _ in steps)) for name in range(PLOTS))
    page = job_report(full_report(metrics=metrics, log=("x" * 200,) * 200))
    assert len(page.encode()) < 1_000_000
    assert "of 5,000 values are drawn" in page


def test_more_metrics_than_can_be_drawn_are_listed() -> None:
    metrics = tuple(MetricSeries(f"m{name}", (0.0,), (float(name),)) for name in range(PLOTS + 3))
    page = job_report(full_report(metrics=metrics))
    assert "3 more metrics" in page
    assert page.count("<figure") == PLOTS


def test_a_failed_job_says_why_and_how_to_go_on() -> None:
    failed = full_report(
        state="FAILED", result=None, error="no such bond", error_type="ValueError", frames=("vqe.py:3 in main: f()",)
    )
    shown = Page(job_report(failed)).text
    assert "ValueError no such bond vqe.py:3 in main: f() Go on with qloom job resume 01jzz" in shown


def test_an_interrupted_job_gives_its_reason() -> None:
    assert "INTERRUPTED (killed)" in Page(job_report(full_report(state="INTERRUPTED", reason="killed", result=None))).text


@pytest.mark.parametrize(
    "result", [None, 3.5, "text", [], [1, [2]], {}, {"nested": {"a": [1, 2]}}, {"__array__": ["<f8", [2], "AA"]}]
)
def test_every_kind_of_result_can_be_shown(result: object) -> None:
    assert "Result" in Page(job_report(full_report(result=result))).text


def test_a_job_that_has_only_begun_has_a_report() -> None:
    assert "None yet." in Page(job_report(JobReport(job_id="1", program="p", state="RUNNING"))).text


def test_equal_values_make_equal_pages() -> None:
    assert job_report(full_report()) == job_report(full_report())


def test_a_line_rewritten_in_place_is_shown_as_a_terminal_would() -> None:
    assert "done" in (shown := Page(job_report(full_report(log=("10 %\r50 %\rdone\r",)))).text)
    assert "50 %" not in shown


def test_the_time_is_told_apart_and_what_is_counted_is_said() -> None:
    shown = Page(job_report(full_report())).text
    assert "waited for its first start 250 ms ran, all attempts 2.5 s ... quantum 2.0 s ... classical 500 ms" in shown
    assert "cost 0.00 USD" in shown
    assert "add up to more" not in shown
    lanes = full_report(timings=Timings(running_s=2.5, quantum_s=4.0, classical_s=0.0))
    assert (
        "Lanes asked at the same time: their quantum times add up to more than the running time." in Page(job_report(lanes)).text
    )


def test_each_attempt_says_how_it_ended_when_it_began_and_how_long_it_ran() -> None:
    attempts = (
        AttemptReport(number=1, ended="INTERRUPTED", reason="walltime", error="over its time", started_at=0.0, seconds=61.0),
        AttemptReport(number=2, ended="RUNNING"),
    )
    shown = Page(job_report(full_report(attempts=attempts))).text
    assert "1 INTERRUPTED (walltime) over its time 1970-01-01 00:00:00 UTC 1 min 1 s 2 RUNNING – – –" in shown


def test_packages_and_the_environment_that_was_built_are_shown() -> None:
    built = {"lock_digest": "ab12", "requirements": ["scipy>=1"], "packages": {"scipy": "1.14", "numpy": "2.2.6"}}
    shown = Page(job_report(full_report(built_from=built))).text
    assert 'lock digest ab12 requirements [ "scipy>=1" ]' in shown
    assert "Packages numpy 2.2.6 What the program had loaded when it ended. 1 more in its environment scipy 1.14" in shown


@pytest.mark.parametrize(
    ("state", "said"), [("RUNNING", "Recorded when the program ends."), ("INTERRUPTED", "left no word of what it had loaded")]
)
def test_packages_that_nobody_recorded_are_not_made_up(state: str, said: str) -> None:
    assert said in Page(job_report(full_report(state=state, packages={}))).text


def test_what_the_stages_of_a_pipeline_did_is_shown() -> None:
    stages = ({"name": "mine", "factors": [1, 3], "slope": -0.1}, {"name": "readout"})
    shown = Page(job_report(full_report(stages=stages))).text
    assert "1. mine factors [1, 3] slope -0.1 2. readout It noted nothing." in shown


def test_pictures_are_data_inside_the_file_and_what_is_left_out_is_said() -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    pictures = Pictures((Picture("best_cut", "image/svg+xml", drawing),), ("Not shown: more.png: too many.",))
    page = job_report(full_report(pictures=pictures))
    assert "Figures best cut Not shown: more.png: too many." in Page(page).text
    assert "script" not in Page(page).tags  # only inside the picture, where browsers run none
    assert "img-src data:" in page
    assert "<script>" not in page

import math
import re
import tempfile
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom
from qloom.circuits import Parameter
from qloom.noise import NoiseModel
from qloom.report import job_report
from qloom.report.stages import stage_errors, stages_section
from qloom.results import Result
from qloom.results.stages import plain
from tests.report.test_html import KNOWN, Page, full_report

SVG = "{http://www.w3.org/2000/svg}"
PIPELINES: dict[str, list[Any]] = {
    "zne": [{"stage": "zne", "scales": [1, 3, 5]}],
    "straight": [{"stage": "zne", "scales": [1, 3, 5], "fit": "linear"}],
    "exponential": [{"stage": "zne", "scales": [1, 2, 3, 5], "fit": "exponential", "asymptote": 0}],
    "readout": [{"stage": "readout", "model": "correlated", "pairs": [[0, 2]]}],
    "ddd": [{"stage": "ddd", "durations_s": {"default:1": 1e-7, "default:2": 1e-6}, "schedule": "asap"}],
    "twirling": [{"stage": "twirling", "instances": 3}],
    "symmetry": [{"stage": "symmetry", "symmetries": ["+ZZI"]}],
    "transpile": [{"stage": "transpile", "basis": ["rz", "sx", "cx"], "level": 1}],
    "average": [{"parallel": [[{"stage": "readout", "flips": [0.03, 0.03]}], []], "combine": "average"}],
}


@cache
def answered(name: str) -> Result:
    """What a small noisy circuit gives through one of the pipelines: two observables, two parameter sets."""
    with tempfile.TemporaryDirectory() as folder:
        NoiseModel.depolarizing(0.002, 0.02, readout=0.03).save(f"{folder}/noise.json")
        device = qloom.device(f"sim:noise={folder}/noise.json", pipeline=PIPELINES[name])
    circuit = qloom.Circuit(3).h(0).cx(0, 1).rx(Parameter("a"), 2).cx(1, 2).rx(0.2, 0)
    return device.estimate(circuit, [{"ZZI": 1.0}, {"IIZ": 1.0, "ZZZ": 0.2}], {"a": [0.3, 0.4]}, shots=2000, seed=3)


def noted(name: str) -> list[dict[str, Any]]:
    """Its notes, as a journal keeps them."""
    found: list[dict[str, Any]] = plain(list(answered(name).stages))
    return found


@cache
def every_stage() -> tuple[dict[str, Any], ...]:
    """One of each built-in stage, as a journal keeps its notes."""
    found = [notes for name in PIPELINES for notes in noted(name)]
    return tuple({notes["name"]: notes for notes in found}.values())


def shown(stages: list[dict[str, Any]] | tuple[dict[str, Any], ...]) -> Page:
    return Page(stages_section(stages))


def drawings(stages: list[dict[str, Any]]) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", stages_section(stages), re.DOTALL)]


def circles(svg: ET.Element, css_class: str) -> list[tuple[float, float]]:
    return [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg.iter(f"{SVG}circle") if dot.get("class") == css_class
    ]


def path_points(svg: ET.Element, css_class: str) -> list[list[tuple[float, float]]]:
    paths = [path.attrib["d"] for path in svg.iter(f"{SVG}path") if path.get("class") == css_class]
    return [[(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)] for path in paths]


@pytest.mark.parametrize("name", ["zne", "exponential"])
def test_a_fit_begins_at_the_value_without_noise(name: str) -> None:
    for svg in drawings(noted(name)):
        (curve,) = path_points(svg, "line")
        (limit,) = circles(svg, "limit")
        assert curve[0] == pytest.approx(limit, abs=0.11)


def test_the_curve_of_richardson_goes_through_every_point_and_a_straight_line_does_not() -> None:
    def distances(name: str) -> list[float]:
        found = []
        for svg in drawings(noted(name)):
            (curve,) = path_points(svg, "line")
            x, y = np.array(curve).T
            found += [abs(float(np.interp(place, x, y)) - height) for place, height in circles(svg, "point dot")]
        return found

    assert len(distances("zne")) == 6
    assert max(distances("zne")) < 0.5
    assert max(distances("straight")) > 0.5


def test_error_bars_are_as_long_as_the_standard_errors() -> None:
    (notes,) = noted("zne")
    for observable, svg in enumerate(drawings([notes])):
        values, dots = np.array(notes["values"])[:, 0, observable], circles(svg, "point dot")
        scale = abs(dots[0][1] - dots[2][1]) / abs(values[0] - values[2])  # of the drawing, for each unit of the value
        bars = path_points(svg, "error") + path_points(svg, "error limit-error")
        lengths = [abs(bar[0][1] - bar[1][1]) for bar in bars]
        errors = [*np.array(notes["standard_errors"])[:, 0, observable], notes["extrapolated_errors"][0][observable]]
        assert lengths == pytest.approx((2 * scale * np.array(errors)).tolist(), rel=0.02)


def test_values_before_and_after_are_those_of_the_first_set() -> None:
    result = answered("zne")
    words = shown(noted("zne")).text
    before = result.stages["zne"]["values"][0][0]
    for value in (*before, *result.values[0]):
        assert f"{value:.2f}".replace("-", "−") in words
    assert f"{result.values[1][0]:.4f}" not in words
    assert "at scale 1 without noise" in words


def test_one_observable_is_drawn_large_and_for_phones() -> None:
    (notes,) = noted("zne")
    cut = {
        name: np.array(notes[name])[..., :1].tolist() for name in ("values", "standard_errors", "extrapolated", "coefficients")
    }
    alone = notes | cut | {"extrapolated_errors": np.array(notes["extrapolated_errors"])[:, :1].tolist()}
    assert [svg.get("class") for svg in drawings([alone])] == ["plot wide", "plot narrow"]


def test_the_cells_of_a_confusion_matrix_are_as_full_as_its_entries() -> None:
    (notes,) = noted("readout")
    maps = drawings([notes])
    assert len(maps) == len(notes["confusion"]) == 2
    for svg, cluster in zip(maps, notes["confusion"], strict=True):
        shades = [float(box.attrib["fill-opacity"]) for box in svg.iter(f"{SVG}rect")]
        assert shades == pytest.approx(np.sqrt(cluster["matrix"]).ravel().tolist(), abs=0.006)
    assert "as read corrected" in shown([notes]).text
    assert "bits 0, 2" in shown([notes]).text


def test_large_confusion_matrices_are_told_and_not_drawn() -> None:
    large = [{"bits": [0, 1, 2, 3, 4], "matrix": (0.9 * np.eye(32) + 0.1 / 32).tolist()}]
    many = [{"bits": [bit], "matrix": [[0.9, 0.2], [0.1, 0.8]]} for bit in range(5, 40)]
    notes = {"name": "readout", "model": "correlated", "method": "inverse", "confusion": large + many}
    assert len(drawings([notes])) == 8
    assert "28 more are not drawn; the lowest probability of all to be read right is 0.8." in shown([notes]).text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ddd", "pulses (XX) in"),
        ("twirling", "3 instances, 2 gates twirled in each lowest instance mean highest observable 0"),
        ("symmetry", "postselect by +ZZI, kept 9"),
        ("transpile", "qubits of the circuit → of the device 0 → 0, 1 → 1, 2 → 2 compiler qiskit"),
        ("average", "2 branches, weights"),
    ],
)
def test_each_stage_says_what_it_did(name: str, said: str) -> None:
    assert said in shown(noted(name)).text


def test_what_was_picked_is_said_with_why() -> None:
    notes = [{"name": "auto", "message": "readout, zne: expected error 0.01", "circuits": 60}]
    assert "1. auto readout, zne: expected error 0.01 circuits 60" in shown(notes).text


def test_a_sealed_stage_shows_its_name_and_nothing_else() -> None:
    for kind, words in (("sealed", "sealed"), ("withheld", "inside a sealed stage")):
        notes = [{"name": "secret", kind: True, "scales": [1, 3], "recipe": "a turn by 17 degrees"}]
        assert f"1. secret ({words}) It shows nothing of what it did." in shown(notes).text
        assert "17 degrees" not in stages_section(notes)


def test_what_nobody_knows_is_a_table_of_its_notes_with_an_end() -> None:
    notes = {"name": "mine", **{f"note_{number}": [[number] * 1000] * 1000 for number in range(40)}, "text": "x" * 100_000}
    page = stages_section([notes])
    assert len(page) < 20_000
    assert "... 988 more" in Page(page).text
    assert "29 more notes; qloom job show --json has them." in Page(page).text


def test_an_error_that_a_policy_let_pass_stands_at_the_top() -> None:
    stages = ({"name": "mine", "error": "stage mine: no such file", "places": 3, "failed_places": 2},)
    words = Page(job_report(full_report(stages=stages))).text
    assert "stage mine: no such file (in 2 of its 3 places)" in words
    assert words.index("no such file") < words.index("energy") < words.index("1. mine")
    assert stage_errors(every_stage()) == ""


def test_a_report_of_every_stage_is_small_and_safe() -> None:
    page = job_report(full_report(stages=every_stage()))
    assert {notes["name"] for notes in every_stage()} == set(PIPELINES) - {"straight", "exponential"}
    assert len(page.encode()) < 100_000
    assert set(Page(page).tags) <= KNOWN


NUMBERS = st.floats() | st.integers()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)


@settings(max_examples=150)
@given(st.data())
def test_notes_that_are_not_what_a_stage_documents_are_still_shown(data: st.DataObject) -> None:
    notes = dict(data.draw(st.sampled_from(every_stage())))
    for name in data.draw(st.lists(st.sampled_from(sorted(notes)), min_size=1, max_size=3, unique=True)):
        if name != "name":
            notes[name] = data.draw(JSON | st.dictionaries(st.text(max_size=3), JSON, max_size=2))
    assert notes["name"] in shown([notes]).text
    assert not any(math.isnan(float(value)) for svg in drawings([notes]) for value in svg.attrib["viewBox"].split())

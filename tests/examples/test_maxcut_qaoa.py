import re
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import qloom
from examples.maxcut_qaoa import SIDES, cut_observable, cut_size, draw_cut, maxcut_qaoa, read_graph
from qloom.report import write_report

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GRAPH = read_graph()
EDGES = GRAPH["edges"]
ALL_CUTS = ["".join(bits) for bits in product("01", repeat=GRAPH["vertices"])]


def test_the_file_holds_the_petersen_graph() -> None:
    # Of all graphs in which every vertex has three neighbours, the only one with 10 vertices and no ring shorter than 5.
    neighbours = {vertex: {sum(edge) - vertex for edge in EDGES if vertex in edge} for vertex in range(GRAPH["vertices"])}
    assert len(EDGES) == len(set(map(frozenset, EDGES))) == 15
    assert all(len(found) == 3 for found in neighbours.values())
    shared = Counter(len(neighbours[one] & neighbours[two]) for one in range(10) for two in range(one))
    assert shared == {0: 15, 1: 30}
    assert all(not neighbours[one] & neighbours[two] for one, two in EDGES)


def test_the_optimum_in_the_file_is_the_largest_of_all_cuts() -> None:
    assert max(cut_size(EDGES, bits) for bits in ALL_CUTS) == GRAPH["max_cut"] == 12


@pytest.mark.parametrize("bits", ALL_CUTS[::93])
def test_the_observable_counts_the_edges_of_a_cut(bits: str) -> None:
    circuit = qloom.Circuit(len(bits))
    for vertex, side in enumerate(bits):
        circuit = circuit.x(vertex) if side == "1" else circuit.id(vertex)
    task = qloom.device("sim").prepare(circuit, observables=cut_observable(len(bits), EDGES))
    assert task.estimate().value == pytest.approx(cut_size(EDGES, bits), abs=1e-9)


def test_one_layer_reaches_what_theory_says_of_it() -> None:
    # On a graph of degree 3 without triangles, one layer cuts at most 1/2 + 1/(3 sqrt 3) of the edges (arXiv:1706.02998).
    found = maxcut_qaoa(layers=1)
    assert found["mean_cut"] == pytest.approx(15 * (1 / 2 + 1 / (3 * 3**0.5)), abs=1e-3)


def test_as_a_job_two_layers_find_the_largest_cut_and_log_the_way_there() -> None:
    job = maxcut_qaoa.with_options(seed=1).submit(layers=2, shots=500)
    found = job.result(timeout_s=60)
    assert (found["best_cut"], found["optimum"]) == (12, 12)
    assert cut_size(EDGES, found["best_bits"]) == 12
    assert 0.9 <= found["approximation_ratio"] <= 1
    means = [metric["value"] for metric in job.metrics() if metric["name"] == "mean_cut"]
    assert len(means) == found["iterations"] + 1
    assert means == sorted(means)
    assert means[-1] == found["mean_cut"]


def test_the_picture_shows_each_vertex_on_its_side_and_marks_the_edges_that_are_cut() -> None:
    bits = "0101010110"
    picture = ET.fromstring(draw_cut(10, EDGES, bits))
    kinds = Counter(node.tag.rpartition("}")[2] for node in picture.iter())
    assert (kinds["circle"], kinds["line"]) == (10, 15)
    fills = [node.get("fill") for node in picture.iter() if node.tag.endswith("circle")]
    assert fills == [SIDES[bit] for bit in bits]
    assert sum(node.get("class") == "cut" for node in picture.iter()) == cut_size(EDGES, bits)


def test_the_best_cut_is_drawn_in_the_report(tmp_path: Path) -> None:
    job = maxcut_qaoa.with_options(seed=1).submit(layers=1, max_iterations=3, shots=200)
    best = job.result(timeout_s=60)["best_bits"]
    write_report(job, tmp_path / "report.html")
    (found,) = re.findall(r'data:image/svg\+xml;base64,([^"]+)"', (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert b64decode(found).decode() == draw_cut(10, EDGES, best)


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layers: .* got 0"):
        maxcut_qaoa(layers=0)


def test_the_file_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "maxcut_qaoa.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"'best_cut': 12\b", done.stdout)

import re
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

import qloom
from examples.maxcut_qaoa import cut_observable, cut_size, maxcut_qaoa, read_graph

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


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layers: .* got 0"):
        maxcut_qaoa(layers=0)


def test_the_file_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "maxcut_qaoa.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"'best_cut': 12\b", done.stdout)

"""The largest cut of a graph: split its vertices in two so that as many edges as possible lead across, by QAOA.

Run it: `qloom run examples/maxcut_qaoa.py -p layers=3`, or `python examples/maxcut_qaoa.py`.

Each qubit is a vertex, and its bit says which side it is on. Layers of two kinds of rotation, one about the edges and one
about the vertices, turn the even mix of all cuts toward the large ones; the slope of the mean cut says how far. Last, cuts are
sampled, and the largest of them is the answer. Source: Farhi, Goldstone, Gutmann, arXiv:1411.4028.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import qloom
from qloom.circuits import Parameter

FloatArray = npt.NDArray[np.float64]
Edges = list[tuple[int, int]]

RATE = 0.02
"""Length of a step: rad for each edge/rad of slope."""
FLAT_EDGES_PER_RAD = 0.02
"""A slope below this ends the search."""
SIDES = {"0": "#3346c8", "1": "#0b7a75"}
"""Colours of the two sides in the picture of the best cut."""


@qloom.program(data_files=["petersen_graph.json"])
def maxcut_qaoa(ctx: qloom.Context, layers: int = 2, max_iterations: int = 200, shots: int = 1000) -> dict[str, Any]:
    """Find a large cut of the Petersen graph, and say how far the mean cut of the circuit is from the largest.

    Args:
        ctx: the job's context.
        layers: how often the two kinds of rotation follow each other, from 1.
        max_iterations: the most steps uphill.
        shots: how many cuts are sampled at the end.

    Returns:
        `best_cut` sampled, in edges, its `best_bits` (character i is the side of vertex i), the `optimum`, `mean_cut`, the
        `approximation_ratio` of the mean cut to the optimum, `iterations`.
    """
    if layers < 1:
        raise ValueError(f"layers: a circuit without layers has no angle to turn; give 1 or more, got {layers}")
    graph = read_graph()
    vertices, edges, optimum = graph["vertices"], graph["edges"], graph["max_cut"]
    task = ctx.device.prepare(qaoa_circuit(vertices, edges, layers), observables=cut_observable(vertices, edges))
    angles = ramp(layers)
    mean, slope = mean_and_slope(task, angles)
    ctx.log_metric("mean_cut", mean, step=0)
    iteration = 0
    for iteration in ctx.progress(range(1, max_iterations + 1)):
        angles = angles + RATE * slope
        mean, slope = mean_and_slope(task, angles)
        ctx.log_metric("mean_cut", mean, step=iteration)
        ctx.log_metric("approximation_ratio", mean / optimum, step=iteration)
        if np.linalg.norm(slope) < FLAT_EDGES_PER_RAD:
            break
    best = largest_cut(edges, task.run(angles, shots=shots).counts)
    ctx.log_metric("best_cut", cut_size(edges, best))
    ctx.save_figure("best_cut", draw_cut(vertices, edges, best))
    return {
        "best_cut": cut_size(edges, best),
        "best_bits": best,
        "optimum": optimum,
        "mean_cut": mean,
        "approximation_ratio": mean / optimum,
        "iterations": iteration,
    }


def mean_and_slope(task: Any, angles: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean cut in edges, exactly, and its derivative along each angle in edges/rad, from one quantum task."""
    found = task.gradient(angles)
    return float(found.value), found.gradients[0, 0]


def qaoa_circuit(vertices: int, edges: Edges, layers: int) -> qloom.Circuit:
    """Return the circuit; its parameters are the edge angle and the vertex angle of layer 0, of layer 1, and so on."""
    circuit = qloom.Circuit(vertices, name="QAOA for the largest cut")
    for vertex in range(vertices):
        circuit = circuit.h(vertex)
    for layer in range(layers):
        for first, second in edges:
            circuit = circuit.rzz(Parameter(f"edge_{layer}"), first, second)
        for vertex in range(vertices):
            circuit = circuit.rx(Parameter(f"vertex_{layer}"), vertex)
    return circuit


def cut_observable(vertices: int, edges: Edges) -> qloom.Observable:
    """Return the cut in edges: each edge counts (1 - ZZ)/2, which is 1 where its ends are on different sides."""
    terms = {"".join("Z" if vertex in edge else "I" for vertex in range(vertices)): -0.5 for edge in edges}
    return qloom.Observable({"I" * vertices: len(edges) / 2, **terms})


def cut_size(edges: Edges, bits: str) -> int:
    """Return how many edges lead from one side to the other; character i of the bits is the side of vertex i.

    >>> cut_size([(0, 1), (1, 2), (0, 2)], "010")
    2
    """
    return sum(bits[first] != bits[second] for first, second in edges)


def largest_cut(edges: Edges, counts: Mapping[str, int]) -> str:
    """Return the bits of the largest cut among those sampled; of equal cuts the last in the order of the bits."""
    return max(counts, key=lambda bits: (cut_size(edges, bits), bits))


def draw_cut(vertices: int, edges: Edges, bits: str) -> str:
    """Return the graph as SVG text: vertices in the colour of their side, edges that the cut crosses in red, the others grey."""
    places = [place_of(vertex, vertices) for vertex in range(vertices)]
    lines = [
        f'<line x1="{places[one][0]:.1f}" y1="{places[one][1]:.1f}" x2="{places[two][0]:.1f}" y2="{places[two][1]:.1f}" '
        + ('class="cut" stroke="#d03b2f" stroke-width="3"/>' if bits[one] != bits[two] else 'stroke="#a4adb8" stroke-width="2"/>')
        for one, two in edges
    ]
    dots = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="15" fill="{SIDES[bits[vertex]]}" stroke="#ffffff" stroke-width="2"/>'
        f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" fill="#ffffff">{vertex}</text>'
        for vertex, (x, y) in enumerate(places)
    ]
    said = f"{cut_size(edges, bits)} of {len(edges)} edges cross the cut {bits}"
    words = f'<text x="200" y="392" text-anchor="middle" fill="#39424e">{said}</text>'
    top = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400" font-family="sans-serif" '
    return f'{top}font-size="14"><title>{said}</title>{"".join([*lines, *dots, words])}</svg>'


def place_of(vertex: int, vertices: int) -> tuple[float, float]:
    """Return where a vertex is drawn: the first half on a ring, the others on a smaller one inside, as people draw this graph."""
    ring = (vertices + 1) // 2
    radius, index, around = (165, vertex, ring) if vertex < ring else (85, vertex - ring, vertices - ring)
    angle = 2 * np.pi * index / around - np.pi / 2
    return 200 + radius * float(np.cos(angle)), 190 + radius * float(np.sin(angle))


def ramp(layers: int) -> FloatArray:
    """Return angles to start from, in rad: edge angles that grow from layer to layer, vertex angles that shrink.

    Like a slow passage from the even mix to the large cuts, which is what many layers come down to.
    """
    shares = (np.arange(layers) + 0.5) / layers
    return np.column_stack([-shares, 1 - shares]).ravel()


def read_graph() -> dict[str, Any]:
    """Return the graph in the file beside this one: `vertices`, `edges`, `max_cut`."""
    graph: dict[str, Any] = json.loads((Path(__file__).parent / "petersen_graph.json").read_text(encoding="utf-8"))
    return {**graph, "edges": [tuple(edge) for edge in graph["edges"]]}


if __name__ == "__main__":
    job = maxcut_qaoa.submit()
    print(job.id, job.result(timeout_s=60))

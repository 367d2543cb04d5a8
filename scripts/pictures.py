"""Renew the pictures of the examples in docs/images, from jobs that run here: `python scripts/pictures.py [NAME ...]`.

Each example runs at the size that docs/howto/examples.md documents, in a QLOOM_HOME that is thrown away. The picture of the
hydrogen molecule's convergence is the demo's: `python scripts/demo.py --picture`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.report.html import style
from qloom.report.markup import Html, element
from qloom.report.svg import Axis, axes, axis_labels, card, grid, line_plot, path
from qloom.report.values import MetricSeries

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
QLOOM = Path(sys.executable).with_name("qloom")
WIDTH, HEIGHT, MARGIN = 760, 320, 12

Job = dict[str, Any]
"""What `qloom job show --json` says, with `metrics` and the `folder` of the job."""


def main() -> int:
    """Run the examples and write their pictures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(PICTURES)}; all when none is named")
    names = options.parse_args().names or list(PICTURES)
    if unknown := sorted(set(names) - set(PICTURES)):
        options.error(f"no picture called {', '.join(unknown)}; known: {', '.join(PICTURES)}")
    for name in names:
        parameters, draw = PICTURES[name]
        target = IMAGES / f"{name}.svg"
        target.write_text(draw(run(name, parameters)).rstrip("\n") + "\n", encoding="utf-8")
        print(f"wrote {target.relative_to(ROOT)}")
    return 0


def run(name: str, parameters: list[str]) -> Job:
    """Run an example as a job and return what it left."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"QLOOM_HOME": home}

        def ask(*words: str) -> Any:
            done = subprocess.run([QLOOM, *words, "--json"], env=environment, check=True, stdout=subprocess.PIPE)
            return json.loads(done.stdout)

        job_id = ask("run", str(ROOT / "examples" / f"{name}.py"), "--seed", "1", *parameters)["job_id"]
        figures = sorted(Path(home, "jobs", job_id, "results", "figures").glob("*.svg"))
        drawn = {path.stem: path.read_text(encoding="utf-8") for path in figures}
        return {**ask("job", "show", job_id), "metrics": ask("job", "metrics", job_id), "figures": drawn}


def of_metric(metric: str) -> Callable[[Job], str]:
    """Return what draws one metric over its steps."""

    def draw(job: Job) -> str:
        points = [(row["step"], row["value"]) for row in job["metrics"] if row["name"] == metric]
        steps, values = zip(*points, strict=True)
        return line_plot(MetricSeries(metric, steps, values), width=WIDTH, height=HEIGHT, margin=MARGIN, style=style(page=False))

    return draw


def figure(name: str) -> Callable[[Job], str]:
    """Return what takes a figure that the program saved itself, and lays it on a card, for pages that are dark."""
    back = element("rect", class_="card", width="100%", height="100%", rx=8, fill="#ffffff")
    return lambda job: str(job["figures"][name]).replace("</title>", f"</title>{back}", 1)


def dissociation(job: Job) -> str:
    """Draw the energies found, as dots, on the curve of the exact ones, over the bond length."""
    result = job["result"]
    bonds = result["bonds_angstrom"]
    found, exact = (np.column_stack([bonds, result[name]]) for name in ("energy_hartree", "exact_hartree"))
    x_axis, y_axis = axes(np.concatenate([found, exact]), None, WIDTH, HEIGHT)
    labels = axis_labels("energy_hartree", y_axis, WIDTH, HEIGHT).replace(">step<", ">bond length (ångström)<")
    body = [
        element("title", "Energy of the hydrogen molecule over its bond length: found as dots, exact as a line"),
        style(page=False),
        card(WIDTH, HEIGHT, MARGIN),
        grid(x_axis, y_axis, WIDTH, HEIGHT),
        Html(labels),
        element("path", class_="line second", d=path([tuple(point) for point in exact.tolist()], x_axis, y_axis)),
        *(dot(x_axis, y_axis, *point) for point in found.tolist()),
        element("text", "● found", class_="last-label", x=WIDTH - 14, y=18, text_anchor="end"),
        element("text", "broken line: exact", class_="axis-label", x=WIDTH - 90, y=18, text_anchor="end"),
    ]
    box = f"{-MARGIN} {-MARGIN} {WIDTH + 2 * MARGIN} {HEIGHT + 2 * MARGIN}"
    return element("svg", *body, viewBox=box, role="img", class_="plot", xmlns="http://www.w3.org/2000/svg")


def dot(x_axis: Axis, y_axis: Axis, bond: float, energy: float) -> Html:
    """Return one energy that was found, with its numbers for the pointer."""
    title = element("title", f"{bond:g} ångström: {energy:.6f} hartree")
    return element("circle", title, class_="last", cx=f"{x_axis.place(bond):.1f}", cy=f"{y_axis.place(energy):.1f}", r=4)


PICTURES: dict[str, tuple[list[str], Callable[[Job], str]]] = {
    "maxcut_qaoa": (["-p", "layers=3"], figure("best_cut")),
    "h2_dissociation": ([], dissociation),
    "qml_loss": ([], of_metric("loss")),
}

if __name__ == "__main__":
    sys.exit(main())

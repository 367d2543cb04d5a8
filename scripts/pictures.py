"""Renew the pictures of the examples in docs/images, from jobs that run here: `python scripts/pictures.py [NAME ...]`.

Each example runs as docs/howto/examples.md documents it, in a QLOOM_HOME that is thrown away. The picture of the
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

from qloom.report.html import style
from qloom.report.markup import element
from qloom.report.svg import line_plot
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
        target = IMAGES / f"{name}.svg"
        target.write_text(PICTURES[name](name).rstrip("\n") + "\n", encoding="utf-8")
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


def of_metric(metric: str) -> Callable[[str], str]:
    """Return what draws one metric of an example over its steps."""

    def draw(name: str) -> str:
        points = [(row["step"], row["value"]) for row in run(name, [])["metrics"] if row["name"] == metric]
        steps, values = zip(*points, strict=True)
        return line_plot(MetricSeries(metric, steps, values), width=WIDTH, height=HEIGHT, margin=MARGIN, style=style(page=False))

    return draw


def of_figure(figure: str, *parameters: str) -> Callable[[str], str]:
    """Return what takes a figure that an example's program saved itself."""
    return lambda name: on_card(str(run(name, list(parameters))["figures"][figure]))


def of_script(name: str) -> str:
    """Run an example as a script, and return what it draws by itself."""
    with tempfile.TemporaryDirectory() as folder:
        drawing = Path(folder, "drawing.svg")
        script = [sys.executable, str(ROOT / "examples" / f"{name}.py"), "--seed", "1", "-o", str(drawing)]
        subprocess.run(script, env=os.environ | {"QLOOM_HOME": folder}, check=True, stdout=subprocess.DEVNULL)
        return on_card(drawing.read_text(encoding="utf-8"))


def on_card(drawing: str) -> str:
    """Return a drawing on a white card, for pages that are dark."""
    back = element("rect", class_="card", width="100%", height="100%", rx=8, fill="#ffffff")
    return drawing.replace("</title>", f"</title>{back}", 1)


PICTURES: dict[str, Callable[[str], str]] = {
    "maxcut_qaoa": of_figure("best_cut", "-p", "layers=3"),
    "mitigated_vqe": of_figure("energies"),
    "h2_dissociation": of_script,
    "qml_loss": of_metric("loss"),
}

if __name__ == "__main__":
    sys.exit(main())

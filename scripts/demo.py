"""The demo that `make demo` runs: a variational search as a job, live on the terminal, with its report left behind.

It goes the way a user goes: the `qloom` command of this environment runs examples/h2_vqe.py. Everything it leaves, the job's
folder included, is below the output folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from qloom.report.html import style
from qloom.report.svg import line_plot
from qloom.report.values import read_job

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "demo"
PROGRAM = ROOT / "examples" / "h2_vqe.py"
PICTURE = ROOT / "docs" / "images" / "h2_convergence.svg"
QLOOM = Path(sys.executable).with_name("qloom")
CHEMICAL_ACCURACY_MHARTREE = 1.6
SEED = 4
PAUSE_S = 0.05
KEPT = ("energy_hartree", "exact_hartree", "error_mhartree", "iterations")


def main() -> int:
    """Run the demo and return its exit code: 1 where the energy is not within chemical accuracy."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--output", type=Path, default=OUTPUT, help="folder for what it leaves (default: build/demo)")
    options.add_argument("--picture", action="store_true", help="also renew the picture in docs/images")
    chosen = options.parse_args()
    output: Path = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"QLOOM_HOME": str(output / "home")}
    print(f"The ground state of H2 at 0.735 angstrom, {1000 * PAUSE_S:.0f} ms of rest after each step so that it can be watched.")
    sys.stdout.flush()
    command = [str(QLOOM), "run", str(PROGRAM), "-p", f"pause_s={PAUSE_S}", "--seed", str(SEED)]
    command += ["--report", str(output / "report.html")]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode != 0:
        return done.returncode
    details = newest_job(environment)
    if chosen.picture:
        PICTURE.write_text(picture(details, ask(environment, "job", "metrics", details["job_id"])), encoding="utf-8")
    return conclude(output, details)


def newest_job(environment: dict[str, str]) -> dict[str, Any]:
    """Return what the job that was started last says of itself."""
    job_id = ask(environment, "job", "list", "--limit", "1")[0]["job_id"]
    details: dict[str, Any] = ask(environment, "job", "show", job_id)
    return details


def ask(environment: dict[str, str], *words: str) -> Any:
    """Return what a qloom command answers with --json."""
    done = subprocess.run([QLOOM, *words, "--json"], env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def conclude(output: Path, details: dict[str, Any]) -> int:
    """Write result.json, say what came out and where it is, and return the exit code."""
    result = {name: details["result"][name] for name in KEPT} | {"seconds": details["seconds"]}
    (output / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    good = abs(result["error_mhartree"]) <= CHEMICAL_ACCURACY_MHARTREE
    print(
        f"energy {result['energy_hartree']:.6f} hartree, {result['error_mhartree']:.4f} mhartree above the exact one, "
        f"after {result['iterations']} steps and {result['seconds']:.1f} s: "
        f"{'within' if good else 'NOT within'} chemical accuracy ({CHEMICAL_ACCURACY_MHARTREE} mhartree)"
    )
    print(f"report: {shown(output / 'report.html')}\nresult: {shown(output / 'result.json')}")
    return 0 if good else 1


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def picture(details: dict[str, Any], metrics: list[dict[str, Any]]) -> str:
    """Return the convergence as an SVG file of its own, which follows the reader's light or dark setting."""
    report = read_job(details, [(each["name"], each["value"], each["step"]) for each in metrics])
    energy = next(series for series in report.metrics if series.name == "energy_hartree")
    reference = report.reference(energy.name)
    return line_plot(energy, reference=reference, width=760, height=320, margin=12, style=style(page=False)) + "\n"


if __name__ == "__main__":
    sys.exit(main())

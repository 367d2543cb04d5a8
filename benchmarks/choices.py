"""`python -m benchmarks.choices`: what the stage `auto` picks, against eight fixed pipelines, on twenty cases.

Mean squared errors over many seeded repeats, at equal shots in all; the cases are those of `tests/mitigation/auto_cases.py`. What
was measured is kept beside them, and a test holds fresh, shorter measurements of what `auto` picks against it. About 4 minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
from statistics import median

from tests.mitigation.auto_cases import CASES, KEPT, of_auto, ratio, squared_errors

REPEATS = 60
LIMIT = 1.5


def main() -> int:
    """Measure, print the table, keep the figures; the exit code is 1 where the median ratio is above its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choices", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of each case ({REPEATS})")
    parser.add_argument("--keep", action="store_true", help=f"write what is measured to {KEPT.name}")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # fits that fail are told by the errors
    found, ratios = {}, []
    for case in CASES:
        fixed = [squared_errors(case, one, options.repeats) for one in case.fixed]
        mine, chosen = of_auto(case, options.repeats), case.chosen()
        ratios.append(ratio(mine, min(fixed)))
        found[case.name] = {"picked": chosen.pipeline, "auto": _short(mine), "fixed": [_short(one) for one in fixed]}
        print(f"{ratios[-1]:6.2f}  {case.name}: {chosen.notes['message'].partition(':')[0]}", flush=True)
    print(f"{median(ratios):6.2f}  median; at most {LIMIT}")
    if options.keep:
        KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(median(ratios) > LIMIT)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    raise SystemExit(main())

"""Programs that kill their own processes at a chosen append to the journal, in their first attempt only.

`kill` is `when:number:victim`: `before` or `after`; the append counted from 1; `child`, `supervisor` or `both`. An empty text
kills nobody. `folder` is where devices and costly steps count what they did, outside the job's own folder.
"""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import qloom
from qloom.circuits import Parameter
from qloom.journal.segments import SegmentWriter
from qloom.testing.billing_device import BillingDevice
from qloom.testing.counting_device import CountingDevice

LANES = 4


def free() -> CountingDevice:
    return CountingDevice(Path(os.environ["KILLABLE_FOLDER"]) / "computed.log")


def billing() -> BillingDevice:
    return BillingDevice(Path(os.environ["KILLABLE_FOLDER"]))


def begin(ctx: qloom.Context, kill: str, folder: str) -> None:
    """Tell the devices where to count, and lay the mine."""
    os.environ["KILLABLE_FOLDER"] = folder
    if kill and ctx.attempt == 1:
        when, number, victim = kill.split(":")
        arm(when, int(number), victim)


def arm(when: str, number: int, victim: str) -> None:
    seen = [0]

    def mined(append: Callable[..., Any]) -> Callable[..., Any]:
        def strike_or_append(*args: Any, **kwargs: Any) -> Any:
            seen[0] += 1
            mine = seen[0] == number
            if mine and when == "before":
                strike(victim)
            value = append(*args, **kwargs)
            if mine and when == "after":
                strike(victim)
            return value

        return strike_or_append

    # The one way into a segment: a durable append goes through it too.
    SegmentWriter.append = mined(SegmentWriter.append)  # type: ignore[method-assign]


def strike(victim: str) -> None:
    supervisor = os.getppid()
    if victim in ("supervisor", "both"):
        os.kill(supervisor, signal.SIGKILL)
    if victim in ("child", "both"):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # killed with the supervisor: nothing after this line may run


def ansatz() -> qloom.Circuit:
    return qloom.Circuit(2).ry(Parameter("a"), 0).cx(0, 1).ry(Parameter("b"), 1)


HAMILTONIAN = qloom.Observable({"ZI": 0.4, "IZ": -0.4, "XX": 0.2})


@qloom.program
def vqe(ctx: qloom.Context, kill: str = "", folder: str = "") -> dict[str, Any]:
    """A small variational loop: exact values, values from shots, a metric a round."""
    begin(ctx, kill, folder)
    energy = ctx.device.prepare(ansatz(), observables=HAMILTONIAN)
    angles = [0.3, -0.2]
    history = []
    for step in range(3):
        noisy = energy.estimate(angles, shots=50).value
        value = energy.estimate(angles).value
        angles = [angles[0] - 0.1 * value + 0.01 * float(ctx.rng.normal()), angles[1] + 0.1 * noisy]
        ctx.log_metric("energy", value, step=step)
        history.append([value, noisy])
    return {"history": history, "angles": angles}


@qloom.program
def lanes(ctx: qloom.Context, kill: str = "", folder: str = "") -> dict[str, Any]:
    """Four lanes at once, each a chain of sampled questions that depend on each other."""
    begin(ctx, kill, folder)

    def chain(number: int) -> list[dict[str, int]]:
        with ctx.lane(f"chain-{number}"):
            circuit = ctx.device.prepare(ansatz())
            angle, seen = 0.1 * number, []
            for _ in range(2):
                counts = circuit.run([angle, 0.5], shots=20).counts
                angle += counts.get("11", 0) / 20
                seen.append(counts)
            return seen

    with ThreadPoolExecutor(LANES) as pool:
        return {"chains": list(pool.map(chain, range(LANES)))}


@qloom.program
def checkpoints(ctx: qloom.Context, kill: str = "", folder: str = "") -> dict[str, Any]:
    """A loop that starts behind its latest checkpoint."""
    begin(ctx, kill, folder)
    state = ctx.load_checkpoint() or {"step": 0, "values": []}
    circuit = ctx.device.prepare(ansatz())
    for step in range(state["step"], 3):
        counts = circuit.run([0.4 * step, float(ctx.rng.normal())], shots=30).counts
        values = [*state["values"], counts]
        state = {"step": step + 1, "values": values}
        ctx.save_checkpoint(state)
    return {"values": state["values"]}


@qloom.program
def steps(ctx: qloom.Context, kill: str = "", folder: str = "") -> dict[str, Any]:
    """Costly classical steps, recorded once each, and the time."""
    begin(ctx, kill, folder)
    circuit = ctx.device.prepare(ansatz())
    total = 0.0
    for number in range(3):
        total += ctx.step(costly, number, folder)["value"]
        total += circuit.run([total, 0.1], shots=10).counts.get("00", 0)
    return {"total": total, "later": (ctx.now() - ctx.now()).total_seconds() <= 0}


def costly(number: int, folder: str) -> dict[str, float]:
    with (Path(folder) / "steps.log").open("a") as file:
        file.write(f"{number}\n")
    return {"value": number / 7}

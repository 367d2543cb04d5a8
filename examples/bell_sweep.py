"""How far two entangled qubits break Bell's inequality: no pair of classical things gets over 2."""

import numpy as np

import qloom
from qloom.circuits import Parameter

CHSH = qloom.Observable({"ZZ": 1, "XX": 1, "ZX": 1, "XZ": -1})


@qloom.program
def bell_sweep(ctx: qloom.Context, points: int = 25, shots: int = 1000) -> dict[str, float]:
    """Turn one qubit of a Bell pair through half a circle and measure the CHSH sum at each point."""
    circuit = qloom.Circuit(2).h(0).cx(0, 1).ry(Parameter("angle"), 1)
    pair = ctx.device.prepare(circuit, observables=CHSH)
    sums = []
    for step, angle in enumerate(ctx.progress(np.linspace(0, np.pi, points))):
        answer = pair.estimate([angle], shots=shots)
        ctx.log_metric("chsh_sum", answer.value, step=step)
        sums.append(answer.value)
    return {"highest": max(sums), "classical_limit": 2.0, "quantum_limit": 8**0.5}


if __name__ == "__main__":
    print(bell_sweep.submit(points=25).result(timeout_s=60))

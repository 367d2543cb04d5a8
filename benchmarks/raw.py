"""The libraries under qloom's simulator, called directly: what a competent user would write without qloom.

Each loop does the same work for one parameter set: set the parameters, run, sample, give a dict of bit strings. Methods are
looked up once, names of keys are made once where there are few, and the sampling is the best known in plain numpy or the
library's own, whichever is faster at that size: `candidates` offers them all, and the figure takes the fastest.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.workload import count_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from benchmarks.workload import Gate

    FloatArray = npt.NDArray[np.float64]
    Counts = dict[str, int]
    Once = Callable[[FloatArray], Counts]
    Sampler = Callable[[FloatArray], Counts]

FEW_QUBITS = 12
"""Up to here the bit strings of all keys are made beforehand."""


def candidates(gates: Sequence[Gate], num_qubits: int, shots: int) -> dict[str, Once]:
    """Return every direct loop worth trying at this size: label -> one iteration."""
    samplers = samplers_for(num_qubits, shots)
    found = {f"lightning, {label}": lightning_loop(gates, num_qubits, sampler) for label, sampler in samplers.items()}
    found |= {f"qulacs, {label}": qulacs_loop(gates, num_qubits, sampler) for label, sampler in samplers.items()}
    found["qulacs, its own sampling"] = qulacs_sampling_loop(gates, num_qubits, shots)
    return found


# ---- engines ---------------------------------------------------------------------------------------------------------


def angle_formula(gates: Sequence[Gate]) -> tuple[FloatArray, FloatArray]:
    """Return scale and offset for each parameter in order: in this workload every parameter turns one gate."""
    turning = sorted((gate for gate in gates if gate.parameter >= 0), key=lambda gate: gate.parameter)
    if [gate.parameter for gate in turning] != list(range(count_parameters(gates))):
        raise ValueError("every parameter must turn exactly one gate")
    return np.array([gate.scale for gate in turning]), np.array([gate.offset for gate in turning])


def lightning_state(num_qubits: int) -> tuple[Any, Any]:
    """Return lightning's state vector and the measurements on it. Its wire 0 is the first character of a key."""
    from pennylane_lightning import lightning_qubit_ops as ops

    state = ops.StateVectorC128(num_qubits)
    return state, ops.MeasurementsC128(state)


def lightning_run(state: Any, gates: Sequence[Gate]) -> Callable[[FloatArray], None]:
    """Return a function that runs the circuit on a state for one parameter set."""
    scale, offset = angle_formula(gates)
    methods = {"ry": state.RY, "rz": state.RZ, "cx": state.CNOT}
    plan = [(methods[gate.name], list(gate.qubits), gate.parameter) for gate in gates]
    reset, no_angles = state.resetStateVector, list[float]()

    def run(parameters: FloatArray) -> None:
        angles = (parameters * scale + offset).tolist()
        reset()
        for method, wires, index in plan:
            if index < 0:
                method(wires, False, no_angles)
            else:
                method(wires, False, [angles[index]])

    return run


def lightning_loop(gates: Sequence[Gate], num_qubits: int, sampler: Sampler) -> Once:
    """Return one iteration on lightning's bindings."""
    state, measurements = lightning_state(num_qubits)
    run, probabilities = lightning_run(state, gates), measurements.probs

    def once(parameters: FloatArray) -> Counts:
        run(parameters)
        return sampler(probabilities())

    return once


def qulacs_run(gates: Sequence[Gate], num_qubits: int) -> tuple[Any, Callable[[FloatArray], None]]:
    """Return qulacs' state and a function that runs the circuit on it for one parameter set.

    Qubits are numbered from the other end, because its qubit 0 is the last character of a key. Its parametric rotations
    turn by minus the angle.
    """
    import qulacs

    scale, offset = angle_formula(gates)
    scale, offset = -scale, -offset
    circuit, state = qulacs.ParametricQuantumCircuit(num_qubits), qulacs.QuantumState(num_qubits)
    add: dict[str, Any] = {"ry": circuit.add_parametric_RY_gate, "rz": circuit.add_parametric_RZ_gate}
    order = []
    for gate in gates:
        wires = [num_qubits - 1 - qubit for qubit in gate.qubits]
        if gate.name == "cx":
            circuit.add_CNOT_gate(*wires)
        else:
            add[gate.name](*wires, 0.0)
            order.append(gate.parameter)
    if order != sorted(order):
        raise ValueError("qulacs numbers parameters in the order of the gates")
    put, reset, update = circuit.set_parameter, state.set_zero_state, circuit.update_quantum_state

    def run(parameters: FloatArray) -> None:
        for index, angle in enumerate((parameters * scale + offset).tolist()):
            put(index, angle)
        reset()
        update(state)

    return state, run


def qulacs_loop(gates: Sequence[Gate], num_qubits: int, sampler: Sampler) -> Once:
    """Return one iteration on qulacs, sampled in numpy."""
    state, run = qulacs_run(gates, num_qubits)
    vector = state.get_vector

    def once(parameters: FloatArray) -> Counts:
        run(parameters)
        amplitudes = vector()
        return sampler(amplitudes.real**2 + amplitudes.imag**2)

    return once


def qulacs_sampling_loop(gates: Sequence[Gate], num_qubits: int, shots: int) -> Once:
    """Return one iteration on qulacs with its own sampling."""
    state, run = qulacs_run(gates, num_qubits)
    draw, form = state.sampling, f"0{num_qubits}b"

    def once(parameters: FloatArray) -> Counts:
        run(parameters)
        return {format(key, form): count for key, count in Counter(draw(shots)).items()}

    return once


# ---- sampling in numpy -------------------------------------------------------------------------------------------------


def samplers_for(num_qubits: int, shots: int) -> dict[str, Sampler]:
    """Return the samplers worth trying at this size."""
    found = {"sorted cdf": cdf_sampler(num_qubits, shots)}
    if num_qubits <= FEW_QUBITS:
        found["multinomial"] = multinomial_sampler(num_qubits, shots)
    else:
        found["block sums"] = block_sampler(num_qubits, shots)
    return found


def multinomial_sampler(num_qubits: int, shots: int) -> Sampler:
    """Return a sampler that draws all counts at once: the fastest while there are few keys."""
    names = [format(key, f"0{num_qubits}b") for key in range(2**num_qubits)]
    multinomial = np.random.default_rng(1).multinomial

    def sample(probabilities: FloatArray) -> Counts:
        counts = multinomial(shots, probabilities).tolist()
        return {name: count for name, count in zip(names, counts, strict=True) if count}

    return sample


def cdf_sampler(num_qubits: int, shots: int) -> Sampler:
    """Return a sampler that looks sorted uniform numbers up in the cumulative sum."""
    rng, form = np.random.default_rng(1), f"0{num_qubits}b"

    def sample(probabilities: FloatArray) -> Counts:
        cumulative = probabilities.cumsum()
        drawn = rng.random(shots)
        drawn.sort()
        drawn *= cumulative[-1]
        keys = cumulative.searchsorted(drawn, "right")
        return {format(key, form): count for key, count in Counter(keys.tolist()).items()}

    return sample


def block_sampler(num_qubits: int, shots: int, block: int = 64) -> Sampler:
    """Return a sampler that sums up blocks, and accumulates only inside the blocks that were hit."""
    rng, form = np.random.default_rng(1), f"0{num_qubits}b"

    def sample(probabilities: FloatArray) -> Counts:
        rows = probabilities.reshape(-1, block)
        ends = rows.sum(axis=1).cumsum()
        drawn = rng.random(shots)
        drawn.sort()
        drawn *= ends[-1]
        hit = np.unique(ends.searchsorted(drawn, "right"))
        inner = rows[hit].cumsum(axis=1)
        inner += (ends[hit] - inner[:, -1])[:, None]
        place = inner.ravel().searchsorted(drawn, "right")
        keys = hit.take(place // block, mode="clip") * block + place % block
        return {format(key, form): count for key, count in Counter(keys.tolist()).items()}

    return sample


# ---- values and gradients ------------------------------------------------------------------------------------------------


def lightning_hamiltonian(terms: dict[str, float]) -> Any:
    """Return an observable in lightning's own form."""
    from pennylane_lightning.lightning_qubit_ops import observables

    return observables.HamiltonianC128(np.array(list(terms.values())), [lightning_product(string) for string in terms])


def lightning_product(string: str) -> Any:
    """Return one Pauli string, letter i on qubit i, in lightning's own form."""
    from pennylane_lightning.lightning_qubit_ops import observables

    names = {"X": "PauliX", "Y": "PauliY", "Z": "PauliZ"}
    factors = [observables.NamedObsC128(names[letter], [wire]) for wire, letter in enumerate(string) if letter != "I"]
    return factors[0] if len(factors) == 1 else observables.TensorProdObsC128(factors)


def lightning_estimate(gates: Sequence[Gate], num_qubits: int, terms: dict[str, float]) -> Callable[[FloatArray], float]:
    """Return a function that gives one exact expectation value."""
    state, measurements = lightning_state(num_qubits)
    run, expval, hamiltonian = lightning_run(state, gates), measurements.expval, lightning_hamiltonian(terms)

    def once(parameters: FloatArray) -> float:
        run(parameters)
        return float(expval(hamiltonian))

    return once


def lightning_gradient(gates: Sequence[Gate], num_qubits: int, terms: dict[str, float]) -> Callable[[FloatArray], FloatArray]:
    """Return a function that gives the derivatives by every parameter, by lightning's adjoint method."""
    from pennylane_lightning.lightning_qubit_ops import algorithms

    state, _ = lightning_state(num_qubits)
    run, jacobian = lightning_run(state, gates), algorithms.AdjointJacobianC128()
    scale, offset = angle_formula(gates)
    names = [{"ry": "RY", "rz": "RZ", "cx": "CNOT"}[gate.name] for gate in gates]
    wires = [list(gate.qubits) for gate in gates]
    inverses, matrices = [False] * len(gates), [np.array([])] * len(gates)
    nothing: list[list[int]] = [[] for _ in gates]
    turning = [gate.parameter for gate in gates]
    observable, trained = [lightning_hamiltonian(terms)], list(range(len(scale)))

    def once(parameters: FloatArray) -> FloatArray:
        angles = (parameters * scale + offset).tolist()
        run(parameters)
        values = [[] if index < 0 else [angles[index]] for index in turning]
        listed = algorithms.create_ops_listC128(names, values, wires, inverses, matrices, nothing, nothing)
        return np.asarray(jacobian(state, observable, listed, trained)) * scale

    return once

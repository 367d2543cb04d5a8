"""The noise that Qiskit backends tell of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qloom.circuits.gates import GATES
from qloom.convert.noise_fidelity import depolarising, gate_name, possible_qubit
from qloom.errors import InvalidSetting
from qloom.noise import GateNoise, NoiseModel, QubitNoise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Place = tuple[int, ...] | str


def noise_from_qiskit(source: Any) -> NoiseModel:
    """Return the noise that a Qiskit `Target`, or a backend that has one, tells of itself.

    T1, T2 and durations are taken as they are. A gate's error is one minus its average fidelity: what relaxation during the
    gate leaves of it becomes depolarising, as in Aer's `NoiseModel.from_backend`. `measure` gives readout errors, those of
    `backend.properties()` where it has some; waiting has noise (`schedule="alap"`), which Aer's model has for delays only.

    Raises:
        InvalidSetting: no target, an error of a gate on three or more qubits, or a time or probability that there is not; by
            name. Noise of operations that the circuit form does not have, which no circuit can use, is left out, and the model's
            notes name them.

    >>> from qiskit.providers.fake_provider import GenericBackendV2
    >>> noise_from_qiskit(GenericBackendV2(2, seed=1)).gate("cx", (0, 1)).duration_s > 0
    True
    """
    target = source if hasattr(source, "operation_from_name") else getattr(source, "target", None)
    if target is None or not hasattr(target, "operation_from_name"):
        raise InvalidSetting(
            f"a {type(source).__module__}.{type(source).__qualname__} holds no noise; give a NoiseModel or its JSON, a Qiskit Aer"
            " NoiseModel, a Qiskit backend with a target, or the properties of a Braket device"
        )
    measured = _Properties(source)
    notes: list[str] = []
    qubits = {qubit: _target_qubit(target, qubit, measured, notes) for qubit in range(target.num_qubits or 0)}
    gates: dict[str, dict[Place, GateNoise]] = {}
    native, unknown = [], []
    for name in target.operation_names:
        if isinstance(target.operation_from_name(name), type) or name in ("delay", "barrier"):
            continue
        known = name if name in ("measure", "reset") else gate_name(name)
        if known is None:
            unknown += [name] if any(getattr(row, "error", None) for row in target[name].values()) else []
            continue
        native += [known] if known in GATES else []
        gates[known] = dict(_target_gates(name, target[name], qubits, notes))
    if unknown:
        notes.append(f"the noise of {', '.join(unknown)} is left out: no circuit can use operations that the circuit form lacks")
    label = str(getattr(source, "name", None) or target.description or "")
    return NoiseModel(
        gates=gates, qubits=qubits, native_gates=native, dt_s=target.dt, notes=notes, name=label, calibration_id=measured.updated
    )


class _Properties:
    """What `backend.properties()` adds to a target: readout errors of each state, and when they were measured."""

    def __init__(self, backend: Any) -> None:
        asked = getattr(backend, "properties", None)
        found = asked() if callable(asked) else None
        document = found.to_dict() if found is not None else {}
        self.updated = str(document.get("last_update_date", ""))
        self.readouts: dict[int, tuple[float, float]] = {}
        for qubit, rows in enumerate(document.get("qubits", ())):
            values = {row["name"]: float(row["value"]) for row in rows}
            if {"prob_meas1_prep0", "prob_meas0_prep1"} <= values.keys():
                self.readouts[qubit] = (values["prob_meas1_prep0"], values["prob_meas0_prep1"])


def _target_qubit(target: Any, qubit: int, measured: _Properties, notes: list[str]) -> QubitNoise:
    times = (target.qubit_properties or {qubit: None})[qubit]
    t1, t2 = (getattr(times, name, None) for name in ("t1", "t2"))
    readout = measured.readouts.get(qubit)
    row = target["measure"].get((qubit,)) if "measure" in target.operation_names else None
    if readout is None and getattr(row, "error", None) is not None:
        readout = (row.error, row.error)  # type: ignore[union-attr]
    return possible_qubit(qubit, t1, t2, readout, notes)


def _target_gates(
    name: str, rows: Mapping[Any, Any], qubits: Mapping[int, QubitNoise], notes: list[str]
) -> Iterable[tuple[Place, GateNoise]]:
    for place, row in rows.items():
        if row is None or place is None:
            continue
        duration = row.duration or 0.0
        if name == "reset" and row.error:
            notes.append(f"reset on {list(place)}: its error of {row.error:.3g} is not used")
        error = None if name in ("measure", "reset") else row.error
        if error and len(place) > 2:
            raise InvalidSetting(
                f"the target has an error of {name} on {list(place)}; errors are held for gates on one or two qubits only, so"
                f" take {name} out of the target or its error away"
            )
        errors = (
            ()
            if error is None
            else depolarising(f"{name} on {list(place)}", 1 - error, [qubits[q] for q in place], duration, notes)
        )
        yield tuple(place), GateNoise(duration, errors)

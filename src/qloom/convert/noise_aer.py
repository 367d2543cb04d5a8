"""Qiskit Aer's noise models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qloom.convert.noise_channels import channels_of
from qloom.convert.noise_fidelity import gate_name
from qloom.errors import InvalidSetting
from qloom.noise import ErrorChannel, GateNoise, NoiseModel, QubitNoise

if TYPE_CHECKING:
    from collections.abc import Mapping

    Place = tuple[int, ...] | str

_BOTH = {"u2": "u"}
"""Aer's names of gates that the circuit form holds under another gate's name."""


def noise_from_aer(model: Any) -> NoiseModel:
    """Return a Qiskit Aer `NoiseModel` as a `NoiseModel`.

    Errors act on the same gates and qubits, with the same superoperators; Pauli errors, depolarising and thermal relaxation
    get the names that they have here, others become `kraus`. Relaxation of delays (of `NoiseModel.from_backend`) becomes T1
    and T2, with `schedule="none"`: as in Aer, waiting without a delay has no noise.

    Raises:
        InvalidSetting: an error on an instruction that the circuit form does not have, an error on three or more qubits, a
            readout error of several qubits at once, a noise pass of another kind; all of them by name.

    >>> from qiskit_aer.noise import NoiseModel as AerNoise, depolarizing_error
    >>> aer = AerNoise()
    >>> aer.add_all_qubit_quantum_error(depolarizing_error(0.04, 1), ["x", "sx"])
    >>> noise_from_aer(aer).gate("x", (0,)).errors[0].channel
    'depolarizing'
    """
    if not (type(model).__module__ or "").startswith("qiskit_aer.") or not hasattr(model, "to_dict"):
        raise InvalidSetting(f"a {type(model).__module__}.{type(model).__qualname__} is no Qiskit Aer NoiseModel")
    found = _Aer()
    for row in model.to_dict()["errors"]:
        found.readout(row) if row["type"] == "roerror" else found.error(row)
    for extra in model._custom_noise_passes:  # noqa: SLF001  Aer has no public name for what else acts
        found.relaxation(extra)
    found.lone_u2()
    if found.reasons:
        raise InvalidSetting(f"the Aer noise model cannot be converted: {'; '.join(found.reasons)}")
    native = [name for name in map(gate_name, model.basis_gates) if name]
    return NoiseModel(
        gates=found.gates, qubits=found.qubits(), schedule="none", dt_s=found.dt_s, native_gates=native, name="from Qiskit Aer"
    )


class _Aer:
    """What was found so far, and every reason why it cannot be converted."""

    def __init__(self) -> None:
        self.gates: dict[str, dict[Place, GateNoise]] = {}
        self.reasons: list[str] = []
        self.readouts: dict[int | str, tuple[float, float]] = {}
        self.times: dict[int, tuple[float | None, float | None, float]] = {}
        self.dt_s: float | None = None
        self.only_u2: set[Place] = set()
        self.only_u: set[Place] = set()

    def error(self, row: Mapping[str, Any]) -> None:
        """Add a quantum error."""
        (name,) = row["operations"]
        places: list[Place] = [tuple(place) for place in row.get("gate_qubits", ())] or ["default"]
        where = name if places == ["default"] else f"{name} on qubits {list(places[0])}"
        known = name if name in ("measure", "reset") else _BOTH.get(name) or gate_name(name)
        if known is None:
            self.reasons.append(f"an error on {where}: the circuit form has no such gate, or no noise on it")
            return
        errors = _aer_channels(row)
        if errors is None:
            self.reasons.append(f"an error on {where}: it acts on more than two qubits")
            return
        table = self.gates.setdefault(known, {})
        for place in places:
            entry = GateNoise(errors=errors, relaxation=False)
            if table.setdefault(place, entry) != entry:
                self.reasons.append(f"an error on {where}: {known} is another name for the gate and has another error")
            if known == "u":
                (self.only_u2 if name == "u2" else self.only_u).add(place)

    def lone_u2(self) -> None:
        """Refuse an error of u2 alone, which is a `u` here as u3 is."""
        for place in self.only_u2 - self.only_u:
            self.reasons.append(f"an error on u2 ({place}) without one on u3: the circuit form holds both as u")

    def readout(self, row: Mapping[str, Any]) -> None:
        """Add a readout error."""
        table = row["probabilities"]
        place = row.get("gate_qubits", [("default",)])[0]
        if len(table) != 2 or len(place) != 1:
            self.reasons.append(f"a readout error of qubits {list(place)} together: only those of single qubits are held")
            return
        self.readouts[place[0]] = (float(table[0][1]), float(table[1][0]))

    def relaxation(self, extra: Any) -> None:
        """Add the relaxation of delays."""
        kinds = [kind.__name__ for kind in getattr(extra, "_ops", ())]
        if type(extra).__name__ != "RelaxationNoisePass" or kinds != ["Delay"]:
            self.reasons.append(f"the noise pass {type(extra).__name__} on {', '.join(kinds) or 'all instructions'}")
            return
        rows = zip(extra._t1s, extra._t2s, extra._p1s, strict=True)  # noqa: SLF001  as above
        self.times = {qubit: (_until(t1), _until(t2), float(p1)) for qubit, (t1, t2, p1) in enumerate(rows)}
        self.dt_s = extra._dt or None  # noqa: SLF001  as above

    def qubits(self) -> dict[Any, QubitNoise]:
        """Return the qubits; all others are ideal where Aer allows others."""
        numbers = {*self.times, *self.readouts, *([] if self.times else ["default"])}
        found = {}
        for number in numbers:
            t1, t2, excited = self.times.get(number, (None, None, 0.0)) if isinstance(number, int) else (None, None, 0.0)
            readout = self.readouts.get(number, self.readouts.get("default"))
            found[number] = QubitNoise(t1, t2, excited if t1 is not None else 0.0, readout)
        return found


def _aer_channels(row: Mapping[str, Any]) -> tuple[ErrorChannel, ...] | None:
    """Return Aer's error as channels; None where it acts on more than two qubits."""
    from qiskit.quantum_info import PTM, Choi, SuperOp
    from qiskit_aer.noise import QuantumError

    error = QuantumError.from_dict(dict(row))
    if error.num_qubits > 2:
        return None
    whole = SuperOp(error)
    return channels_of(PTM(whole).data.real, Choi(whole).data)


def _until(time: float) -> float | None:
    return None if math.isinf(time) else float(time)

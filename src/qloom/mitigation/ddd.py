"""The stage `ddd`: pulses that undo each other in the windows in which a qubit waits."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from qloom.circuits import Instruction
from qloom.contracts.stage import Answer, Expansion, Stage, StageContext
from qloom.errors import Unsupported
from qloom.mitigation.timeline import GateTimes, Pulse, Timeline
from qloom.noise.schedule import ATTOSECONDS, attoseconds
from qloom.specs.forms import times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.mitigation.timeline import Wait
    from qloom.specs import DeviceSpec

SEQUENCES = {"XX": ("x", "x"), "YY": ("y", "y"), "XYXY": ("x", "y", "x", "y"), "CPMG": ("x", "x")}
MOST_REPEATS = 10_000


class DddOptions(BaseModel):
    """Options of the stage `ddd`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence: Literal["XX", "YY", "XYXY", "CPMG"] = Field(
        "XX", description="Which pulses go into a window: XX, YY, XYXY or CPMG."
    )
    durations_s: dict[str, float] = Field(
        default_factory=dict,
        description="How long gates take (s), by name; also default:1, default:2, default:3 for every other gate on so many"
        " qubits, default for all that is left, dt for the unit of delays. Goes before what the device states. default alone,"
        ' such as {"default": 1.0}, makes layers.',
    )
    schedule: Literal["alap", "asap"] = Field("alap", description="Whether gates run as late or as soon as they can.")
    min_window_s: float = Field(0.0, ge=0, allow_inf_nan=False, description="Windows shorter than this stay as they are (s).")
    spacing_s: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Wait between two pulses (s); the longest that fits the window if not given."
    )
    repeats: int = Field(
        1, ge=1, le=MOST_REPEATS, description="How often the sequence goes into a window; less where it is short."
    )
    grain_s: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Waits between pulses are whole multiples of this (s). If not given: a layer's time where durations_s has"
        " default alone, else dt where it is known, else nothing.",
    )
    fresh: bool = Field(
        default=False, description="Whether windows before a qubit's first gate, and behind a reset, get pulses too."
    )

    @field_validator("sequence", mode="before")
    @classmethod
    def _upper(cls, given: object) -> object:
        return given.upper() if isinstance(given, str) else given

    @field_validator("durations_s")
    @classmethod
    def _times(cls, given: dict[str, float]) -> dict[str, float]:
        return times("ddd: durations_s", given)


class Ddd(Stage):
    """Decouples waiting qubits from slow noise, by pulses in their idle windows that together do nothing.

    When each gate runs comes from gate times: those of the device's spec (`durations_s`), or the option's. A window is any time
    in which a qubit does nothing, waits written as `delay` or `id` included; barriers do not end it. Windows in which the qubit
    still is in |0> stay empty, and so do those that are too short. The pulses are `x` and `y` (`rz(pi)` and `x` where the device
    has no `y`), with delays between them; all other waits are written out as delays too, so that every gate keeps its time
    under any schedule. Where there is no window to fill, the circuit stays as it is and the notes say so.

    Where n pulses leave the time s free in a window, XX, YY and XYXY wait s / (n + 1) before, between and behind them (digital
    dynamical decoupling: LaRose and others, Mitiq, arXiv:2009.04417; XYXY is XY4: Maudsley 1986, J. Magn. Reson. 69, 488). CPMG
    waits s / n between them, and half of that before and behind (Carr and Purcell 1954, doi 10.1103/PhysRev.94.630; Meiboom and
    Gill 1958, doi 10.1063/1.1716296; on superconducting qubits: Ezzell and others, arXiv:2207.03670): it undoes a constant
    detuning wholly, where an evenly spaced pair leaves a third of it and XYXY a fifth. Grains (`grain_s`) that are left over go
    in turn before and behind the sequence, so with `durations_s={"default": 1}`, `schedule="asap"` and `fresh=True` the circuit
    is the one that Mitiq's rules of these names make.

    Notes: `sequence`, `windows` (those that may be filled), `decoupled` (how many were), `pulses`, `idle_s` (length of these
    windows together, s), `message` (why nothing was done; empty where something was).

    >>> from qloom.circuits import Circuit
    >>> from qloom.specs import DeviceSpec
    >>> toy = DeviceSpec(name="toy", num_qubits=2, gates=frozenset({"h", "x", "y", "cx"}), features=frozenset({"delay"}))
    >>> context = StageContext(spec=toy)
    >>> circuit = Circuit(2).h(0).h(1).delay(5, 0, unit="us").cx(0, 1)
    >>> options = DddOptions(durations_s={"default:1": 1e-6, "cx": 2e-6}, schedule="asap")
    >>> found = Ddd().expand(circuit, options, context).circuits[0]
    >>> [(step.name, step.qubits, *step.parameters) for step in found.instructions][2:6]
    [('delay', (0,), 1e-06), ('x', (0,)), ('delay', (0,), 1e-06), ('x', (0,))]
    >>> context.notes["windows"], context.notes["pulses"]
    (2, 4)
    """

    name: ClassVar[str] = "ddd"
    options_type: ClassVar[type[Any]] = DddOptions

    def expand(self, circuit: Circuit, options: DddOptions, context: StageContext) -> Expansion:
        """Return the circuit with pulses in its idle windows.

        Raises:
            Unsupported: an `if` in the circuit; gates without a time, or a delay of unknown length; a device without delays.
        """
        gate_times = GateTimes(options.durations_s, context.spec.durations_s)
        line = Timeline(self.name, circuit, gate_times, options.schedule)
        waits = [wait for wait in line.waits if options.fresh or not wait.fresh]
        filled: dict[Wait, list[Pulse]] = {}
        if waits:
            rule = _Rule(options, gate_times, context.spec)
            filled = {wait: pulses for wait in waits if (pulses := rule.pulses(wait))}
        if filled and "delay" not in context.spec.features:
            raise Unsupported(
                f"{self.name}: {context.spec.name} runs no delays, which keep the pulses in their places; use a device with the"
                " feature delay, or leave the stage out"
            )
        recipe = {
            "sequence": options.sequence,
            "windows": len(waits),
            "decoupled": len(filled),
            "pulses": sum(map(len, filled.values())),
            "idle_s": sum(wait.end - wait.start for wait in waits) / ATTOSECONDS,
            "message": "" if filled else _nothing(waits, options),
        }
        context.notes.update(recipe)
        return Expansion((line.filled(filled) if filled else circuit,), recipe)

    def weights(self, recipe: Mapping[str, Any], options: DddOptions, context: StageContext) -> Sequence[float]:
        """Return one weight: the answer as it is."""
        del recipe, options, context
        return (1.0,)

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: DddOptions, context: StageContext) -> Answer:
        """Return the answer as it is."""
        del options
        context.notes.update(recipe)
        return answers[0]


class _Rule:
    """Where pulses go in a window.

    Args:
        options: of the stage.
        gate_times: of the pulses.
        spec: of the device.
    """

    def __init__(self, options: DddOptions, gate_times: GateTimes, spec: DeviceSpec) -> None:
        self._gates = [_pulse(name, spec) for name in SEQUENCES[options.sequence]]
        self._times = [_time(gates, gate_times, options) for gates in self._gates]
        self._most = options.repeats
        self._shortest = attoseconds(options.min_window_s)
        self._half_ends = options.sequence == "CPMG"
        self._spacing = None if options.spacing_s is None else attoseconds(options.spacing_s)
        self._grain = attoseconds(_grain_s(options, gate_times, spec) or 0) or 1

    def pulses(self, wait: Wait) -> list[Pulse]:
        """Return the pulses for a window; none where it is too short."""
        length, once = wait.end - wait.start, sum(self._times)
        most = 0 if length < self._shortest else min(self._most, length // once) if once else self._most
        for repeats in range(most, 0, -1):
            gaps = self._gaps(length - repeats * once, repeats * len(self._gates))
            if gaps is not None:
                return _placed(wait, self._gates * repeats, self._times * repeats, gaps)
        return []

    def _gaps(self, free: int, pulses: int) -> list[int] | None:
        """Return the waits before and between so many pulses; None where they do not fit."""
        if self._spacing is None and self._half_ends:
            places = [self._rounded(free, (2 * number + 1, 2 * pulses)) for number in range(pulses)]
            return [place - before for before, place in pairwise((0, *places))]
        spacing = (free // (pulses + 1) if self._spacing is None else self._spacing) // self._grain * self._grain
        end = spacing // 2 if self._half_ends else spacing
        rest = free - spacing * (pulses - 1) - 2 * end
        return None if rest < 0 else [end + (rest // self._grain + 1) // 2 * self._grain, *[spacing] * (pulses - 1)]

    def _rounded(self, time: int, part: tuple[int, int]) -> int:
        """Return a fraction of a time, as the nearest multiple of the grain within that time."""
        whole = part[1] * self._grain
        return min((2 * time * part[0] + whole) // (2 * whole), time // self._grain) * self._grain


def _placed(wait: Wait, gates: Sequence[tuple[str, ...]], pulse_times: Sequence[int], gaps: Sequence[int]) -> list[Pulse]:
    pulses, now = [], wait.start
    for names, time, gap in zip(gates, pulse_times, gaps, strict=True):
        now += gap
        steps = tuple(Instruction(name, (wait.qubit,), (math.pi,) if name == "rz" else ()) for name in names)
        pulses.append(Pulse(steps, now, now + time))
        now += time
    return pulses


def _pulse(name: str, spec: DeviceSpec) -> tuple[str, ...]:
    """Return the gates of a pulse: where a device has no `y` but `rz` and `x`, those, up to a phase."""
    native = spec.gates if spec.native_gates is None else spec.native_gates
    return ("rz", "x") if name == "y" and "y" not in native and {"rz", "x"} <= native else (name,)


def _time(gates: Sequence[str], gate_times: GateTimes, options: DddOptions) -> int:
    found = [gate_times.of(Instruction(name, (0,))) for name in gates]
    missing = [name for name, time in zip(gates, found, strict=True) if time is None]
    if missing:
        raise Unsupported(
            f"ddd: no gate times for {', '.join(missing)}, of which the pulses of sequence={options.sequence} are; give them in"
            ' seconds, as the option durations_s, such as {"default:1": 3.5e-8}'
        )
    return sum(time for time in found if time is not None)


def _grain_s(options: DddOptions, gate_times: GateTimes, spec: DeviceSpec) -> float | None:
    if options.grain_s is not None:
        return options.grain_s
    table = options.durations_s or spec.durations_s
    return table["default"] if table.keys() == {"default"} else gate_times.unit_s("dt")


def _nothing(waits: Sequence[Wait], options: DddOptions) -> str:
    if not waits:
        return "no idle window: no qubit waits between its gates for as long as a gate takes time"
    longest = max(wait.end - wait.start for wait in waits) / ATTOSECONDS
    return f"no idle window is long enough for {options.sequence}: the longest of {len(waits)} is {longest:g} s"

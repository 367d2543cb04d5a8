"""The one matcher of what is needed with what there is."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from qloom.circuits.gates import GATES
from qloom.specs.connectivity import SHOWN_COUPLINGS, Connectivity, coupling
from qloom.specs.requirements import Requirements, needs
from qloom.tasks import read_shots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.circuits import Circuit, Observable
    from qloom.specs.device import DeviceSpec

NO_GATES = frozenset({"measure", "barrier"})
"""Instructions that every device runs."""


class Fit(NamedTuple):
    """Whether a device fits.

    Attributes:
        reasons: every reason why it does not; empty where it does.
        notes: what it takes to fit, such as transpiling.
    """

    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


class _Note(str):
    """What is said of a device that fits all the same."""

    __slots__ = ()


def reasons_against(
    spec: DeviceSpec,
    wanted: Circuit | Requirements,
    shots: int | None = None,
    *,
    observables: Observable | Sequence[Observable] | None = None,
    transpile: bool | None = None,
) -> list[str]:
    """Return every reason why a device of that spec does not fit; empty where it does.

    Args:
        spec, wanted, shots, observables, transpile: as for `fit`.

    Raises:
        InvalidTask: as `fit`.

    >>> from qloom.circuits import Circuit
    >>> from qloom.specs import DeviceSpec
    >>> small = DeviceSpec(name="small", num_qubits=1, gates=frozenset({"h"}), max_shots=10)
    >>> reasons_against(small, Circuit(2).h(0).cx(0, 1), shots=100)
    ['2 qubits, small has 1', 'gate cx, small runs h', '100 shots, small allows 10']
    """
    if observables is None and not isinstance(wanted, Requirements) and _plainly_fits(spec, wanted, shots):
        return []
    return list(fit(spec, wanted, shots, observables=observables, transpile=transpile).reasons)


def fit(
    spec: DeviceSpec,
    wanted: Circuit | Requirements,
    shots: int | None = None,
    *,
    observables: Observable | Sequence[Observable] | None = None,
    transpile: bool | None = None,
) -> Fit:
    """Return every reason why a device of that spec does not fit, and what it takes where it does.

    Args:
        spec: of the device.
        wanted: a circuit, or requirements.
        shots: in the place of those that requirements have; None leaves them.
        observables: of a circuit, as for `Requirements.of`.
        transpile: whether a circuit may be brought to the device's gates and connectivity, in the place of what the requirements
            say; None leaves that, and where they say nothing, `spec.transpiles` decides.

    Raises:
        InvalidTask: shots below 1, observables on another number of qubits.

    >>> from qloom.specs import DeviceSpec
    >>> line = DeviceSpec(name="line", num_qubits=4, gates=frozenset({"cx", "h"}), connectivity=Connectivity.linear())
    >>> fit(line, Requirements(connectivity=Connectivity.all_to_all())).reasons
    ('connectivity all, line has linear; it fits only if it may be transpiled',)
    >>> fit(line, Requirements(connectivity=Connectivity.all_to_all()), transpile=True)
    Fit(reasons=(), notes=('connectivity all, line has linear: fits only transpiled, with gates added',))
    """
    if not isinstance(wanted, Requirements):
        wanted = Requirements.of(wanted, shots, observables)
    elif shots is not None:
        wanted = replace(wanted, shots=read_shots(shots))
    allowed = transpile if transpile is not None else wanted.transpile
    if allowed is None:
        allowed = spec.transpiles
    if allowed is not wanted.transpile:
        wanted = replace(wanted, transpile=allowed)
    said = [line for check in CHECKS for line in check(spec, wanted)]
    reasons = tuple(line for line in said if not isinstance(line, _Note))
    return Fit(reasons, tuple(str(line) for line in said if isinstance(line, _Note)))


def _plainly_fits(spec: DeviceSpec, circuit: Circuit, shots: int | None) -> bool:
    """Whether a plain circuit fits a device without wires: the usual case, told without a word on each of its gates."""
    names = circuit.instruction_names
    return (
        names - spec.gates <= NO_GATES
        and circuit.num_qubits <= spec.num_qubits
        and (spec.max_clbits is None or circuit.key_length <= spec.max_clbits)
        and (shots is None or spec.min_shots <= read_shots(shots) <= (spec.max_shots or shots))
        and spec.connectivity.shape == "all"
        and spec.status == "online"
        and spec.paradigm == "gate_model"
        and spec.features.issuperset(_controls(circuit) if names.difference(GATES) <= {"barrier"} else needs(circuit))
    )


def _controls(circuit: Circuit) -> tuple[str, ...]:
    return ("controls",) if any(map(attrgetter("controls"), circuit.instructions)) else ()


# ---- checks: each yields reasons, and notes ------------------------------------------------------------------------------


def _availability(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if spec.status != "online":
        yield f"{spec.name} is {spec.status}"
    if need.kinds is not None and spec.kind not in need.kinds:
        yield f"kind {_either(need.kinds)}, {spec.name} is a {spec.kind}"
    if need.providers is not None and spec.provider not in need.providers:
        yield f"provider {_either(need.providers)}, {spec.name} is of {spec.provider or 'nobody who is named'}"
    if need.paradigm and need.paradigm != spec.paradigm:
        yield f"paradigm {need.paradigm}, {spec.name} is {spec.paradigm}"
    if need.max_queue_depth is not None and spec.queue_depth is None:
        yield f"at most {need.max_queue_depth} tasks waiting, {spec.name} does not state its queue"
    elif need.max_queue_depth is not None and spec.queue_depth is not None and spec.queue_depth > need.max_queue_depth:
        yield f"at most {need.max_queue_depth} tasks waiting, {spec.name} has {spec.queue_depth}"


def _size(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if need.num_qubits > spec.num_qubits:
        yield f"{need.num_qubits} qubits, {spec.name} has {spec.num_qubits}"
    if spec.max_clbits is not None and need.num_clbits > spec.max_clbits:
        yield f"{need.num_clbits} classical bits, {spec.name} has {spec.max_clbits}"


def _gates(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    runs = f"{spec.name} runs {', '.join(sorted(spec.gates)) or 'none'}"
    # A gate of the device's own, without a standard name, may join qubits too: only its own compiler can tell.
    joins = any(GATES[name].num_qubits > 1 if name in GATES else spec.transpiles for name in spec.gates)
    for name in sorted(need.gates - spec.gates):
        if need.transpile and spec.gates and (joins or GATES[name].num_qubits <= 1):
            yield _Note(f"gate {name}, {runs}: fits only transpiled")
        else:
            yield f"gate {name}, {runs}"
    native = spec.gates if spec.native_gates is None else spec.native_gates
    for name in sorted(need.verbatim_gates - native):
        yield f"gate {name} in a verbatim block, {spec.name} runs {', '.join(sorted(native)) or 'none'} there"


def _features(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    for name in sorted(need.features - spec.features):
        if name == "controls" and need.transpile:
            yield _Note(f"controls, which {spec.name} does not run: fits only transpiled")
        else:
            yield f"{name}, which {spec.name} does not run"


def _connectivity(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if need.connectivity is not None and (lacks := _uncoupled(spec, need.connectivity, need.num_qubits)):
        asked = min(need.num_qubits or spec.num_qubits, spec.num_qubits)
        together, largest = need.connectivity.largest_part(asked), spec.connectivity.largest_part(spec.num_qubits)
        if not need.transpile:
            yield f"{lacks}; it fits only if it may be transpiled"
        elif together > largest:
            yield f"{lacks}; transpiling does not help, as {together} qubits have to be joined and {spec.name} joins {largest}"
        else:
            yield _Note(f"{lacks}: fits only transpiled, with gates added")
    if need.verbatim_connectivity is not None and (lacks := _uncoupled(spec, need.verbatim_connectivity, need.num_qubits)):
        yield f"{lacks}, and a verbatim block is not transpiled"


def _uncoupled(spec: DeviceSpec, need: Connectivity, num_qubits: int) -> str:
    """Return which couplings a device lacks; empty where it has all. Qubits that it does not have are told elsewhere."""
    has = spec.connectivity
    if has.shape == "all":
        return ""
    if need.shape == "all":
        return "" if has.is_complete(spec.num_qubits) else f"connectivity all, {spec.name} has {has.brief()}"
    pairs = need.pairs(min(max(num_qubits, need.needed_qubits) or spec.num_qubits, spec.num_qubits))
    lacking = [
        coupling(pair, either=either)
        for pair, either in pairs
        if max(pair) < spec.num_qubits and not has.couples(*pair, spec.num_qubits, either=either)
    ]
    if not lacking:
        return ""
    more = f" and {len(lacking) - SHOWN_COUPLINGS} more" if len(lacking) > SHOWN_COUPLINGS else ""
    asked = "couplings" if need.shape == "edges" else f"connectivity {need} with couplings"
    return f"{asked} {', '.join(lacking[:SHOWN_COUPLINGS])}{more}, {spec.name} has {has.brief()}"


def _shots(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if need.shots is not None and need.shots < spec.min_shots:
        yield f"{need.shots} shots, {spec.name} takes {spec.min_shots} and more"
    if need.shots is not None and spec.max_shots is not None and need.shots > spec.max_shots:
        yield f"{need.shots} shots, {spec.name} allows {spec.max_shots}"


def _answers(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if need.exact_values and not spec.exact_values:
        yield f"exact values, which {spec.name} does not give; ask with shots"
    if need.gradients and not spec.gradients:
        yield f"gradients, which {spec.name} does not give"
    if need.method and need.method not in spec.methods:
        yield f"method {need.method}, {spec.name} has {', '.join(spec.methods) or 'none that it states'}"
    engines = [engine.name for engine in spec.engines]
    if need.engine and need.engine not in engines:
        yield f"engine {need.engine}, {spec.name} has {', '.join(engines) or 'none that it states'}"


def _errors(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    for kind, limit in sorted(need.max_errors.items()):
        rate = spec.error_rate(kind)
        if rate is None:
            yield f"{kind} error of at most {limit:g}, {spec.name} does not state its own"
        elif rate > limit:
            yield f"{kind} error of at most {limit:g}, {spec.name} has {rate:g}"


def _money(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if need.max_cost is None or (not spec.bills and spec.cost is None):
        return
    asked = f"cost of at most {need.max_cost:g} {need.currency}"
    if spec.cost is None:
        yield f"{asked}, {spec.name} bills and does not state its price"
        return
    price = spec.cost
    if price.currency != need.currency and any(price[:3]):
        yield f"{asked}, {spec.name} charges {price.currency}"
    elif need.shots is None and (price.per_shot or price.per_minute):
        yield f"{asked}, {spec.name} charges by the shot or the minute; say how many shots"
    elif price.per_minute and spec.seconds_per_shot is None:
        yield f"{asked}, {spec.name} charges by the minute and does not state its speed"
    elif (total := price.total(need.shots or 0, (need.shots or 0) * (spec.seconds_per_shot or 0))) > need.max_cost:
        shots = "a task" if need.shots is None else f"{need.shots} shots"
        yield f"{asked}, {spec.name} takes {total:g} {price.currency} for {shots}"


def _speed(spec: DeviceSpec, need: Requirements) -> Iterator[str]:
    if not need.min_shots_per_second:
        return
    if spec.shots_per_second is None:
        yield f"{need.min_shots_per_second:g} shots/s, {spec.name} does not state its speed"
    elif spec.shots_per_second < need.min_shots_per_second:
        yield f"{need.min_shots_per_second:g} shots/s, {spec.name} has {spec.shots_per_second:g}"


def _either(choices: frozenset[str]) -> str:
    return " or ".join(sorted(choices)) or "none"


CHECKS = (_availability, _size, _gates, _features, _connectivity, _shots, _answers, _errors, _money, _speed)

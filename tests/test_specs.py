"""`qloom.specs`: what devices can do, what circuits need, and every reason why the one does not fit the other."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.transpiler import CouplingMap, PassManager
from qiskit.transpiler.passes import CheckGateDirection, CheckMap

from qloom.circuits import Circuit, Observable
from qloom.circuits.gates import ALIASES, GATES
from qloom.convert import read_circuit
from qloom.errors import InvalidSetting, InvalidTask, UnknownName
from qloom.kit.qiskit_out import to_qiskit
from qloom.results import Engine
from qloom.specs import (
    ERROR_KINDS,
    FEATURES,
    KINDS,
    PARADIGMS,
    STATUSES,
    Connectivity,
    Cost,
    DeviceSpec,
    Requirements,
    fit,
    needs,
    reasons_against,
)
from qloom.specs.forms import TIMES
from tests.circuits.strategies import circuits, unitary_circuits

ALL, LINEAR, RING = Connectivity.all_to_all(), Connectivity.linear(), Connectivity.ring()


def device(**fields: Any) -> DeviceSpec:
    """Four qubits, a few gates, everything else at its default."""
    return DeviceSpec(**{"name": "toy", "num_qubits": 4, "gates": frozenset({"h", "cx", "cz", "rz"}), **fields})


# ---- what fits what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "need", "reasons"),
    [
        (device(), Requirements(num_qubits=2), []),
        (device(), Requirements(num_qubits=9), ["9 qubits, toy has 4"]),
        (device(), Requirements(num_qubits=4, connectivity=LINEAR), []),
        (device(connectivity=LINEAR), Requirements(num_qubits=4, connectivity=LINEAR), []),
        (device(connectivity=RING), Requirements(num_qubits=3, connectivity=LINEAR), []),
        (
            device(connectivity=LINEAR),
            Requirements(connectivity=ALL),
            ["connectivity all, toy has linear; it fits only if it may be transpiled"],
        ),
        (
            device(connectivity=LINEAR),
            Requirements(num_qubits=2, connectivity=ALL),
            ["connectivity all, toy has linear; it fits only if it may be transpiled"],
        ),
        (device(num_qubits=2, connectivity=LINEAR), Requirements(connectivity=ALL), []),
        (device(connectivity=LINEAR), Requirements(connectivity=ALL, transpile=True), []),
        (device(connectivity=LINEAR, transpiles=True), Requirements(connectivity=ALL), []),
        (
            device(connectivity=LINEAR, transpiles=True),
            Requirements(connectivity=ALL, transpile=False),
            ["connectivity all, toy has linear; it fits only if it may be transpiled"],
        ),
        (
            device(noise={"depolarizing": 0.5}),
            Requirements(max_errors={"depolarizing": 0.01}),
            ["depolarizing error of at most 0.01, toy has 0.5"],
        ),
        (device(noise={"depolarizing": 0.01}), Requirements(max_errors={"depolarizing": 0.01}), []),
        (device(noise={}), Requirements(max_errors={"readout": 0.0}), []),
        (device(noise={"readout": 0.5}), Requirements(), []),
        (device(), Requirements(max_errors={"readout": 0.1}), ["readout error of at most 0.1, toy does not state its own"]),
        (
            device(kind="qpu", noise={"depolarizing": 0.1}),
            Requirements(max_errors={"readout": 0.1}),
            ["readout error of at most 0.1, toy does not state its own"],
        ),
        (device(shots_per_second=10.0), Requirements(min_shots_per_second=0), []),
        (device(), Requirements(min_shots_per_second=0), []),
        (device(shots_per_second=10.0), Requirements(min_shots_per_second=100), ["100 shots/s, toy has 10"]),
        (device(shots_per_second=1000.0), Requirements(min_shots_per_second=100), []),
        (device(), Requirements(min_shots_per_second=100), ["100 shots/s, toy does not state its speed"]),
        (device(kind="vqpu"), Requirements(kinds=frozenset({"vqpu", "qpu"})), []),
        (device(kind="vqpu"), Requirements(kinds=frozenset({"qpu", "simulator"})), ["kind qpu or simulator, toy is a vqpu"]),
    ],
)
def test_the_table_of_what_fits_what(spec: DeviceSpec, need: Requirements, reasons: list[str]) -> None:
    assert reasons_against(spec, need) == reasons
    assert fit(spec, need).fits is not bool(reasons)


@pytest.mark.parametrize(
    ("spec", "need", "reason"),
    [
        (device(status="offline"), Requirements(), "toy is offline"),
        (device(status="retired"), Requirements(), "toy is retired"),
        (device(provider="Acme"), Requirements(providers=frozenset({"Other"})), "provider Other, toy is of Acme"),
        (device(paradigm="analog"), Requirements(paradigm="gate_model"), "paradigm gate_model, toy is analog"),
        (device(queue_depth=7), Requirements(max_queue_depth=3), "at most 3 tasks waiting, toy has 7"),
        (device(), Requirements(max_queue_depth=3), "at most 3 tasks waiting, toy does not state its queue"),
        (device(max_clbits=2), Requirements(num_clbits=3), "3 classical bits, toy has 2"),
        (device(min_shots=100), Requirements(shots=10), "10 shots, toy takes 100 and more"),
        (device(max_shots=100), Requirements(shots=101), "101 shots, toy allows 100"),
        (device(), Requirements(gates=frozenset({"t"})), "gate t, toy runs cx, cz, h, rz"),
        (device(), Requirements(features=frozenset({"reset"})), "reset, which toy does not run"),
        (device(), Requirements(exact_values=True), "exact values, which toy does not give; ask with shots"),
        (device(), Requirements(gradients=True), "gradients, which toy does not give"),
        (
            device(methods=("mps", "stabilizer")),
            Requirements(method="statevector"),
            "method statevector, toy has mps, stabilizer",
        ),
        (device(engines=(Engine("aer", "1"),)), Requirements(engine="stim"), "engine stim, toy has aer"),
    ],
)
def test_each_thing_that_is_asked_for_has_its_reason(spec: DeviceSpec, need: Requirements, reason: str) -> None:
    assert reasons_against(spec, need) == [reason]


@pytest.mark.parametrize(
    ("fields", "shots", "reason"),
    [
        ({"cost": Cost(0.3, 0.00035)}, 1000, None),
        ({"cost": Cost(0.05, 0.05)}, 12, None),  # 0.65, whatever floats say
        ({"cost": Cost(0.3, 0.00035)}, 1001, "toy takes 0.65035 USD for 1001 shots"),
        ({"cost": Cost(per_task=0.7)}, None, "toy takes 0.7 USD for a task"),
        ({"cost": Cost(per_task=0.6)}, None, None),
        ({"cost": Cost(per_shot=0.1)}, None, "toy charges by the shot or the minute; say how many shots"),
        ({"cost": Cost(per_minute=6.0), "shots_per_second": 10.0}, 60, None),  # 6 s are 0.6
        ({"cost": Cost(per_minute=6.0), "shots_per_second": 10.0}, 70, "toy takes 0.7 USD for 70 shots"),
        ({"cost": Cost(per_minute=6.0)}, 60, "toy charges by the minute and does not state its speed"),
        ({"cost": Cost(0.1, currency="EUR")}, 10, "toy charges EUR"),
        ({}, 10, "toy bills and does not state its price"),
        ({"bills": False}, 10, None),
    ],
)
def test_the_most_that_a_task_may_cost(fields: dict[str, Any], shots: int | None, reason: str | None) -> None:
    found = reasons_against(device(**{"bills": True, **fields}), Requirements(max_cost=0.65, shots=shots))
    assert found == ([] if reason is None else [f"cost of at most 0.65 USD, {reason}"])


def test_every_reason_is_told_at_once() -> None:
    circuit = Circuit(5).t(0).cx(0, 2).reset(1).measure(0).x(0)
    found = reasons_against(device(connectivity=LINEAR, max_shots=10, status="offline"), circuit, shots=20)
    assert found == [
        "toy is offline",
        "5 qubits, toy has 4",
        "gate t, toy runs cx, cz, h, rz",
        "gate x, toy runs cx, cz, h, rz",
        "mid_circuit_measurement, which toy does not run",
        "reset, which toy does not run",
        "couplings 0>2, toy has linear; it fits only if it may be transpiled",
        "20 shots, toy allows 10",
    ]


def test_what_transpiling_mends_is_noted_and_what_it_cannot_is_a_reason() -> None:
    spec = device(connectivity=Connectivity.of([(0, 1), (2, 3)]), gates=frozenset({"cz", "h"}), transpiles=True)
    said = fit(spec, Circuit(4).cx(0, 1).h(2))
    assert said.fits
    assert said.notes == ("gate cx, toy runs cz, h: fits only transpiled",)
    joined = fit(spec, Circuit(4).cz(0, 1).cz(1, 2))
    assert len(joined.reasons) == 1
    assert "3 qubits have to be joined and toy joins 2" in joined.reasons[0]


def test_a_gate_without_a_standard_name_may_join_qubits_as_the_devices_own_compiler_knows() -> None:
    own = device(gates=frozenset({"rz", "sx", "zzphase_own"}), transpiles=True)
    assert fit(own, Circuit(2).cx(0, 1)).notes == ("gate cx, toy runs rz, sx, zzphase_own: fits only transpiled",)
    others = device(gates=own.gates)
    assert reasons_against(others, Circuit(2).cx(0, 1), transpile=True) == ["gate cx, toy runs rz, sx, zzphase_own"]


def test_a_device_without_a_gate_on_two_qubits_cannot_have_one_transpiled() -> None:
    assert reasons_against(device(gates=frozenset({"h"})), Circuit(2).cx(0, 1), transpile=True) == ["gate cx, toy runs h"]


def test_a_verbatim_block_has_to_fit_as_it_is() -> None:
    spec = device(
        connectivity=LINEAR, native_gates=frozenset({"cz"}), features=frozenset({"verbatim"}), transpiles=True, num_qubits=3
    )
    circuit = Circuit(3).cx(0, 2).verbatim(Circuit(3).h(0).cz(0, 2))
    assert fit(spec, circuit).reasons == (
        "gate h in a verbatim block, toy runs cz there",
        "couplings 0-2, toy has linear, and a verbatim block is not transpiled",
    )
    assert fit(spec, circuit).notes == ("couplings 0>2, toy has linear: fits only transpiled, with gates added",)


def test_shots_given_beside_requirements_take_their_place() -> None:
    need = Requirements(shots=1000)
    assert reasons_against(device(max_shots=100), need) == ["1000 shots, toy allows 100"]
    assert reasons_against(device(max_shots=100), need, shots=100) == []
    with pytest.raises(InvalidTask, match="got 0"):
        reasons_against(device(), need, shots=0)


specs = st.builds(
    device,
    num_qubits=st.integers(2, 4),
    gates=st.sets(st.sampled_from(sorted(GATES)), max_size=2).map(lambda without: frozenset(GATES) - without),
    features=st.sets(st.sampled_from(FEATURES), min_size=4).map(frozenset),
    connectivity=st.sampled_from([ALL, ALL, ALL, LINEAR]),
    max_clbits=st.sampled_from([None, 3]),
    max_shots=st.sampled_from([None, 5]),
    status=st.sampled_from(["online", "online", "online", "offline"]),
)


@given(specs, st.one_of(circuits(), unitary_circuits()), st.sampled_from([None, 5, 6]))
def test_a_circuit_fits_where_what_it_needs_fits(spec: DeviceSpec, circuit: Circuit, shots: int | None) -> None:
    assert reasons_against(spec, circuit, shots) == reasons_against(spec, Requirements.of(circuit, shots))


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "offline"},
        {"paradigm": "analog"},
        {"max_clbits": 2},
        {"num_qubits": 2},
        {"min_shots": 11},
        {"max_shots": 9},
        {"gates": frozenset({"h", "t"})},
        {"features": frozenset()},
        {"connectivity": LINEAR},
    ],
)
def test_one_thing_amiss_is_one_reason(fields: dict[str, Any]) -> None:
    fitting = {"gates": frozenset({"h", "t", "cx"}), "features": frozenset({"controls"})}
    circuit = Circuit(3).h(0).gate("t", 0, 1, controls=1).cx(0, 2 if "connectivity" in fields else 1)
    assert reasons_against(device(**fitting), circuit.measure_all(), 10) == []
    assert len(reasons_against(device(**fitting | fields), circuit.measure_all(), 10)) == 1
    assert len(reasons_against(device(**fitting | fields), circuit, 10)) == 1


def test_what_is_said_of_transpiling_in_the_call_comes_first() -> None:
    need, spec = Requirements(connectivity=ALL, transpile=True), device(connectivity=LINEAR, transpiles=True)
    assert reasons_against(spec, need) == []
    assert len(reasons_against(spec, need, transpile=False)) == 1


# ---- what circuits need ----------------------------------------------------------------------------------------------


def test_what_a_circuit_needs() -> None:
    circuit = Circuit(3).h(0).cx(0, 1).cz(2, 1).delay(1.0, 0).channel("bit_flip", 0, probabilities=[0.1]).measure([0, 1])
    need = Requirements.of(circuit, shots=7)
    assert (need.num_qubits, need.num_clbits, need.shots, need.paradigm) == (3, 2, 7, "gate_model")
    assert (set(need.gates), set(need.features)) == ({"h", "cx", "cz"}, {"delay", "channels"})
    assert need.connectivity == Connectivity.of([(1, 2)], directed=[(0, 1)])
    assert Requirements.of(Circuit(3).ccx(2, 0, 1)).connectivity == Connectivity.of([(0, 1), (0, 2), (1, 2)])
    assert Requirements.of(Circuit(2).h(0)).connectivity is None


def test_observables_without_shots_ask_for_exact_values() -> None:
    pair = Circuit(2).h(0)
    assert Requirements.of(pair, observables=Observable({"ZZ": 1.0})).exact_values
    assert not Requirements.of(pair, 100, [Observable({"ZZ": 1.0})]).exact_values
    with pytest.raises(InvalidTask, match="acts on 3 qubits, the circuit has 2"):
        Requirements.of(pair, observables=[Observable({"ZZ": 1.0}), Observable({"ZZZ": 1.0})])


@pytest.mark.parametrize(
    ("circuit", "features"),
    [
        (Circuit(2).h(0).cx(0, 1).measure_all(), []),
        (Circuit(2).measure(0).h(1).barrier().measure(1), []),
        (Circuit(1).measure(0).measure(0, 1), ["mid_circuit_measurement"]),
        (Circuit(1).measure(0).reset(0), ["mid_circuit_measurement", "reset"]),
        (Circuit(3).gate("ry", 0, 1, 2, angles=[0.5], controls=2), ["controls"]),
        (Circuit(1).verbatim(Circuit(1).h(0)), ["verbatim"]),
        (Circuit(2).measure(0).if_test(0, 1, Circuit(2).x(1)), ["conditionals"]),
        (Circuit(2, num_clbits=1).if_test(0, 0, Circuit(2).x(0), Circuit(2).delay(1.0, 0)), ["conditionals", "delay"]),
        (Circuit(2, num_clbits=1).if_test(0, 0, Circuit(2).verbatim(Circuit(2).reset(1))), ["conditionals", "reset", "verbatim"]),
    ],
)
def test_features_that_a_circuit_uses(circuit: Circuit, features: list[str]) -> None:
    assert needs(circuit) == features


def test_a_verbatim_block_inside_of_an_if_is_told_from_what_is_beside_it() -> None:
    body = Circuit(3).cx(0, 1).verbatim(Circuit(3).cz(1, 2))
    need = Requirements.of(Circuit(3, num_clbits=1).if_test(0, 1, body))
    assert (set(need.gates), set(need.verbatim_gates)) == ({"cx"}, {"cz"})
    assert (str(need.connectivity), str(need.verbatim_connectivity)) == ("0>1", "1-2")


# ---- connectivity, against Qiskit's coupling maps --------------------------------------------------------------------


def pairs_of(connectivity: Connectivity, size: int) -> set[tuple[int, int]]:
    """Both directions of every coupling that works in both."""
    return {one for pair, either in connectivity.pairs(size) for one in ((pair, pair[::-1]) if either else (pair,))}


@pytest.mark.parametrize(
    ("connectivity", "expected"),
    [
        *((ALL, CouplingMap.from_full(size)) for size in (2, 5)),
        *((LINEAR, CouplingMap.from_line(size)) for size in (2, 3, 6)),
        *((RING, CouplingMap.from_ring(size)) for size in (3, 4, 7)),
        *((Connectivity.grid(*size), CouplingMap.from_grid(*size)) for size in ((2, 3), (3, 2), (4, 4), (1, 5), (5, 1))),
    ],
)
def test_named_shapes_couple_what_qiskits_do(connectivity: Connectivity, expected: CouplingMap) -> None:
    size, edges = expected.size(), set(expected.get_edges())
    assert pairs_of(connectivity, size) == edges
    every = [(first, second) for first in range(size) for second in range(size) if first != second]
    assert {pair for pair in every if connectivity.couples(*pair, size)} == edges
    assert connectivity.is_complete(size) is (len(edges) == size * (size - 1))
    assert connectivity.largest_part(size) == size


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1])))
def test_the_largest_connected_part_is_as_qiskit_finds_it(pairs: set[tuple[int, int]]) -> None:
    expected = CouplingMap(sorted(pairs))
    for qubit in set(range(8)) - set(expected.physical_qubits):
        expected.add_physical_qubit(qubit)
    largest = max(part.size() for part in expected.connected_components())
    assert Connectivity.of(pairs).largest_part(8) == Connectivity.of(directed=pairs).largest_part(8) == largest


@pytest.mark.parametrize("seed", range(30))
def test_a_circuit_fits_couplings_where_qiskits_passes_say_so(seed: int) -> None:
    draw = random.Random(seed)
    every = [(first, second) for first in range(4) for second in range(4) if first != second]
    directed = draw.sample(every, 9)
    circuit = Circuit(4)
    for pair in draw.sample(every, draw.randint(1, 3)):
        circuit = circuit.cx(*pair)
    checks = PassManager([CheckMap(CouplingMap(directed)), CheckGateDirection(CouplingMap(directed))])
    checks.run(to_qiskit(circuit))
    mapped, straight = checks.property_set["is_swap_mapped"], checks.property_set["is_direction_mapped"]
    one_way, both_ways = (device(connectivity=made) for made in (Connectivity.of(directed=directed), Connectivity.of(directed)))
    assert (not reasons_against(both_ways, circuit)) is mapped
    assert (not reasons_against(one_way, circuit)) is (mapped and straight)


def test_a_symmetric_gate_takes_either_direction() -> None:
    spec = device(connectivity=Connectivity.of(directed=[(1, 0)]))
    assert reasons_against(spec, Circuit(2).cz(0, 1)) == []
    assert reasons_against(spec, Circuit(2).cx(0, 1).cz(0, 1)) == [
        "couplings 0>1, toy has 1>0; it fits only if it may be transpiled"
    ]


@pytest.mark.parametrize("text", ["all", "linear", "ring", "grid(2, 3)", "0-1 1-2 4>3", "none"])
def test_connectivity_is_read_as_it_is_written(text: str) -> None:
    read = Connectivity.read("connectivity", text)
    assert str(read) == text
    assert Connectivity.read("connectivity", json.loads(json.dumps(read.to_json()))) == read


@pytest.mark.parametrize(
    "wrong", ["line", "", "grid(0,2)", "0-0", "0-", "grid(2)", 4, {"edges": [[0]]}, {"edges": 1}, {"edge": []}]
)
def test_what_is_no_connectivity_is_refused(wrong: object) -> None:
    with pytest.raises((InvalidSetting, UnknownName), match="connectivity"):
        Connectivity.read("connectivity", wrong)


# ---- forms -----------------------------------------------------------------------------------------------------------

texts = st.one_of(st.text(max_size=8), st.sampled_from(["a; b: c", 'say "x"', "two\nlines", "true", "null", "", "\ud800", "é"]))
amounts = st.floats(0, 1e300, allow_nan=False)
facts = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)
pairs = st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(lambda pair: pair[0] != pair[1])
connectivities = st.one_of(
    st.sampled_from([ALL, LINEAR, RING, Connectivity.grid(1, 5)]),
    st.builds(lambda edges, arrows: Connectivity.of(edges, directed=arrows), st.sets(pairs), st.sets(pairs)),
)
gate_names = st.sets(st.sampled_from([*GATES, *ALIASES]), max_size=5).map(frozenset)
rates = st.dictionaries(st.sampled_from(ERROR_KINDS), st.floats(0, 1))
features = st.sets(st.sampled_from(FEATURES)).map(frozenset)
any_spec = st.builds(
    DeviceSpec,
    name=texts,
    num_qubits=st.integers(5, 10**20),
    gates=gate_names,
    features=features,
    max_clbits=st.none() | st.integers(0, 100),
    native_gates=st.none() | gate_names,
    connectivity=connectivities,
    transpiles=st.booleans(),
    min_shots=st.integers(1, 10),
    max_shots=st.none() | st.integers(10, 10**9),
    exact_values=st.booleans(),
    exactness=texts,
    gradients=st.booleans(),
    bills=st.just(value=True),
    cost=st.none() | st.builds(Cost, amounts, amounts, amounts, texts),
    methods=st.lists(texts, max_size=2).map(tuple),
    engines=st.lists(st.builds(Engine, texts, texts, st.integers(1, 64), texts), max_size=2).map(tuple),
    noise=st.none() | rates,
    shots_per_second=st.none() | st.floats(1e-9, 1e9),
    durations_s=st.dictionaries(st.sampled_from(["cx", "x", *TIMES]), amounts),
    kind=st.sampled_from(KINDS),
    provider=texts,
    paradigm=st.sampled_from(PARADIGMS),
    status=st.sampled_from(STATUSES),
    queue_depth=st.none() | st.integers(0, 10**6),
    calibration_id=texts,
    calibrated_at=st.sampled_from(["", "2026-01-31T09:00:00Z", "2026-01-31T09:00:00.125+02:00"]),
    notes=st.dictionaries(texts, facts, max_size=2),
)
any_need = st.builds(
    Requirements,
    num_qubits=st.sampled_from([0, 5, 100]),
    num_clbits=st.integers(0, 9),
    gates=gate_names,
    features=features,
    connectivity=st.none() | connectivities,
    verbatim_gates=gate_names,
    verbatim_connectivity=st.none() | connectivities,
    transpile=st.none() | st.booleans(),
    shots=st.none() | st.integers(1, 10**9),
    exact_values=st.booleans(),
    gradients=st.booleans(),
    method=texts,
    engine=texts,
    max_errors=rates,
    max_cost=st.none() | amounts,
    currency=texts,
    min_shots_per_second=amounts,
    max_queue_depth=st.none() | st.integers(0, 9),
    kinds=st.none() | st.sets(st.sampled_from(KINDS)).map(frozenset),
    providers=st.none() | st.sets(texts).map(frozenset),
    paradigm=st.sampled_from(["", *PARADIGMS]),
)


@given(any_spec | any_need)
def test_forms_are_exact_and_text_is_one_line(record: DeviceSpec | Requirements) -> None:
    kind, text = type(record), record.to_text()
    document = json.dumps(record.to_json(), allow_nan=False)
    assert kind.from_json(json.loads(document)) == kind.read(document) == record
    assert text.isascii()
    assert text.isprintable()
    assert kind.from_text(text) == kind.read(text) == record


@given(any_spec, any_need)
def test_whatever_is_asked_gets_an_answer_and_says_every_reason_once(spec: DeviceSpec, need: Requirements) -> None:
    small = replace(spec, num_qubits=min(spec.num_qubits, 30))
    found = reasons_against(small, need)
    assert len(set(found)) == len(found)
    assert all(spec.name in reason for reason in found)


def test_other_spellings_are_read() -> None:
    line = 'name: two words; num_qubits: 2; gates: ["cnot", "prx"]; seconds_per_shot: 0.25'
    with pytest.raises(InvalidSetting, match=r"column 7: name is no JSON value and no word.*double quotes"):
        DeviceSpec.from_text(line)
    spec = DeviceSpec.from_text(line.replace("two words", '"two words"'))
    assert (spec.name, sorted(spec.gates), spec.shots_per_second, spec.seconds_per_shot) == ("two words", ["cx", "r"], 4.0, 0.25)
    assert Requirements.from_text("max_seconds_per_shot: 0").min_shots_per_second == 0
    assert Requirements.from_text("max_seconds_per_shot: 0.5;").min_shots_per_second == 2


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; max_shot: 1", "'max_shot'; did you mean 'max_shots'"),
        (DeviceSpec, "name: a; num_qubits: 1", "gates is missing"),
        (DeviceSpec, "name: a; num_qubits: -1; gates: []", "num_qubits must be an integer from 0 up, got -1"),
        (DeviceSpec, "name: a; num_qubits: 1.0; gates: []", "num_qubits must be an integer from 0 up, got 1.0"),
        (DeviceSpec, "name: a; num_qubits: true; gates: []", "num_qubits must be an integer from 0 up, got True"),
        (DeviceSpec, "name: 3; num_qubits: 1; gates: []", "name must be text, got 3"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: "h"', "gates must be a list of texts, got 'h'"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: [1]", "gates must be a list of texts, got 1 in it"),
        (DeviceSpec, "name: a; name: b", "column 10: name is given twice"),
        (DeviceSpec, "name: a, num_qubits: 1", "column 7: name is no JSON value and no word"),
        (DeviceSpec, "name: 1 2", "column 8: expected `;` after name, got ' 2'"),
        (DeviceSpec, "= 3", "column 1: expected `field: value`"),
        (DeviceSpec, "name: a; num_qubits: NaN; gates: []", "num_qubits is no JSON value"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; kind: qpuu", "'qpuu'; did you mean 'qpu'"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; features: ["resets"]', "'resets'; did you mean 'reset'"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; noise: {"bitflip": 0}', "'bitflip'; did you mean 'bit_flip'"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; noise: {"readout": 1.5}', "readout must be a rate from 0 to 1, got 1.5"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; cost: {"per_shots": 1}', "'per_shots'; did you mean 'per_shot'"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; cost: {"per_shot": -1}', "per_shot must be a finite number from 0 up"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; cost: {"per_shot": 1}', "has a price and bills=False"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; max_shots: 1; min_shots: 2", "max_shots is 1, below min_shots"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; seconds_per_shot: 0", "seconds_per_shot must be above 0"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; shots_per_second: 1; seconds_per_shot: 1", "is given twice"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; durations_s: {"czz": 1}', "'czz'; did you mean 'cz'"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; durations_s: {"gphase": 1}', "no gate with a time in durations_s"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; durations_s: {"cx": -1}', "cx must be a finite number from 0 up"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; durations_s: {"cx": 1, "cnot": 1}', "cx is given twice, once as cnot"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; durations_s: [1]", "must be an object of gate names and seconds"),
        (DeviceSpec, "name: a; num_qubits: 1; gates: []; connectivity: lines", "connectivity: takes all, linear"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; connectivity: "0-7"', "0-7 takes 8 qubits, num_qubits is 1"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; calibrated_at: "2026-01-31"', "a time with its offset"),
        (DeviceSpec, 'name: a; num_qubits: 1; gates: []; engines: [{"name": "x"}]', "engine 0 must be an object with name, ver"),
        (Requirements, 'gates: ["cnott"]', "'cnott'; did you mean"),
        (Requirements, 'num_qubits: 2; connectivity: "0-7"', "connectivity 0-7 takes 8 qubits, not 2"),
        (Requirements, "shots: 0", "shots must be an integer from 1 up, got 0"),
        (Requirements, "max_cost: 1e999", "max_cost must be a finite number from 0 up, got inf"),
        (Requirements, '{"shots": 1, "shots": 2}', "'shots' is given twice"),
        (Requirements, '{"shots": 1', "Expecting"),
        (Requirements, "{" * 100_000, "requirements: "),
    ],
)
def test_what_a_form_cannot_hold_is_refused_by_name(kind: type[DeviceSpec | Requirements], text: str, said: str) -> None:
    with pytest.raises((InvalidSetting, UnknownName)) as refused:
        kind.read(text)
    assert said in str(refused.value)


def test_a_spec_built_in_code_is_checked_as_one_that_is_read() -> None:
    assert device(gates={"cnot"}, methods=["mps"]).to_json()["gates"] == ["cx"]
    with pytest.raises(InvalidSetting, match="num_qubits must be an integer"):
        device(num_qubits=-1)
    with pytest.raises(InvalidSetting, match="notes must be JSON"):
        device(notes={"made": object()}).to_text()
    with pytest.raises(UnknownName, match="shape of a connectivity called 'line'"):
        Connectivity("line")
    with pytest.raises(InvalidSetting, match=r"rows and columns from 1 up, got grid\(0, 0\)"):
        Connectivity("grid")


def test_gate_times_are_kept_by_our_names() -> None:
    spec = device(durations_s={"cnot": 3e-7, "default:1": 3.5e-8, "dt": 1, "measure": 1e-6})
    assert spec.durations_s == {"cx": 3e-7, "default:1": 3.5e-8, "dt": 1.0, "measure": 1e-6}
    assert DeviceSpec.from_text(spec.to_text()) == DeviceSpec.from_json(spec.to_json()) == spec


def test_a_grid_of_one_qubit_couples_no_two() -> None:
    alone = Connectivity.grid(1, 1)
    assert alone.is_complete(1)
    assert not alone.is_complete(2)
    assert len(reasons_against(device(num_qubits=2, connectivity=alone), Requirements(connectivity=ALL))) == 1


def test_a_feature_among_the_gates_is_still_a_feature() -> None:
    spec = device(gates=frozenset({"h", "reset", "delay"}))
    assert reasons_against(spec, Circuit(1).h(0).reset(0)) == ["reset, which toy does not run"]


def test_a_parsed_circuit_is_told_what_it_lacks() -> None:
    circuit = read_circuit("OPENQASM 3.0;\nqubit[3] q;\nctrl @ U(0.1, 0.2, 0.3) q[0], q[2];\nreset q[1];\n")
    said = reasons_against(device(connectivity=LINEAR), circuit)
    assert any("reset" in reason for reason in said)
    assert any("0>2" in reason for reason in said)

"""Transpiling: the same unitary up to layout and phase, bits that mean the same, once for each structure."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit_aer import AerSimulator

import qloom.kit.qiskit_compiler as qiskit_compiler
import qloom.kit.transpiling as transpiling
from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.devices.sim import create
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, Unsupported
from qloom.kit.qiskit_out import to_qiskit
from qloom.kit.transpiling import Transpiled, compiled_facts
from qloom.specs import Connectivity, DeviceSpec, fit
from tests.circuits.oracle import unitary
from tests.circuits.strategies import turns, unitary_circuits

LINE = DeviceSpec(
    name="line",
    num_qubits=5,
    gates=frozenset({"rz", "sx", "x", "cx"}),
    features=frozenset({"delay", "mid_circuit_measurement", "reset", "verbatim", "conditionals"}),
    connectivity=Connectivity.linear(),
)
SPECS = {
    "line": LINE,
    "one way": replace(LINE, connectivity=Connectivity.of(directed=[(1, 0), (1, 2), (3, 2), (3, 4)])),
    "cz and prx, grid": replace(LINE, num_qubits=6, gates=frozenset({"r", "cz"}), connectivity=Connectivity.grid(2, 3)),
    "all connected": replace(LINE, connectivity=Connectivity.all_to_all(), gates=frozenset({"u", "rzz"})),
}
THETA = Parameter("theta")


def transpile(circuit: Circuit, spec: DeviceSpec = LINE, **options: Any) -> Transpiled:
    return transpiling.transpile(circuit, spec, **options)


def placed_unitary(found: Transpiled, values: dict[str, float]) -> npt.NDArray[np.complex128]:
    """What the transpiled circuit does from the initial places to the final ones, unused qubits in |0> before and after."""
    circuit, count = found.unmeasured, len(found.layout.initial)
    used = {name: value for name, value in values.items() if name in circuit.parameters}
    matrix = unitary(circuit, used).reshape((2,) * (2 * circuit.num_qubits))
    rest = [[qubit for qubit in range(circuit.num_qubits) if qubit not in places] for places in found.layout]
    outward = [*found.layout.final, *rest[1]]
    inward = [circuit.num_qubits + qubit for qubit in (*found.layout.initial, *rest[0])]
    ordered = matrix.transpose(outward + inward).reshape(2**count, 2 ** len(rest[1]), 2**count, 2 ** len(rest[0]))
    return np.ascontiguousarray(ordered[:, 0, :, 0])


def assert_same(circuit: Circuit, found: Transpiled, values: dict[str, float]) -> None:
    expected = unitary(circuit, {name: values[name] for name in circuit.parameters})
    overlap = np.vdot(expected, placed_unitary(found, values)) / len(expected)
    assert abs(overlap) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_unitary_is_the_same_up_to_layout_and_phase(spec: DeviceSpec, level: int) -> None:
    circuit = (
        Circuit(4).h(0).ry(2 * THETA + 0.3, 3).cx(0, 3).swap(1, 2).ccx(3, 1, 0).gate("ry", 0, 2, angles=[-THETA], controls=1)
    )
    found = transpile(circuit, spec, level=level, seed=3)
    assert fit(spec, found.circuit, transpile=False).reasons == ()
    assert_same(circuit, found, {"theta": 0.77})


@given(circuit=unitary_circuits(), level=st.integers(0, 3), name=st.sampled_from(list(SPECS)))
@settings(max_examples=40, deadline=None)
def test_any_circuit_keeps_its_unitary(circuit: Circuit, level: int, name: str) -> None:
    found = transpile(circuit, SPECS[name], level=level)
    assert_same(circuit, found, {})


@given(angles=st.lists(st.one_of(turns, st.just(THETA), st.just(-THETA), st.just(THETA.sin() / 3)), min_size=4, max_size=4))
@settings(max_examples=20, deadline=None)
def test_formulas_are_put_into_the_compiled_template(angles: list[Any]) -> None:
    circuit = Circuit(3, parameters=["unused", "theta"])
    for index, angle in enumerate(angles):
        circuit = circuit.gate(
            "crx" if index % 2 else "u", *((0, 2) if index % 2 else (1,)), angles=[angle] * (1 if index % 2 else 3)
        )
    for lifted in (False, True):
        found = transpile(circuit, lift_numbers=lifted)
        assert found.circuit.parameters == ("unused", "theta")
        assert_same(circuit, found, {"theta": 0.4, "unused": 1.0})


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_measured_bits_mean_the_same_bits(level: int) -> None:
    circuit = Circuit(4).x(0).ry(0.6, 2).cx(0, 3).swap(0, 2).cx(2, 1).measure([2, 0, 3], [0, 3, 1]).measure(1, 2)
    found = transpile(circuit, level=level, seed=11)
    before, after = (create().prepare(one).run(shots=20_000, seed=5).counts for one in (circuit, found.circuit))
    assert set(before) == set(after)
    # Six standard deviations of 20,000 shots, both ways.
    assert all(abs(before[key] - after[key]) < 6 * np.sqrt(2 * 5000) for key in before)


@pytest.mark.parametrize("level", [0, 2, 3])
def test_a_circuit_that_measures_nothing_gets_its_qubits_in_order(level: int) -> None:
    circuit = Circuit(4, num_clbits=7).x(1).cx(1, 3).swap(0, 3).swap(1, 2)
    found = transpile(circuit, level=level)
    assert create().prepare(found.circuit).run(shots=10).counts == create().prepare(circuit).run(shots=10).counts == {"1010": 10}


def test_values_are_those_of_the_placed_observable() -> None:
    circuit = Circuit(4).ry(0.3, 0).ry(0.9, 1).cx(0, 3).swap(1, 2).cx(3, 2).rz(0.4, 2).measure_all()
    energy = Observable({"ZIIZ": 0.5, "XIXI": -0.3, "IZYI": 1.0})
    found = transpile(circuit, level=3, seed=2)
    values = [
        create().prepare(one, observable).estimate().value
        for one, observable in ((circuit, energy), (found.unmeasured, found.place(energy)))
    ]
    assert values[0] == pytest.approx(values[1])
    with pytest.raises(InvalidTask, match="an observable on 2 qubits, the circuit has 4"):
        found.place(Observable({"ZZ": 1.0}))


def test_measurements_on_the_way_stay_where_they_are() -> None:
    circuit = Circuit(3).h(0).measure(0, 2).x(0).cx(0, 2).reset(1).measure([2, 1], [0, 1])
    found = transpile(circuit, level=1)
    assert [sum(step.name == name for step in found.circuit.instructions) for name in ("measure", "reset")] == [3, 1]
    assert found.circuit.num_clbits == 3
    assert found.unmeasured == found.circuit


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize(("value", "key"), [(2, "0110"), (1, "0011")])
def test_bits_are_looked_at_after_transpiling_as_before(value: int, key: str, level: int) -> None:
    body, orelse = Circuit(5).cx(0, 2), Circuit(5).cx(0, 4)
    circuit = Circuit(5, num_clbits=4).x(0).measure([0, 1], [2, 0]).if_test([0, 2], value, body, orelse)
    found = transpile(circuit.measure([2, 4], [1, 3]), level=level, seed=1)
    assert any(step.name == "if" for step in found.circuit.instructions)
    assert {step.name for step in found.circuit.every()} <= LINE.gates | {"measure"}
    counts = AerSimulator().run(to_qiskit(found.circuit), shots=20).result().get_counts()
    assert counts == {key[::-1]: 20}


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_equal_seeds_give_equal_circuits(level: int) -> None:
    circuit = Circuit(5).ccx(0, 2, 4).ccx(1, 3, 0).ccx(4, 1, 2).ccx(0, 3, 4).ry(THETA, 2)
    found = [transpile(circuit, level=level, seed=seed) for seed in (7, 7)]
    assert found[0] == found[1]
    assert found[0].digest == found[1].digest
    if level in (1, 2):
        assert len({transpile(circuit, level=level, seed=seed).digest for seed in range(6)}) > 1


OTHER_PROCESS = """
from tests.kit.test_transpiling import Circuit, transpile
print(transpile(Circuit(5).ccx(0, 2, 4).ccx(1, 3, 0), level=2, seed=7).digest)
"""


def test_equal_seeds_give_equal_circuits_in_another_process() -> None:
    there = subprocess.run([sys.executable, "-c", OTHER_PROCESS], capture_output=True, text=True, check=True).stdout.strip()
    assert there == transpile(Circuit(5).ccx(0, 2, 4).ccx(1, 3, 0), level=2, seed=7).digest


# ---- once for each structure


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Circuit]:
    """The templates that really went to the compiler."""
    seen: list[Circuit] = []
    run = qiskit_compiler.compile_template

    def counted(template: Circuit, *args: Any, **options: Any) -> Any:
        seen.append(template)
        return run(template, *args, **options)

    monkeypatch.setattr(transpiling, "compile_template", counted)
    return seen


def test_formulas_and_names_of_parameters_make_no_other_template(compiled: list[Circuit]) -> None:
    for angle in (THETA, 3 * Parameter("phi") + 0.2, Parameter("a") * Parameter("b")):
        transpile(Circuit(2).ry(angle, 0).cx(0, 1).ry(angle, 1).rz(0.3, 0).measure([0]))
    assert len({template.digest for template in compiled}) == 1
    assert compiled[0].parameters == ("p0",)


def test_numbers_are_in_the_template_unless_they_are_lifted(compiled: list[Circuit]) -> None:
    for lifted in (False, True):
        for angle in (0.2, 0.3):
            transpile(Circuit(2).ry(angle, 0).rz(np.pi / 2, 1), lift_numbers=lifted)
    digests = [template.digest for template in compiled]
    assert digests[0] != digests[1]
    assert digests[2] == digests[3]
    assert compiled[2].instructions[1].parameters == (np.pi / 2,)


# ---- verbatim


BLOCK = Circuit(5).sx(1).cx(1, 2).rz(THETA, 2).sx(1).sx(1)


def test_a_verbatim_block_stays_as_it_is_on_its_qubits() -> None:
    circuit = Circuit(4).h(1).verbatim(BLOCK).ry(THETA, 2).verbatim(BLOCK).cx(2, 1)
    found = transpile(circuit, level=3, seed=1)
    blocks = [step for step in found.circuit.instructions if step.name == "verbatim"]
    assert [block.body for block in blocks] == [BLOCK.instructions] * 2
    assert found.layout.initial == found.layout.final == (0, 1, 2, 3)
    assert found.circuit.num_qubits == 5
    plain = Circuit(4, circuit.flat())
    assert_same(
        plain, Transpiled(found.circuit, Circuit(5, found.unmeasured.flat()), found.layout, found.compiler), {"theta": 0.3}
    )


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (Circuit(4).cx(0, 2).verbatim(BLOCK), "0>2"),
        (Circuit(4).verbatim(Circuit(4).h(0)), "gate h in a verbatim block"),
        (Circuit(4).verbatim(Circuit(4).cx(0, 3)), "0>3"),
        (Circuit(4, num_clbits=1).if_test(0, 1, Circuit(4).verbatim(Circuit(4).x(0))), "a verbatim block inside of an if"),
    ],
)
def test_what_a_verbatim_block_does_not_allow_is_refused_with_the_reason(circuit: Circuit, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        transpile(circuit)


# ---- refusals


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (Circuit(6).h(5), "6 qubits, line has 5"),
        (Circuit(1).channel("bit_flip", 0, probabilities=[0.1]), "channels, which line does not run"),
        (Circuit(0), "a circuit without qubits"),
    ],
)
def test_what_the_device_cannot_run_however_it_is_compiled_is_refused(circuit: Circuit, reason: str) -> None:
    with pytest.raises(Unsupported, match=f"line cannot run this: {reason}"):
        transpile(circuit)


def test_parts_that_are_not_joined_are_refused() -> None:
    islands = replace(LINE, connectivity=Connectivity.of([(0, 1), (2, 3), (3, 4)]))
    with pytest.raises(Unsupported, match="4 qubits have to be joined and line joins 3"):
        transpile(Circuit(4).cx(0, 1).cx(1, 2).cx(2, 3), islands)


def test_a_device_that_reads_few_bits_takes_a_circuit_that_reads_no_more() -> None:
    few = replace(LINE, max_clbits=2)
    assert transpile(Circuit(3).h(0).cx(0, 2).measure([0, 2], [0, 1]), few).circuit.num_clbits == 2
    with pytest.raises(Unsupported, match="3 classical bits, line has 2"):
        transpile(Circuit(3).h(0).cx(0, 2), few)


def test_gates_that_cannot_make_the_circuit_are_refused() -> None:
    with pytest.raises(
        Unsupported, match="transpiler cannot make this ready for line: it finds no way to the gates cx, x on linear couplings"
    ):
        transpile(Circuit(2).h(0).cx(0, 1), replace(LINE, gates=frozenset({"x", "cx"})))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"level": 4}, "one of 0, 1, 2, 3, got 4"), ({"level": 1.0}, "got 1.0"), ({"seed": -1}, "got -1")],
)
def test_options_that_there_are_not_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        transpile(Circuit(1).h(0), **options)


def test_without_qiskit_the_line_that_installs_it_is_said() -> None:
    code = """
import sys
sys.modules["qiskit"] = None
from qloom.circuits import Circuit
from qloom.kit.qiskit_out import to_qiskit
to_qiskit(Circuit(1).h(0))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert "MissingExtra" in said
    assert "pip install 'qloom[qiskit]'" in said


def test_without_an_installed_qiskit_nothing_is_transpiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpiling, "version", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'qloom\[qiskit\]'"):
        transpile(Circuit(1).h(0))


def missing(name: str) -> str:
    raise PackageNotFoundError(name)


# ---- facts


def test_a_simulator_of_a_large_device_runs_the_qubits_that_are_used() -> None:
    large = replace(LINE, num_qubits=100)
    circuit = Circuit(3).h(0).cx(0, 2).cx(0, 1)
    narrow, qubits = transpile(circuit, large, level=1).narrowed()
    assert narrow.num_qubits == len(qubits) <= 5
    assert set(create().prepare(narrow).run(shots=50, seed=1).counts) == {"000", "111"}


def test_the_digest_does_not_tell_angles_apart_that_agree_to_ten_decimals() -> None:
    found = transpile(Circuit(1).rz(0.3, 0))
    near, far = (replace(found, circuit=Circuit(5).rz(angle, 0)) for angle in (0.3 + 1e-14, 0.3 + 1e-8))
    base = replace(found, circuit=Circuit(5).rz(0.3, 0))
    assert near.digest == base.digest != far.digest
    assert replace(base, layout=found.layout._replace(final=(1,))).digest != base.digest


def test_the_facts_for_a_journal_name_the_compiler() -> None:
    found = transpile(Circuit(1).h(0), replace(LINE, calibration_id="monday"), seed=4, level=2)
    facts = compiled_facts("source", [found])
    assert facts.compiler.startswith("qiskit ")
    assert facts.compiler.endswith(" (seed 4, level 2, calibration monday)")
    assert facts.source == "source"
    assert facts != compiled_facts("source", [found, found])


def test_instructions_that_a_machine_has_no_phase_for_lose_it() -> None:
    assert not [step for step in transpile(Circuit(1).gate("gphase", angles=[0.3]).h(0)).circuit.every() if step.name == "gphase"]
    kept = transpile(Circuit(1).gate("gphase", angles=[0.3]).h(0), replace(LINE, gates=LINE.gates | {"gphase"}))
    assert isinstance(kept.circuit.instructions[0], Instruction)

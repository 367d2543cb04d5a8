"""The stage `transpile`: the same state wherever its qubits end, in the device's gates and couplings, symbols kept."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import qloom.kit.transpiling as transpiling
from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts.stage import Answer, Expansion, StageContext
from qloom.errors import InvalidSetting, MissingExtra, UnknownName, Unsupported
from qloom.kit.compile_cache import CompileCache
from qloom.mitigation.transpile import Transpile, TranspileOptions
from qloom.specs import Connectivity, DeviceSpec
from tests.devices.dense import expectation
from tests.devices.helpers import PARAMETERS, circuits

IBM = frozenset({"rz", "sx", "x", "cx"})
LINE = DeviceSpec(
    name="line", num_qubits=5, gates=IBM, connectivity=Connectivity.linear(), features=frozenset({"delay", "reset"})
)
FREE = DeviceSpec(name="free", num_qubits=5, gates=frozenset({"h", "rz", "cz", "ccx"}))
ONE_WAY = DeviceSpec(
    name="one-way", num_qubits=4, gates=frozenset({"u", "ecr"}), connectivity=Connectivity.of(directed=[(1, 0), (1, 2), (3, 2)])
)
THETA, PHI = Parameter("theta"), Parameter("phi")
TRIANGLE = Circuit(3).ry(THETA, 0).cx(0, 1).rz(PHI + 0.2, 1).cx(1, 2).rx(-THETA, 2).cx(0, 2).ry(PHI.sin() * THETA, 0).cx(2, 1)


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of state, whose cache these tests share."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("QLOOM_HOME", str(folder))
        yield folder


def expanded(circuit: Circuit, spec: DeviceSpec = LINE, seed: int = 3, **options: Any) -> Expansion:
    return Transpile().expand(circuit, TranspileOptions(**options), StageContext(spec=spec, seed=seed))


def placed(string: str, found: Expansion) -> Observable:
    """A Pauli string on the given qubits, moved to where they end."""
    size = found.circuits[0].num_qubits
    layout = found.layout or tuple(range(size))
    letters = dict(zip(layout, string, strict=True))
    return Observable({"".join(letters.get(qubit, "I") for qubit in range(size)): 1.0})


def check_same(circuit: Circuit, found: Expansion, values: dict[str, float], strings: list[str]) -> None:
    bound = found.circuits[0].bind(values)
    for string in strings:
        ideal = expectation(circuit.bind(values), Observable({string: 1.0}))
        assert expectation(bound, placed(string, found)) == pytest.approx(ideal, abs=1e-7)


@settings(max_examples=15, deadline=None)
@given(circuits(longest=6), st.data())
def test_every_value_is_that_of_the_given_circuit_at_the_qubits_where_the_layout_says_they_end(
    circuit: Circuit, data: st.DataObject
) -> None:
    spec = data.draw(st.sampled_from([LINE, FREE, ONE_WAY]))
    found = expanded(circuit, spec, level=data.draw(st.integers(0, 3)), seed=data.draw(st.integers(0, 99)))
    values = {name: data.draw(st.floats(-3, 3)) for name in PARAMETERS}
    letters = st.text("IXYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    check_same(circuit, found, values, data.draw(st.lists(letters, min_size=3, max_size=3)))


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_symbols_stay_in_their_order_and_only_native_gates_on_coupled_qubits_are_left(level: int) -> None:
    circuit = Circuit(3, TRIANGLE.instructions, parameters=["phi", "unused", "theta"])
    found = expanded(circuit, level=level)
    (made,) = found.circuits
    assert made.parameters == ("phi", "unused", "theta")
    assert {step.name for step in made.instructions} <= IBM
    assert all(abs(step.qubits[0] - step.qubits[1]) == 1 for step in made.instructions if step.name == "cx")
    check_same(circuit, found, {"theta": 0.7, "phi": -1.3, "unused": 9.0}, ["ZII", "IXI", "IIY", "XZX"])


def test_where_routing_exchanges_qubits_the_layout_is_that_of_the_end() -> None:
    spec = DeviceSpec(name="three", num_qubits=3, gates=IBM, connectivity=Connectivity.linear())
    circuit = Circuit(3).ry(0.3, 0).ry(0.9, 1).ry(1.7, 2).cx(0, 1).cx(1, 2).cx(0, 2).rx(0.4, 1).cx(0, 1)
    moved = [found for seed in range(8) if (found := expanded(circuit, spec, seed, level=1)).layout is not None]
    assert any(found.recipe["layout"] != found.recipe["initial_layout"] for found in moved)
    for found in moved:
        check_same(circuit, found, {}, ["ZII", "IZI", "IIZ"])


@pytest.mark.parametrize("level", [2, 3])
def test_a_swap_that_is_left_out_is_part_of_the_layout(level: int) -> None:
    found = expanded(Circuit(2).h(0).rz(0.3, 0).swap(0, 1), FREE, level=level)
    assert found.layout == (1, 0)
    check_same(Circuit(2).h(0).rz(0.3, 0).swap(0, 1), found, {}, ["XI", "IX", "IY", "ZZ"])


def test_nothing_is_placed_anew_on_a_device_that_couples_all_qubits() -> None:
    found = expanded(TRIANGLE, FREE, level=0)
    assert (found.layout, found.circuits[0].num_qubits) == (None, 3)


def test_basis_and_coupling_of_the_options_go_before_those_of_the_device() -> None:
    found = expanded(TRIANGLE, FREE, basis=("h", "rz", "cz"), coupling="0-2 2-4")
    made = found.circuits[0]
    assert made.num_qubits == 5
    pairs = {frozenset(step.qubits) for step in made.instructions if step.name == "cz"}
    assert pairs <= {frozenset({0, 2}), frozenset({2, 4})}
    assert expanded(TRIANGLE, FREE, coupling=[[0, 1], [1, 2]]).circuits[0].num_qubits == 3
    check_same(TRIANGLE, found, {"theta": 0.4, "phi": 0.8}, ["ZII", "IXZ"])


def test_native_gates_go_before_gates() -> None:
    spec = DeviceSpec(name="native", num_qubits=3, gates=frozenset({"h", "cx", "rz"}), native_gates=frozenset({"rz", "sx", "cz"}))
    made = expanded(Circuit(2).h(0).cx(0, 1), spec).circuits[0]
    assert {step.name for step in made.instructions} == {"rz", "sx", "cz"}


def test_level_0_leaves_folded_gates_and_higher_levels_take_out_what_undoes_itself() -> None:
    folded = Circuit(2).cx(0, 1).cx(0, 1).cx(0, 1).rz(THETA, 0).rz(-THETA, 0)
    kept, less = expanded(folded, level=0), expanded(folded, level=2)
    assert kept.recipe["gates_after"] == {"cx": 3, "rz": 2}
    assert less.recipe["gates_after"]["cx"] == 1


def test_a_verbatim_block_stays_as_it_is_and_no_qubit_moves() -> None:
    circuit = Circuit(3).h(0).verbatim([*Circuit(3).cx(0, 1).cx(0, 1).instructions]).h(0).cx(1, 2)
    found = expanded(circuit, DeviceSpec(**{**_fields(LINE), "features": frozenset({"verbatim"})}), level=3)
    assert found.layout is None
    assert circuit.instructions[1] in found.circuits[0].instructions
    check_same(circuit, found, {}, ["ZZI", "XXI", "IXZ"])
    with pytest.raises(Unsupported, match="verbatim block keeps its qubits"):
        expanded(Circuit(3).verbatim([*Circuit(3).cx(0, 2).instructions]))


def _fields(spec: DeviceSpec) -> dict[str, Any]:
    return {"name": spec.name, "num_qubits": spec.num_qubits, "gates": spec.gates, "connectivity": spec.connectivity}


def test_resets_delays_and_barriers_stay() -> None:
    circuit = Circuit(2).h(0).reset(0).delay(1e-7, 1).barrier(0, 1)
    made = expanded(circuit, level=1).circuits[0]
    kept = [(step.name, step.parameters, step.unit) for step in made.instructions if step.kind != "gate"]
    assert ("reset", (), "") in kept
    assert ("delay", (1e-7,), "s") in kept
    assert ("barrier", (), "") in kept
    (waiting,) = expanded(Circuit(1).delay(16, 0, unit="dt")).circuits[0].instructions
    assert (waiting.parameters, waiting.unit) == ((16.0,), "dt")


def test_the_same_seed_gives_the_same_circuit_in_another_process(tmp_path: Path) -> None:
    code = """
from qloom.circuits import *
from qloom.contracts.stage import StageContext
from qloom.mitigation.transpile import *
from qloom.specs import *
theta, phi = Parameter("theta"), Parameter("phi")
circuit = Circuit(3).ry(theta, 0).cx(0, 1).rz(phi + 0.2, 1).cx(1, 2).rx(-theta, 2).cx(0, 2).ry(phi.sin() * theta, 0).cx(2, 1)
line = DeviceSpec(name="line", num_qubits=5, gates=frozenset({"rz", "sx", "x", "cx"}), connectivity=Connectivity.linear())
print(Transpile().expand(circuit, TranspileOptions(level=3, seed=5), StageContext(spec=line)).circuits[0].digest)
"""
    digest = expanded(TRIANGLE, level=3, seed=5).circuits[0].digest
    own = {**os.environ, "QLOOM_HOME": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=own)
    assert answer.stdout.strip() == digest


def test_the_pipeline_s_seed_holds_where_no_other_is_given() -> None:
    context = StageContext(spec=LINE, seed=2**70 + 5)
    first = Transpile().expand(TRIANGLE, TranspileOptions(level=3), context)
    assert (first.recipe["seed"], first.circuits) == (5, expanded(TRIANGLE, level=3, seed=5).circuits)


def test_the_answer_passes_and_the_notes_say_where_qubits_are_and_what_became_of_the_gates() -> None:
    found, context, answer = expanded(TRIANGLE), StageContext(spec=LINE), Answer()
    assert Transpile().combine(json.loads(json.dumps(found.recipe)), [answer], TranspileOptions(), context) is answer
    assert context.notes["layout"] == list(found.layout or ())
    assert context.notes["gates_before"] == {"cx": 4, "rx": 1, "ry": 2, "rz": 1}
    assert context.notes["gates_after"]["cx"] >= 4


def test_what_was_transpiled_is_kept_in_the_compile_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, context, options = (CompileCache.below(tmp_path) for _ in "12"), StageContext(spec=LINE), TranspileOptions(level=3)
    first = Transpile(next(fresh)).expand(TRIANGLE, options, context)
    monkeypatch.setattr(transpiling, "compile_template", None)
    assert Transpile(next(fresh)).expand(TRIANGLE, options, context) == first
    renamed = TRIANGLE.bind({"theta": PHI, "phi": 2 * THETA})
    assert Transpile(CompileCache.below(tmp_path)).expand(renamed, options, context).layout == first.layout
    for other in (TranspileOptions(level=3, basis=("rz", "sx", "cx")), TranspileOptions(level=3, coupling="0-1 1-2")):
        with pytest.raises(TypeError, match="not callable"):
            Transpile(CompileCache.below(tmp_path)).expand(TRIANGLE, other, context)


def test_the_cache_is_that_of_the_folder_of_state_and_one_that_cannot_be_written_costs_time_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path))
    first = expanded(TRIANGLE)
    assert len(list((tmp_path / "cache" / "compiled").iterdir())) == 1
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "file"))
    assert expanded(TRIANGLE) == first


REFUSED: list[tuple[Circuit, dict[str, Any], str]] = [
    (Circuit(1).channel("bit_flip", 0, probabilities=[0.1]), {}, "bit_flip"),
    (Circuit(2).measure(0).x(1), {}, "instruction measure"),
    (Circuit(6).h(0), {}, "line cannot run this: 6 qubits, line has 5"),
    (Circuit(1).h(0), {"basis": ("h",)}, "basis asks for h, but line runs as they are only cx, rz, sx, x"),
    (Circuit(2).h(0).cx(0, 1), {"basis": ("rz", "cx")}, "no way to the gates cx, rz"),
    (Circuit(2).cx(0, 1), {"coupling": "none"}, "2 qubits have to be joined and line joins 1"),
    (Circuit(2).cx(0, 1), {"coupling": "0-7"}, "8 qubits are needed"),
    (Circuit(2).cx(0, 1), {"coupling": "0-2"}, "no way onto line was found"),
    (Circuit(1).delay(0.5, 0, unit="dt"), {}, "whole dt"),
    (Circuit(0), {}, "a circuit without qubits"),
    (Circuit(1).delay(1.0, 0, unit="dt").delay(1.0, 0), {}, "must not be mixed"),
]


@pytest.mark.parametrize(("circuit", "options", "reason"), REFUSED)
def test_what_cannot_be_brought_to_the_device_is_refused_with_the_reason(
    circuit: Circuit, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unsupported, match=reason) as refused:
        expanded(circuit, **options)
    assert str(refused.value).startswith("transpile: ")


def test_options_out_of_range_or_unknown_are_refused() -> None:
    for wrong in ({"level": 4}, {"seed": -1}, {"basis": ()}, {"levels": 1}):
        with pytest.raises(ValidationError):
            TranspileOptions(**wrong)
    with pytest.raises(UnknownName, match=r"did you mean .*'sx'"):
        TranspileOptions(basis=("rz", "sxx"))
    with pytest.raises(InvalidSetting, match="takes all, linear"):
        TranspileOptions(coupling="star")
    assert TranspileOptions(basis=("cnot", "phase")).basis == ("cx", "p")


def test_without_qiskit_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(transpiling, "version", missing)
    with pytest.raises(MissingExtra, match="pip install 'qloom\\[qiskit\\]'"):
        expanded(Circuit(1).h(0))

"""`qiskit:module:name` keeps the device contract on Qiskit's own backends, and says where circuits ran."""

import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.circuits.gates import GATES
from qloom.contracts import Device, Prepared
from qloom.devices.qiskit import QiskitDevice, check_options, create
from qloom.devices.qiskit_cache import to_text
from qloom.errors import InvalidSetting, MissingExtra, Rejected, UnknownName, Unsupported
from qloom.kit.compile_cache import CompileCache
from qloom.kit.qiskit_out import to_qiskit
from qloom.tasks import compiled_otherwise
from qloom.testing.device_contract import DeviceContract, bell, state_of, values_of
from tests.devices.helpers import PARAMETERS, around, circuits

pytest.importorskip("qiskit_aer", reason="qiskit-aer is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:.*has no QubitProperties:UserWarning")

FAKE = "qiskit.providers.fake_provider:GenericBackendV2"
LINE = (
    f"{FAKE}:num_qubits=4,seed=1,noise_info=false,control_flow=true,coupling_map=[[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compile cache of its own for each test."""
    monkeypatch.setenv("QLOOM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class TestAer(DeviceContract):
    @pytest.fixture
    def device(self) -> Device:
        return create("qiskit_aer:AerSimulator")


class TestALineOfQubits(DeviceContract):
    shots = 2000

    @pytest.fixture
    def device(self) -> Device:
        return create(LINE)


class TestTheBasicSimulator(DeviceContract):
    shots = 500

    @pytest.fixture
    def device(self) -> Device:
        return create("qiskit.providers.basic_provider:BasicSimulator")


class TestABackendWithNoise(DeviceContract):
    exact = False
    shots = 200

    @pytest.fixture
    def device(self) -> Device:
        return create(f"{FAKE}:num_qubits=3,seed=1")


def own(rest: str) -> QiskitDevice:
    device = create(rest)
    assert isinstance(device, QiskitDevice)
    return device


def answers(prepared: Prepared) -> dict[str, int]:
    return prepared.run(shots=100, seed=1).counts


# ---- answers -----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(circuits(longest=6), st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_any_circuit_has_the_values_of_its_matrices(circuit: Circuit, point: list[float]) -> None:
    values = np.array(point)
    observable = Observable({"XYZX"[: circuit.num_qubits]: 0.5, "ZZXY"[: circuit.num_qubits]: -1.5})
    found = create("qiskit_aer:AerSimulator").prepare(circuit, observable).estimate(values).value
    assert found == pytest.approx(values_of(circuit, observable, values), abs=1e-9)
    assert circuit.parameters == PARAMETERS


@pytest.mark.parametrize("name", sorted(set(GATES) - {"gphase"}))
def test_every_gate_comes_through_the_transpiler_as_it_was(name: str) -> None:
    definition = GATES[name]
    angles = (0.37, 2 * Parameter("a"), Parameter("b") - 1, 0.8)[: definition.num_parameters]
    circuit = around(Instruction(name, tuple(reversed(range(definition.num_qubits))), angles), definition.num_qubits)
    circuit = Circuit(circuit.num_qubits, circuit.instructions, parameters=PARAMETERS)
    values = np.array([0.4, -0.9])
    observable = Observable({"ZXY"[: circuit.num_qubits]: 1.0, "YZX"[: circuit.num_qubits]: 0.5})
    found = create("qiskit_aer:AerSimulator:transpile.level=2").prepare(circuit, observable).estimate(values).value
    assert found == pytest.approx(values_of(circuit, observable, values), abs=1e-9)


def test_qubits_that_are_not_coupled_are_brought_together_and_read_where_they_ended() -> None:
    star = Circuit(4).ry(0.4, 0).cx(0, 2).cx(0, 3).ry(1.1, 1).cx(3, 1).cx(2, 0)
    result = create(LINE).prepare(star).run(shots=4000, seed=3)
    expected = np.abs(state_of(star)) ** 2
    for key, probability in enumerate(expected):
        bound = 5.5 * math.sqrt(probability * (1 - probability) / 4000) + 1e-3
        assert abs(result.probabilities.get(f"{key:04b}", 0.0) - probability) < bound


def test_values_from_shots_are_measured_where_the_qubits_ended() -> None:
    apart = Circuit(4).x(0).x(3).cx(0, 3).cx(0, 2).x(1).cx(1, 3)
    observables = [Observable({"I" * qubit + "Z" + "I" * (3 - qubit): 1.0}) for qubit in range(4)]
    found = create(f"{LINE},transpile.level=0").prepare(apart, observables).estimate(shots=20, seed=5)
    assert found.values.tolist() == [[-1.0, -1.0, -1.0, -1.0]]
    apart = apart.x(2)
    found = create(f"{LINE},transpile.level=0").prepare(apart, observables).estimate(shots=20, seed=5)
    assert found.values.tolist() == [[-1.0, -1.0, 1.0, -1.0]]
    where = found.metadata["circuits"][0]
    assert where["layout"] == [0, 1, 2, 3] != where["final_layout"]


def test_values_of_a_circuit_that_was_routed_are_those_of_the_matrices() -> None:
    star = Circuit(4).ry(0.4, 0).cx(0, 2).cx(0, 3).ry(1.1, 1).cx(3, 1).cx(2, 0)
    observable = Observable({"ZIII": 0.5, "IZZI": -1.0, "XYII": 0.7, "IIXX": 0.3})
    found = create(LINE).prepare(star, observable).estimate(shots=3000, seed=5)
    assert abs(found.value - values_of(star, observable, np.zeros(0))) < 5 * found.standard_error
    assert found.metadata["circuits"][0]["two_qubit_gates"] >= 4


def test_the_layout_a_result_names_is_the_one_that_was_run() -> None:
    path = "coupling_map=[[1, 3], [3, 1]]"  # the only pair that is coupled
    result = create(f"{FAKE}:num_qubits=4,seed=1,noise_info=false,{path}").prepare(Circuit(2).x(0).cx(0, 1)).run(shots=10, seed=1)
    assert result.counts == {"11": 10}
    assert set(result.metadata["circuits"][0]["layout"]) == {1, 3}
    assert result.metadata["transpiler"].endswith("(seed 0, level 1)")


def test_bits_decide_what_runs_next() -> None:
    flipped = Circuit(2).x(0).measure(0).if_test(0, 1, Circuit(2).x(1), Circuit(2).h(1)).measure(1)
    for name in (LINE, "qiskit_aer:AerSimulator"):
        assert answers(create(name).prepare(flipped)) == {"11": 100}


def test_values_after_feed_forward_come_from_shots_and_not_exactly() -> None:
    corrected = Circuit(2).h(0).measure(0).if_test(0, 1, Circuit(2).x(1).x(0))
    prepared = create("qiskit_aer:AerSimulator").prepare(corrected, [Observable({"ZI": 1.0}), Observable({"IZ": 1.0})])
    found = prepared.estimate(shots=2000, seed=2)
    assert found.values[0, 0] == 1.0
    assert abs(found.values[0, 1]) < 0.12
    with pytest.raises(Unsupported, match="if_else and measure in between; ask for values with shots"):
        prepared.estimate()


def test_a_bit_that_is_read_later_is_measured_also_for_values() -> None:
    copied = Circuit(2).x(0).measure([0, 1]).if_test(0, 1, Circuit(2).x(1))
    prepared = create("qiskit_aer:AerSimulator").prepare(copied, Observable({"IZ": 1.0}))
    assert prepared.estimate(shots=20, seed=1).value == -1.0


def test_more_bits_than_a_word_has_are_kept() -> None:
    wide = Circuit(1, Circuit(1).x(0).measure(0, 70).instructions, num_clbits=80)
    result = create("qiskit_aer:AerSimulator").prepare(wide).run(shots=5, seed=1)
    assert result.counts == {"0" * 70 + "1" + "0" * 9: 5}


def test_a_simulator_that_might_give_every_circuit_one_seed_is_asked_one_by_one() -> None:
    backend = _backend()
    prepared = QiskitDevice(backend).prepare(Circuit(1).rx(Parameter("a"), 0))
    prepared.run([[1.0], [1.0], [1.0]], shots=50, seed=1)
    assert [count for count, _ in backend.calls] == [1, 1, 1]
    assert len({seed for _, seed in backend.calls}) == 3


def test_a_sampler_may_run_the_circuits() -> None:
    for sampler in ("qiskit.primitives:BackendSamplerV2", "qiskit_aer.primitives:SamplerV2"):
        device = create(f"{LINE},run.sampler={sampler}")
        prepared = device.prepare(Circuit(3).x(0).rx(Parameter("a"), 2), Observable({"ZIZ": 1.0}))
        assert [item.counts for item in prepared.run([[0.0], [math.pi]], shots=50)] == [{"100": 50}, {"101": 50}]
        assert prepared.estimate([math.pi], shots=50).value == 1.0
        assert prepared.engine.reason == f"sampled by {sampler}"


def test_exact_values_need_an_aer_without_noise_or_with_a_density_matrix() -> None:
    assert create("qiskit_aer:AerSimulator:method=density_matrix").spec().exact_values
    assert not create("qiskit_aer:AerSimulator:method=matrix_product_state").spec().exact_values
    with pytest.raises(Unsupported, match="no exact values, and so no gradients"):
        create(LINE).prepare(bell(), Observable({"ZZ": 1.0})).gradient()


# ---- transpiling -------------------------------------------------------------------------------------------------------


def test_a_circuit_is_transpiled_once_for_all_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    from qloom.devices.qiskit_circuits import Transpiler

    seen: list[Any] = []
    run = Transpiler.run

    def counted(self: Transpiler, circuit: Any, **more: Any) -> Any:
        seen.append(circuit)
        return run(self, circuit, **more)

    monkeypatch.setattr(Transpiler, "run", counted)
    prepared = create(LINE).prepare(Circuit(2).rx(Parameter("a"), 0).cx(0, 1))
    prepared.run([[0.1], [0.2], [0.3]], shots=10, seed=1)
    prepared.run([[0.4]], shots=10, seed=1)
    assert len(seen) == 1


def test_what_the_compiler_made_is_part_of_the_digest() -> None:
    ghz = Circuit(4).h(0).cx(0, 1).cx(0, 2).cx(0, 3)
    first, again, harder = (own(f"{LINE},transpile.level={level}").prepare(ghz) for level in (0, 0, 3))
    assert first.digest == again.digest != harder.digest
    assert first.compiled == again.compiled
    assert first.compiled.digest != harder.compiled.digest
    assert harder.compiled.compiler.endswith("(seed 0, level 3)")


def test_a_verbatim_block_of_native_gates_runs_gate_by_gate() -> None:
    from qloom.devices.qiskit_circuits import QiskitCircuit, Transpiler

    block = Circuit(3).sx(1).sx(1).cx(1, 2).cx(1, 2).rz(0.2, 2).rz(-0.2, 2)
    circuit = Circuit(3).h(0).verbatim(block).measure_all()
    device = own(f"{LINE},transpile.level=3")
    assert set(answers(device.prepare(circuit))) == {"010", "110"}
    backend = device.backend
    made = QiskitCircuit(circuit, backend, Transpiler(backend, 3, 0)).sampled()
    names = [step.operation.name for step in made.data if made.find_bit(step.qubits[0]).index in (1, 2)]
    inside = names[names.index("barrier") + 1 :]
    assert inside[: inside.index("barrier")] == ["sx", "sx", "cx", "cx", "rz", "rz"]


def test_a_verbatim_block_inside_of_an_if_runs_gate_by_gate_too() -> None:
    from qloom.devices.qiskit_circuits import QiskitCircuit, Transpiler

    def circuit(block: Circuit) -> Circuit:
        return Circuit(3).x(0).measure(0, 0).if_test(0, 1, Circuit(3).verbatim(block)).measure(1, 1)

    backend = own(f"{LINE},transpile.level=3").backend
    made = QiskitCircuit(circuit(Circuit(3).x(1).x(1).sx(1).sx(1)), backend, Transpiler(backend, 3, 0)).sampled()
    (asked,) = (step for step in made.data if step.operation.name == "if_else")
    inside = [step.operation.name for step in asked.operation.blocks[0].data]
    assert inside == ["barrier", "x", "x", "sx", "sx", "barrier"]
    assert [made.find_bit(qubit).index for qubit in asked.qubits] == [1]
    one_way = _one_way_backend()
    with pytest.raises(Unsupported, match=r"gate cx on qubits \[1, 0\] in a verbatim block"):
        QiskitCircuit(circuit(Circuit(3).cx(1, 0)), one_way, Transpiler(one_way, 1, 0))


def _one_way_backend() -> Any:
    from qiskit.circuit.library import CXGate, SXGate
    from qiskit.circuit.measure import Measure
    from qiskit.transpiler import Target

    target = Target(num_qubits=3)
    for gate in (SXGate(), Measure()):
        target.add_instruction(gate, {(0,): None, (1,): None, (2,): None})
    target.add_instruction(CXGate(), {(0, 1): None, (1, 2): None})
    return _backend(target)


def test_a_verbatim_block_that_the_backend_would_change_is_refused() -> None:
    for block, reason in (
        (Circuit(3).h(0), "gate h in a verbatim block"),
        (Circuit(3).cx(0, 2), "couplings 0-2|couplings 0>2"),
    ):
        with pytest.raises(Unsupported, match=reason):
            create(LINE).prepare(Circuit(3).verbatim(block))
    with pytest.raises(Unsupported, match="stay on the qubits that they name"):
        create(LINE).prepare(Circuit(3).verbatim(Circuit(3).x(0)).cx(0, 2))


def test_a_gate_that_is_native_elsewhere_only_is_no_native_gate() -> None:
    from qiskit.circuit.library import CXGate, HGate, RZGate, SXGate
    from qiskit.circuit.measure import Measure
    from qiskit.transpiler import Target

    target = Target(num_qubits=2)
    target.add_instruction(HGate(), {(0,): None})
    for gate in (SXGate(), RZGate(0.1), Measure()):
        target.add_instruction(gate if gate.name != "rz" else _free_rz(), {(0,): None, (1,): None})
    target.add_instruction(CXGate(), {(0, 1): None})
    device = QiskitDevice(_backend(target))
    device.prepare(Circuit(2).verbatim(Circuit(2).h(0)))
    with pytest.raises(Unsupported, match=r"gate h on qubits \[1\] in a verbatim block.*it runs measure, rz, sx there"):
        device.prepare(Circuit(2).verbatim(Circuit(2).h(1)))


def _free_rz() -> Any:
    from qiskit.circuit import Parameter as QiskitParameter
    from qiskit.circuit.library import RZGate

    return RZGate(QiskitParameter("angle"))


def _backend(given: Any = None, failing: str = "", *, seeded: bool = True) -> Any:
    """A backend with a target of its own, whose jobs have lost some shots, or fail; `calls` are circuits and seed of each."""
    from qiskit.exceptions import QiskitError
    from qiskit.providers import BackendV2, Options
    from qiskit.providers.basic_provider import BasicSimulator

    class Own(BackendV2):
        calls: ClassVar[list[tuple[int, int | None]]] = []
        target = BasicSimulator().target if given is None else given
        max_circuits = None

        @classmethod
        def _default_options(cls) -> Any:
            return Options(shots=100, **({"seed_simulator": None} if seeded else {}))

        def run(self, run_input: Any, **options: Any) -> Any:
            self.calls.append((len(run_input), options.get("seed_simulator")))
            if failing == "error":
                raise QiskitError("the machine is warm")
            return BasicSimulator().run(run_input, **options | {"shots": options["shots"] - (failing == "shots")})

    return Own(name="own", backend_version="7")


def test_a_backend_that_fails_or_loses_shots_is_told() -> None:
    for failing, reason in (("error", "own failed.*the machine is warm"), ("shots", "own answered 99 of 100 shots")):
        prepared = QiskitDevice(_backend(failing=failing)).prepare(bell())
        with pytest.raises(Rejected, match=reason):
            prepared.run(shots=100)


def test_a_backend_without_seeds_is_sent_all_at_once_and_without_one() -> None:
    backend = _backend(seeded=False)
    device = QiskitDevice(backend)
    assert (device.name, device.spec().kind, device.spec().noise) == ("qiskit:own", "qpu", None)
    result = device.prepare(Circuit(1).rx(Parameter("a"), 0)).run([[0.0], [math.pi]], shots=100, seed=1)
    assert [item.counts for item in result] == [{"0": 100}, {"1": 100}]
    assert backend.calls == [(2, None)]


# ---- the compile cache -------------------------------------------------------------------------------------------------

STAR = Circuit(4).ry(Parameter("a"), 0).cx(0, 2).cx(0, 3).rx(2 * Parameter("a"), 1).cx(3, 1).cx(0, 1).measure(0)
STAR = STAR.if_test(0, 1, Circuit(4).x(2)).measure([1, 2, 3])
TERMS = Observable({"IZZI": 1.0, "IXIX": 0.5})


def entries() -> list[Path]:
    return sorted(CompileCache.default().folder.glob("*.entry"))


@pytest.fixture
def transpiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that Qiskit's transpiler really ran."""
    from qiskit.transpiler import StagedPassManager

    lines: list[str] = []
    run = StagedPassManager.run

    def counted(self: Any, *circuits: Any, **options: Any) -> Any:
        lines.append("ran")
        return run(self, *circuits, **options)

    monkeypatch.setattr(StagedPassManager, "run", counted)
    return lines


def everything(device: Device) -> list[Any]:
    sampled = device.prepare(STAR)
    valued = device.prepare(STAR, TERMS)
    found = sampled.run([0.4], shots=200, seed=1), valued.estimate([0.4], shots=200, seed=2)
    return [sampled.digest, valued.digest, found[0].counts, found[1].value, found[0].metadata, found[1].metadata]


def test_a_second_process_does_not_transpile_again() -> None:
    first = everything(create(LINE))
    where = first[-1]["circuits"][0]
    assert where["layout"] != where["final_layout"]
    assert len(entries()) == 4  # measured, unmeasured, and turns to two bases
    code = textwrap.dedent("""
        from qiskit.transpiler import StagedPassManager
        from tests.devices.test_qiskit_device import LINE, create, everything
        def refuse(*args, **options):
            raise AssertionError("the transpiler ran")
        StagedPassManager.run = refuse
        print(everything(create(LINE)))
    """)
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (said.stdout.strip(), said.returncode) == (str(first), 0), said.stderr


@pytest.mark.parametrize("change", ["seed=2", "transpile.level=2", "transpile.seed=1", "dtm=1e-9"])
def test_another_target_level_or_seed_has_entries_of_its_own(transpiled: list[str], change: str) -> None:
    noisy = f"{FAKE}:num_qubits=3,seed=1"
    bound = noisy.replace("seed=1", change) if change == "seed=2" else f"{noisy},{change.replace('dtm', 'dt')}"
    for name, count in ((noisy, 1), (bound, 2), (noisy, 2)):
        create(name).prepare(bell())
        assert (len(transpiled), len(entries())) == (count, count)


def test_an_entry_that_was_cut_short_is_replaced(transpiled: list[str], caplog: pytest.LogCaptureFixture) -> None:
    first = own(LINE).prepare(STAR)
    (entry,) = entries()
    whole = entry.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-1] + b"!", b""):
        entry.write_bytes(damaged)
        assert own(LINE).prepare(STAR).digest == first.digest
    assert len(transpiled) == 4
    assert "cut short, damaged or not ours" in caplog.text
    assert own(LINE).prepare(STAR).digest == first.digest
    assert (len(transpiled), entries()) == (4, [entry])


def test_an_entry_that_holds_no_circuit_is_replaced(transpiled: list[str], caplog: pytest.LogCaptureFixture) -> None:
    from qloom.kit.text_cache import TextCache

    first = own(LINE).prepare(STAR)
    (entry,) = entries()
    whole = to_text(to_qiskit(STAR.bind({"a": 0.1})))
    for text in ("{}", "[" * 5000, whole[:-20], whole.replace('"x"', '"os.system"'), whole.replace("[0,3]", "[0,99]")):
        entry.unlink()
        TextCache(entry.parent, limit_bytes=10_000).keep(entry.stem, text)
        assert own(LINE).prepare(STAR).digest == first.digest
    assert (len(transpiled), caplog.text.count("cannot be read (")) == (6, 5)


def test_a_folder_that_cannot_be_written_costs_time_only(
    home: Path, transpiled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    home.mkdir()
    (home / "cache").write_text("a file")  # fails for every user, where a folder that is read-only does not for root
    device = create(LINE)
    assert answers(device.prepare(bell())).keys() == answers(device.prepare(bell())).keys() == {"00", "11"}
    assert (len(transpiled), caplog.text.count("cannot be written (Not a directory)")) == (2, 1)


def test_a_target_that_changed_is_told_with_both_names(transpiled: list[str]) -> None:
    from qiskit.circuit import Parameter as QiskitParameter
    from qiskit.circuit.library import CXGate, CZGate, RZGate, SXGate
    from qiskit.circuit.measure import Measure
    from qiskit.transpiler import Target

    found = []
    for gate in (CXGate(), CZGate(), CXGate()):
        target = Target(num_qubits=2)
        for each in (SXGate(), RZGate(QiskitParameter("angle")), Measure(), gate):
            target.add_instruction(each, {(0, 1): None} if each is gate else {(0,): None, (1,): None})
        found.append(QiskitDevice(_backend(target)).prepare(bell()))
    before, now, again = (prepared.compiled for prepared in found)
    assert (len(transpiled), before) == (2, again)
    assert (before.source, found[0].digest) == (now.source, found[2].digest)
    assert found[1].digest != found[0].digest
    assert compiled_otherwise(before, now) == f"the compiled circuit differs: {before.compiler} then, {now.compiler} now"


def test_a_backend_that_is_calibrated_anew_is_transpiled_for_anew(transpiled: list[str]) -> None:
    from qiskit.providers.fake_provider import GenericBackendV2
    from qiskit.transpiler import InstructionProperties

    backend = GenericBackendV2(num_qubits=3, seed=1)
    device = QiskitDevice(backend)
    before = device.prepare(bell()).compiled
    target = backend.target
    for pair, error in (((0, 1), 0.4), ((1, 0), 0.4)):
        target.update_instruction_properties("cx", pair, InstructionProperties(error=error))
    again = QiskitDevice(backend).prepare(bell()).compiled
    assert (len(transpiled), len(entries())) == (2, 2)
    assert before.compiler != again.compiler


def test_what_a_package_without_a_version_decides_is_not_kept(transpiled: list[str]) -> None:
    from qiskit.circuit import Gate

    target = create_target_with(Gate("own_gate", 1, []))
    for _ in range(2):
        QiskitDevice(_backend(target)).prepare(Circuit(1).sx(0))
    assert (len(transpiled), entries()) == (2, [])


def create_target_with(gate: Any) -> Any:
    from qiskit.circuit.library import SXGate
    from qiskit.circuit.measure import Measure
    from qiskit.transpiler import Target

    target = Target(num_qubits=1)
    for each in (SXGate(), Measure(), gate):
        target.add_instruction(each, {(0,): None})
    return target


# ---- the spec ----------------------------------------------------------------------------------------------------------


def test_the_spec_says_what_the_target_says() -> None:
    spec = create(LINE.replace("noise_info=false", "noise_info=true")).spec()
    assert spec.num_qubits == 4
    assert sorted(spec.native_gates or ()) == ["cx", "id", "rz", "sx", "x"]
    assert str(spec.connectivity) == "0-1 1-2 2-3"
    assert {"conditionals", "reset", "mid_circuit_measurement", "delay", "verbatim"} <= spec.features
    assert 0 < (spec.error_rate("readout") or 0) < 0.1
    assert set(spec.notes["largest_gate_errors"]) == {"cx", "id", "sx", "x", "rz"}
    assert spec.transpiles


def test_what_only_a_target_without_control_flow_lacks_is_refused_by_name() -> None:
    device = create(LINE.replace("control_flow=true", "control_flow=false"))
    branching = Circuit(1).measure(0).if_test(0, 1, Circuit(1).x(0))
    assert any("conditionals" in reason for reason in device.check(branching))
    with pytest.raises(Unsupported, match="channels, which"):
        device.prepare(Circuit(1).channel("bit_flip", 0, probabilities=[0.1]))


def test_threads_go_to_aer_and_are_told() -> None:
    for device, threads in (
        (create("qiskit_aer:AerSimulator", threads=2), 2),
        (create("qiskit_aer:AerSimulator:max_parallel_threads=1", threads=2), 1),
        (create("qiskit_aer:AerSimulator"), 1),
    ):
        assert device.prepare(bell()).engine.threads == threads


# ---- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "error", "message"),
    [
        ("", InvalidSetting, "a Qiskit backend is named"),
        ("qiskit_aer", InvalidSetting, "a Qiskit backend is named"),
        ("qiskit_aerr:AerSimulator", UnknownName, "no module called 'qiskit_aerr'"),
        ("qiskit.no.such:Thing", UnknownName, "no module called 'qiskit.no'"),
        ("qiskit_aer:AerSimulater", UnknownName, "did you mean 'AerSimulator'"),
        ("math:pi", InvalidSetting, "math:pi is a float: neither"),
        ("math:sqrt:y=4", UnknownName, "no argument of math:sqrt called .y."),
        ("fractions:Fraction:numerator=4", InvalidSetting, "made a Fraction, which is no Qiskit BackendV2"),
        (f"{FAKE}:num_qubit=5", UnknownName, "did you mean 'num_qubits'"),
        (f"{FAKE}", InvalidSetting, "made no backend: TypeError"),
        (f"{FAKE}:num_qubits=3,transpile.levl=2", UnknownName, "did you mean 'transpile.level'"),
        (f"{FAKE}:num_qubits=3,transpile.level=4", InvalidSetting, "from 0 to 3, got 4"),
        (f"{FAKE}:num_qubits=3,num_qubits=4", InvalidSetting, "num_qubits is given twice"),
        (f"{FAKE}:num_qubits", InvalidSetting, "arguments are name=value"),
        (f"{FAKE}:num_qubits=", InvalidSetting, "num_qubits needs a value"),
        (f"{FAKE}:coupling_map=[[0, 1]", InvalidSetting, "no JSON"),
        (f"{FAKE}:coupling_map=[[0, 1]]x", InvalidSetting, "a comma must follow"),
        (f"{FAKE}:num_qubits=3,run.sampler=sampler", InvalidSetting, "run.sampler is named module:name"),
    ],
)
def test_names_that_lead_to_no_backend_are_refused(rest: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create(rest)


def test_a_sampler_that_is_none_is_refused() -> None:
    device = create(f"{LINE},run.sampler=builtins:repr")
    with pytest.raises(InvalidSetting, match="made a str, which is no Qiskit BaseSamplerV2"):
        device.prepare(bell())


def test_names_are_looked_at_without_making_a_backend() -> None:
    check_options("no.such.module:Thing:a=1")
    with pytest.raises(UnknownName, match="transpile"):
        check_options("no.such.module:Thing:transpile.lvl=1")


def test_a_module_that_lacks_a_package_says_which(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vendor_backends.py").write_text("import no_such_package_of_a_vendor\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra, match="vendor_backends needs the package 'no_such_package_of_a_vendor'"):
        create("vendor_backends:Machine")


def test_a_backend_that_is_there_already_takes_no_arguments(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from qiskit.providers.basic_provider import BasicSimulator\nmachine = BasicSimulator()\n"
    (tmp_path / "own_backends.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(answers(create("own_backends:machine").prepare(bell()))) == {"00", "11"}
    with pytest.raises(InvalidSetting, match="is a backend already"):
        create("own_backends:machine:shots=3")

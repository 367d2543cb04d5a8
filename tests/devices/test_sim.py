"""The simulator as a device: options, refusals, memory, seeds, threads."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from qloom.circuits import Circuit, Instruction, Observable, Parameter
from qloom.contracts import Device, Prepared, TaskHandle
from qloom.devices import choosing, engines, lightning_engine
from qloom.devices.common import KEPT_TASKS
from qloom.devices.engines import most_qubits, needed_bytes, suitable_threads, usable_cores
from qloom.devices.sim import create
from qloom.errors import InvalidSetting, InvalidTask, MissingExtra, UnknownName, Unsupported
from qloom.results import Engine
from qloom.testing.device_contract import ENERGY, POINT, ansatz, bell, values_of
from tests.devices.helpers import ENGINES, FloatArray


def layered(num_qubits: int) -> Circuit:
    angle = Parameter("angle")
    steps = [Instruction("ry", (qubit,), (angle + 0.1 * qubit,)) for qubit in range(num_qubits)]
    return Circuit(num_qubits, steps + [Instruction("cx", (qubit, qubit + 1)) for qubit in range(num_qubits - 1)])


def test_sim_fills_the_contract() -> None:
    device = create()
    assert isinstance(device, Device)
    assert isinstance(device.prepare(bell()), Prepared)
    assert isinstance(device.prepare(bell()).submit("sample"), TaskHandle)


# ---- options ---------------------------------------------------------------------------------------------------------


def test_options_are_read_from_the_name_or_given() -> None:
    named, given = create("engine=qulacs,threads=1"), create(engine="qulacs", threads=1)
    assert (named.name, given.name) == ("sim:engine=qulacs,threads=1", "sim")
    assert named.prepare(bell()).engine == given.prepare(bell()).engine
    assert named.prepare(bell()).engine.name == "qulacs"


@pytest.mark.parametrize(
    ("rest", "error", "words"),
    [
        ("engin=qulacs", UnknownName, "did you mean 'engine'"),
        ("engine=qulac", UnknownName, "did you mean 'qulacs'"),
        ("engine=", InvalidSetting, "needs a value"),
        ("threads", InvalidSetting, "needs a value"),
        ("threads=0", InvalidSetting, "threads must be an integer from 1 up, got '0'"),
        ("threads=two", InvalidSetting, "threads must be an integer"),
        ("threads=1,threads=2", InvalidSetting, "given twice"),
        ("memory_limit_bytes=1.5", InvalidSetting, "memory_limit_bytes must be an integer"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(rest: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        create(rest)


def test_an_option_named_and_given_differently_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="given twice, as 2 and as 1"):
        create("threads=1", threads=2)


@pytest.mark.parametrize("threads", [0, -1, True, 1.5])
def test_threads_are_a_positive_integer(threads: Any) -> None:
    with pytest.raises(InvalidSetting, match="threads"):
        create(threads=threads)


# ---- engines ---------------------------------------------------------------------------------------------------------


def test_lightning_is_the_engine_where_it_is_installed() -> None:
    engine = create().prepare(bell()).engine
    assert (engine.name, engine.threads) == ("lightning", 1)
    assert engine.reason == "gates with measurements at the end; the fastest up to 16 qubits"
    assert create(engine="lightning").prepare(bell()).engine.reason == "asked for"
    assert engine.version.startswith("0.45.")


@pytest.fixture
def other_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightning_engine, "CHECKED_RELEASES", ("0.44",))
    monkeypatch.setattr(choosing, "_lightning", lightning_engine.Lightning)


@pytest.mark.usefixtures("other_release")
def test_a_lightning_that_was_not_checked_is_passed_over_with_the_reason() -> None:
    engine = create().prepare(bell()).engine
    assert engine.name == "qulacs"
    assert "checked in 0.44 only" in engine.reason
    assert "pip install" in engine.reason


@pytest.mark.usefixtures("other_release")
def test_asking_for_an_engine_that_is_not_there_says_how_to_install_it() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'qloom\[sim\]'"):
        create(engine="lightning")


def test_without_the_package_qulacs_steps_in() -> None:
    code = """
import sys
sys.modules["pennylane_lightning"] = None
from qloom.circuits import Circuit
from qloom.devices.sim import create
result = create().prepare(Circuit(2).h(0).cx(0, 1)).run(shots=100, seed=1)
assert set(result.counts) == {"00", "11"}
print(result.engine.name, "|", result.engine.reason)
"""
    name, reason = run_python(code).split("|")
    assert name.strip() == "qulacs"
    assert "lightning is not installed" in reason


def test_the_bindings_load_without_pennylane() -> None:
    code = "import sys; from qloom.devices.sim import create; create(); print('pennylane' in sys.modules, 'scipy' in sys.modules)"
    assert run_python(code).split() == ["False", "False"]


def test_one_thread_up_to_16_qubits_and_every_core_above() -> None:
    cores = len(os.sched_getaffinity(0))
    assert usable_cores() == cores
    assert [suitable_threads(qubits, None) for qubits in (1, 16, 17)] == [1, 1, cores]
    assert suitable_threads(2, 3) == 3
    assert create().prepare(layered(17)).engine.threads == cores
    assert create(threads=1).prepare(layered(17)).engine.threads == 1


def test_qulacs_refuses_threads_that_it_cannot_change_to() -> None:
    code = """
from qloom.circuits import Circuit
from qloom.devices.sim import create
from qloom.errors import InvalidSetting
assert create(engine="qulacs", threads=1).prepare(Circuit(17).h(0)).engine.threads == 1
assert create(engine="qulacs").prepare(Circuit(17).h(0)).engine.threads == 1
assert create(engine="qulacs", threads=2).prepare(Circuit(16).h(0)).engine.threads == 1
try:
    create(engine="qulacs", threads=2).prepare(Circuit(17).h(0))
except InvalidSetting as error:
    print(error)
"""
    assert "started with 1 in this process" in run_python(code)


@pytest.mark.parametrize("engine", ENGINES)
def test_with_one_thread_no_other_thread_computes(engine: str) -> None:
    # Inner products of lightning from 18 qubits up would start threads of their own.
    code = f"""
import os
import numpy as np
from qloom.circuits import Circuit, Observable, Parameter
from qloom.devices.sim import create
circuit = Circuit(18).rx(Parameter("a"), 0).cx(0, 17)
prepared = create(engine={engine!r}, threads=1).prepare(circuit, Observable({{"X" * 18: 1.0, "Y" * 18: 0.5}}))
before = len(os.listdir("/proc/self/task"))
prepared.run([0.3], 100), prepared.estimate([0.3]), prepared.gradient([0.3])
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert run_python(code, OMP_NUM_THREADS="4").strip() == "0"


# ---- samples ---------------------------------------------------------------------------------------------------------


def run_python(code: str, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    return found.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_draws_the_same_samples_in_another_process(engine: str) -> None:
    code = f"""
import hashlib, json
from qloom.devices.sim import create
from tests.devices.test_sim import layered
for qubits in (4, 10, 16):
    result = create(engine={engine!r}).prepare(layered(qubits)).run([0.4], 1000, seed=77)
    print(hashlib.sha256(json.dumps([result.counts, result.bits.tolist()]).encode()).hexdigest())
"""
    prepared = {qubits: create(engine=engine).prepare(layered(qubits)).run([0.4], 1000, seed=77) for qubits in (4, 10, 16)}
    here = [
        hashlib.sha256(json.dumps([result.counts, result.bits.tolist()]).encode()).hexdigest() for result in prepared.values()
    ]
    assert run_python(code, PYTHONHASHSEED="1").split() == here


def test_samples_do_not_depend_on_the_threads() -> None:
    one, two = (create(threads=threads).prepare(layered(17)).run([0.4], 500, seed=1) for threads in (1, 2))
    assert one.counts == two.counts


def test_without_a_seed_every_call_draws_anew_and_says_from_what() -> None:
    prepared = create().prepare(layered(6))
    first, second = prepared.run([0.3]), prepared.run([0.3])
    assert first.counts != second.counts
    assert first.samples.order_seed != second.samples.order_seed


def test_bits_hold_the_counted_shots_in_a_drawn_order() -> None:
    result = create().prepare(bell()).run(shots=200, seed=4)
    keys = ["".join(map(str, row)) for row in result.bits.tolist()]
    assert {key: keys.count(key) for key in sorted(set(keys))} == result.counts
    assert keys != sorted(keys)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns after microseconds, so that what they share is touched in the middle."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.usefixtures("hasty_threads")
def test_calls_from_several_threads_do_not_disturb_each_other(engine: str) -> None:
    parameters = [Parameter(f"a{number}") for number in range(300)]
    circuit = Circuit(6, [Instruction("rx", (number % 6,), (angle,)) for number, angle in enumerate(parameters)])
    prepared = create(engine=engine).prepare(circuit, Observable({"ZZZZZZ": 1.0}))
    points = np.random.default_rng(1).normal(size=(200, 300))

    def ask(point: FloatArray) -> tuple[float, dict[str, int]]:
        return prepared.estimate(point).value, prepared.run(point, 500, seed=3).counts

    expected = [ask(point) for point in points]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, points)) == expected


@pytest.mark.parametrize("qubits", [3, 9])
def test_many_sets_in_one_call_follow_their_states(qubits: int) -> None:
    prepared = create().prepare(layered(qubits), Observable({"Z" * qubits: 1.0}))
    angles: FloatArray = np.linspace(0, 3, 20, dtype=np.float64).reshape(-1, 1)
    result = prepared.run(angles, 2000, seed=1)
    assert len(result) == 20
    assert result.samples.splits[-1] == len(result.samples.keys)
    for item, expected in zip(result, prepared.estimate(angles).values[:, 0], strict=True):
        parity = sum(count * (-1) ** key.count("1") for key, count in item.counts.items()) / 2000
        assert abs(parity - expected) < 5.5 / np.sqrt(2000)


def test_many_sets_keep_their_measured_bits() -> None:
    turned = Circuit(3).rx(Parameter("a"), 0).x(2).measure([2, 0], [0, 3])
    result = create().prepare(turned).run([[0.0], [np.pi]], 40, seed=1)
    assert [item.counts for item in result] == [{"1000": 40}, {"1001": 40}]


def test_more_sets_than_fit_at_once_are_drawn_in_parts() -> None:
    result = create().prepare(Circuit(8).rx(Parameter("a"), 3)).run(np.full((5000, 1), np.pi), 2, seed=1)
    assert len(result) == 5000
    assert set(result.samples.keys.tolist()) == {0b00010000}


def test_an_angle_beyond_floating_point_is_refused() -> None:
    prepared = create().prepare(Circuit(1).rx(10 * Parameter("a"), 0), Observable({"Z": 1.0}))
    for ask in (prepared.run, prepared.estimate, prepared.gradient):
        with pytest.raises(InvalidTask, match=r"1.7e\+308.* too large"):
            ask(np.array([1.7e308]))


def test_no_sets_are_refused() -> None:
    with pytest.raises(InvalidTask, match="no parameter sets"):
        create().prepare(layered(2)).run(np.zeros((0, 1)))


def test_estimates_from_shots_of_many_sets_repeat_with_their_seed() -> None:
    prepared = create().prepare(ansatz(), [ENERGY, Observable({"ZZZ": 1.0})])
    points = np.stack([POINT, 2 * POINT])
    first, again = (prepared.estimate(points, 3000, seed=9) for _ in range(2))
    assert first == again
    for row, point in enumerate(points):
        assert abs(first.values[row, 0] - values_of(ansatz(), ENERGY, point)) < 5.5 * first.standard_errors[row, 0]


# ---- what runs, what does not ----------------------------------------------------------------------------------------


def test_idle_steps_and_verbatim_blocks_run() -> None:
    body = Circuit(2).x(0).cx(0, 1)
    circuit = Circuit(2).reset(0).barrier().delay(10, 0, unit="ns").verbatim(body).barrier(1).measure_all()
    assert create().check(circuit) == []
    assert create().prepare(circuit).run(shots=5).counts == {"11": 5}


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (Circuit(1).h(0).measure(0).x(0), "mid_circuit_measurement"),
        (Circuit(1).h(0).reset(0), "reset"),
        (Circuit(1).measure(0).reset(0), "reset"),
        (Circuit(1).channel("phase_flip", 0, probabilities=[0.1]), "channels"),
        (Circuit(1, num_clbits=65).measure(0), "65 classical bits"),
        (Circuit(0), "a circuit without qubits"),
    ],
)
def test_what_a_state_vector_engine_cannot_run_is_refused_by_name(circuit: Circuit, reason: str) -> None:
    device = create("engine=lightning")
    assert any(reason in text for text in device.check(circuit))
    with pytest.raises(Unsupported, match=reason):
        device.prepare(circuit)


def test_every_circuit_with_a_reason_is_named() -> None:
    with pytest.raises(Unsupported, match=r"circuit 1: reset.*circuit 2: channels"):
        create("engine=qulacs").prepare([bell(), bell().reset(0), bell().channel("bit_flip", 0, probabilities=[0.1])])


def test_64_classical_bits_fit_a_key() -> None:
    wide = Circuit(2, num_clbits=64).x(0).x(1).measure([0, 1], [0, 63])
    assert create().prepare(wide).run(shots=2).counts == {"1" + "0" * 62 + "1": 2}


def test_shots_beyond_the_most_are_refused_by_check() -> None:
    for circuit in (bell(), bell().reset(0)):
        assert create().check(circuit, 2**60) == [f"{2**60} shots, sim allows {2**53}"]
    with pytest.raises(InvalidTask, match="shots"):
        create().check(bell(), 0)


@pytest.mark.parametrize("shots", [2**53 + 1, 2**63])
def test_shots_beyond_the_most_are_refused_by_run(shots: int) -> None:
    with pytest.raises(Unsupported, match="allows"):
        create().prepare(bell()).run(shots=shots)
    with pytest.raises(Unsupported, match="allows"):
        create().prepare(bell(), Observable({"ZZ": 1.0})).estimate(shots=shots)


def test_as_many_shots_as_can_be_counted_are_counted() -> None:
    assert sum(create().prepare(bell()).run(shots=2**53, seed=1).counts.values()) == 2**53


def test_foreign_objects_are_refused() -> None:
    with pytest.raises(InvalidTask, match="got str"):
        create().prepare(["OPENQASM 3;"])  # type: ignore[list-item]  # that is the test
    with pytest.raises(InvalidTask, match="got str"):
        create().prepare(bell(), ["ZZ"])  # type: ignore[list-item]  # that is the test
    with pytest.raises(InvalidTask, match="empty"):
        create().prepare(bell(), [])


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_40_qubits_are_refused_with_the_number_of_bytes() -> None:
    with pytest.raises(Unsupported, match="40 qubits need 17592186044416 bytes for the state"):
        create().prepare(Circuit(40).ry(0.1, 0))


def test_a_circuit_beyond_all_numbers_is_refused_in_a_line_that_can_be_read() -> None:
    reason, _ = create("engine=lightning").check(Circuit(20_000))
    assert reason.startswith("20000 qubits need more than 2**20004 bytes for the state (")
    assert len(reason) < 250


def test_a_limit_given_is_held_to_the_byte() -> None:
    need = needed_bytes("sample", 10)
    assert create(memory_limit_bytes=need + 1000).check(layered(10)) == []
    (reason,) = create("engine=lightning", memory_limit_bytes=need - 1).check(layered(10))
    assert f"the limit is {need - 1} bytes (memory_limit_bytes)" in reason
    by_limit = [create("engine=lightning", memory_limit_bytes=limit).spec().num_qubits for limit in (need, need - 1)]
    assert by_limit == [10, 9]


def test_what_only_some_calls_need_is_checked_at_the_call() -> None:
    limit = needed_bytes("estimate", 10)
    prepared = create(memory_limit_bytes=limit).prepare(layered(10), Observable({"X" * 10: 1.0}))
    prepared.estimate([0.1])
    with pytest.raises(Unsupported, match="one gradient"):
        prepared.gradient([0.1])
    with pytest.raises(Unsupported, match="one sample"):
        prepared.run([0.1], shots=500)


def test_the_most_qubits_follow_from_the_memory_that_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "memory_limit", lambda: 819_200)
    assert most_qubits(None) == 15


def test_the_largest_circuit_of_the_spec_passes_the_check() -> None:
    device = create("engine=lightning", memory_limit_bytes=1 << 30)
    assert device.check(Circuit(device.spec().num_qubits).h(0)) == []
    assert len(device.check(Circuit(device.spec().num_qubits + 1).h(0))) == 1


def test_large_states_are_checked_against_the_machine_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = create().prepare(layered(20))
    monkeypatch.setattr(engines, "memory_limit", lambda: 1000)
    with pytest.raises(Unsupported, match="the limit is 1000 bytes"):
        prepared.run([0.1])


# ---- delays whose length is a parameter --------------------------------------------------------------------------------


WAITING = Circuit(1).h(0).if_test(0, 0, Circuit(1).delay(2 * Parameter("t") - 1, 0, unit="ns"))
WAITED = Circuit(1).ry(0.3, 0).delay(2 * Parameter("t") - 1, 0, unit="ns")


@pytest.mark.parametrize("engine", ["lightning", "qulacs", "stim", "aer"])
def test_a_delay_below_zero_is_refused_at_run_time_as_it_is_when_it_is_written(engine: str) -> None:
    circuit = WAITING if engine in ("stim", "aer") else WAITED
    prepared = create(engine=engine).prepare(circuit)
    assert prepared.run([0.5], shots=10).shots == 10
    for given in ([0.0], np.array([0.0]), [[1.0], [0.0]], {"t": 0.0}):
        with pytest.raises(
            InvalidTask, match=r"duration from 0 up, but 2.0\*t - 1.0 on qubits \[0\] is -1.0 ns in parameter set"
        ):
            prepared.run(given, shots=10)


@pytest.mark.parametrize("engine", ["lightning", "qulacs", "stim", "aer"])
def test_no_engine_has_a_derivative_by_the_length_of_a_delay(engine: str) -> None:
    circuit = Circuit(1).h(0).delay(Parameter("t"), 0)
    prepared = create(engine=engine).prepare(circuit, Observable({"X": 1.0}))
    assert prepared.estimate([1.0]).value == pytest.approx(1.0)
    with pytest.raises(Unsupported, match=r"no derivative by the duration of delay on qubits \[0\]"):
        prepared.gradient([1.0])


# ---- tasks and digests -----------------------------------------------------------------------------------------------


def test_only_the_last_tasks_are_kept() -> None:
    device = create()
    prepared = device.prepare(Circuit(1))
    first = prepared.submit("sample", shots=1, token="first")
    for _ in range(KEPT_TASKS - 1):
        prepared.submit("sample", shots=1)
    assert device.attach(first.id).id == first.id
    prepared.submit("sample", shots=1)
    with pytest.raises(UnknownName, match="last 1000 tasks"):
        device.attach(first.id)
    assert device.find("first") is None


def test_every_kind_of_task_can_be_submitted() -> None:
    prepared = create().prepare(ansatz(), ENERGY)
    assert prepared.submit("sample", POINT, 10, seed=1).result() == prepared.run(POINT, 10, seed=1)
    assert prepared.submit("estimate", POINT).result() == prepared.estimate(POINT)
    assert prepared.submit("estimate", POINT, 10, seed=2).result() == prepared.estimate(POINT, 10, seed=2)
    assert prepared.submit("gradient", POINT).result() == prepared.gradient(POINT)


def test_a_digest_names_the_engine_asked_for_but_not_the_one_found() -> None:
    plain, limited = create(), create(threads=1, memory_limit_bytes=1 << 30)
    assert plain.prepare(bell()).digest == limited.prepare(bell()).digest
    assert plain.prepare(bell()).digest != create(engine="qulacs").prepare(bell()).digest


def test_a_digest_stays_what_it_is() -> None:
    # Journals compare it: another digest for the same work would end every resume in a divergence.
    assert create().prepare(bell(), Observable({"ZZ": 1.0})).digest == "141404d262dfd7cc2414f807661d0adf"


def test_the_spec_speaks_json() -> None:
    document = json.loads(json.dumps(create().spec().to_json()))
    assert document["exact_values"]
    assert document["gradients"]
    assert not document["bills"]
    assert document["engines"][0]["name"] == "lightning"
    assert "cswap" in document["gates"]


def test_what_computed_earlier_answers_is_used_again_where_it_is_there() -> None:
    device = create()
    plain = device.prepare(Circuit(2).h(0))
    other = "qulacs" if plain.engine.name == "lightning" else "lightning"
    version = create(f"engine={other}").spec().engines[0].version
    again = device.prepare(Circuit(2).h(0), engine=Engine(other, version, 1))
    assert (again.engine.name, again.digest) == (other, plain.digest)


@pytest.mark.parametrize("engine", [Engine("lightning", "0.1.0", 1), Engine("nobody's", "1.0", 1)])
def test_what_is_gone_is_replaced_by_what_is_there_which_the_engine_tells(engine: Engine) -> None:
    device = create()
    assert device.prepare(Circuit(2).h(0), engine=engine).engine == device.prepare(Circuit(2).h(0)).engine

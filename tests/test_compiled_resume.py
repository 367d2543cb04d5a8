"""A resumed job whose circuits come out of the compiler otherwise says so, clearly, and mixes no answers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import pytest

import qloom.kit.transpiling as transpiling
from qloom.circuits import Circuit, Parameter
from qloom.contracts import Device, FromCompiler, Prepared
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.errors import Divergence
from qloom.journal import Journal
from qloom.journal.divergence import first_difference
from qloom.journal.history import History
from qloom.kit.compile_cache import CompileCache
from qloom.kit.qiskit_compiler import Skeleton, compile_template
from qloom.kit.transpiling import Transpiled, compiled_facts, transpile
from qloom.programs.quantum import QuantumDevice
from qloom.results import Engine, Result
from qloom.specs import Connectivity, DeviceSpec
from qloom.tasks import Compiled

LINE = DeviceSpec(name="line", num_qubits=4, gates=frozenset({"rz", "sx", "x", "cx"}), connectivity=Connectivity.linear())
CIRCUIT = Circuit(3).ry(Parameter("a"), 0).cx(0, 2).cx(0, 1).measure_all()


class LinePrepared:
    """Circuits for the line, run on the simulator; what a device with a compiler has to tell."""

    def __init__(self, source: Circuit, found: Transpiled, inner: Prepared) -> None:
        self._inner = inner
        self.compiled = compiled_facts(source.digest, [found])
        self.digest = blake2b(f"{source.digest}|{self.compiled.digest}".encode(), digest_size=16).hexdigest()
        self.engine, self.parameters = inner.engine, inner.parameters

    def run(self, parameters: Any = None, shots: int = 1000, *, seed: int | None = None) -> Result:
        return self._inner.run(parameters, shots, seed=seed)


class LineDevice:
    """A line of four qubits, with a compile cache."""

    name = "line"

    def __init__(self, cache: CompileCache | None, level: int) -> None:
        self._cache = cache
        self._level = level
        self._sim = create()

    def spec(self) -> DeviceSpec:
        return LINE

    def prepare(self, circuits: Any, observables: Any = None, *, engine: Engine | None = None) -> LinePrepared:
        found = transpile(circuits, LINE, level=self._level, cache=self._cache)
        return LinePrepared(circuits, found, self._sim.prepare(found.circuit, engine=engine))


@contextmanager
def job(
    folder: Path, attempt: int, *, cache: CompileCache | None = None, level: int = 1, **options: Any
) -> Iterator[QuantumDevice]:
    journal = Journal.open(folder, job_id="job-1", attempt=attempt, seed=5, **options)
    device = cast("Device", LineDevice(cache, level))
    yield QuantumDevice(device, lanes=lambda: journal.lane("main"), intake=read_circuit, recorder=journal)
    journal.close()


def ask(device: QuantumDevice, *angles: float) -> list[dict[str, int]]:
    prepared = device.prepare(CIRCUIT)
    return [prepared.run([angle], shots=50).counts for angle in angles]


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release of the compiler, which does something else."""

    def otherwise(*args: Any, **options: Any) -> Skeleton:
        made = compile_template(*args, **options)
        return made._replace(circuit=made.circuit.x(0).x(0))

    monkeypatch.setattr(transpiling, "version", lambda _: "99.1")
    monkeypatch.setattr(transpiling, "compile_template", otherwise)


def test_the_same_compiler_goes_on_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with job(tmp_path, 1) as first:
        answers = ask(first, 0.1, 0.2)
    with job(tmp_path, 2, cache=CompileCache(tmp_path / "cache")) as second:
        assert ask(second, 0.1, 0.2, 0.3)[:2] == answers
        assert second.problems == []
    assert caplog.text == ""


@pytest.mark.usefixtures("newer")
def test_another_release_that_compiles_otherwise_is_named_and_stops_the_replay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr(transpiling, "version", lambda _: "2.6.2")
        then.setattr(transpiling, "compile_template", compile_template)
        with job(tmp_path, 1) as first:
            ask(first, 0.1)
    said = r"the compiled circuit differs: qiskit 2\.6\.2 \(seed 0, level 1\) then, qiskit 99\.1 \(seed 0, level 1\) now"
    with caplog.at_level(logging.WARNING), job(tmp_path, 2) as second, pytest.raises(Divergence, match=said) as stopped:
        ask(second, 0.1)
    assert stopped.value.field == "prepared"
    assert "`--accept-divergence`" in str(stopped.value)
    assert len(second.problems) == 1
    assert second.problems[0] in caplog.text
    assert "what is recorded was answered by the other circuit" in second.problems[0]


def test_a_release_that_compiles_the_same_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with job(tmp_path, 1) as first:
        answers = ask(first, 0.1)
    monkeypatch.setattr(transpiling, "version", lambda _: "99.1")
    with job(tmp_path, 2) as second:
        assert ask(second, 0.1) == answers
        assert second.problems == []


def test_a_cache_that_was_changed_is_said_even_of_the_same_compiler(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path / "cache")
    with job(tmp_path, 1, cache=cache) as first:
        ask(first, 0.1)
    (entry,) = cache.folder.iterdir()
    entry.unlink()
    found = transpile(CIRCUIT, LINE)
    skeleton = compile_template(CIRCUIT.bind({"a": Parameter("p0")}), LINE, seed=9, level=0)
    cache.get(entry.stem, skeleton.circuit, lambda: Skeleton(skeleton.circuit, found.layout.initial, found.layout.final))
    with job(tmp_path, 2, cache=cache) as second, pytest.raises(Divergence, match="the compiled circuit differs, though qiskit"):
        ask(second, 0.1)


def test_other_options_of_the_compiler_are_named(tmp_path: Path) -> None:
    with job(tmp_path, 1) as first:
        ask(first, 0.1)
    said = r"qiskit \S+ \(seed 0, level 1\) then, qiskit \S+ \(seed 0, level 0\) now"
    with job(tmp_path, 2, level=0) as second, pytest.raises(Divergence, match=said):
        ask(second, 0.1)


def test_another_circuit_is_still_another_circuit(tmp_path: Path) -> None:
    with job(tmp_path, 1) as first:
        ask(first, 0.1)
    with job(tmp_path, 2) as second, pytest.raises(Divergence, match="the circuit, observables or device options changed"):
        second.run(Circuit(3).ry(Parameter("a"), 0).cx(0, 1), shots=50, parameters=[0.1])


def test_accepting_goes_on_with_the_circuit_of_now(tmp_path: Path) -> None:
    with job(tmp_path, 1) as first:
        ask(first, 0.1)
    with job(tmp_path, 2, level=0, accept_divergence=True) as second:
        answers = ask(second, 0.1, 0.2)
        assert len(second.problems) == 1
    with job(tmp_path, 3, level=0) as third:
        assert ask(third, 0.1, 0.2) == answers
        assert third.problems == []


def test_what_the_compiler_made_is_recorded_once(tmp_path: Path) -> None:
    facts = Compiled("source", "made", "qiskit 2.6.2")
    journal = Journal.open(tmp_path, job_id="job-1", attempt=1, seed=5)
    assert journal.compiled_as("one", facts) is None
    assert journal.compiled_as("one", facts) is None
    assert journal.compiled_as("two", facts._replace(digest="otherwise")) == facts
    assert journal.compiled_as("three", facts._replace(source="another")) is None
    journal.close()
    again = Journal.open(tmp_path, job_id="job-1", attempt=2, seed=5)
    assert again.compiled_as("one", facts) is None
    assert again.compiled_as("four", facts._replace(digest="fourth")) == facts._replace(digest="otherwise")
    again.close()
    history = History.read(tmp_path, before_attempt=2)
    assert list(history.compiled) == ["one", "two", "three"]
    history.close()


def test_a_device_with_a_compiler_is_told_from_one_without() -> None:
    inner = create().prepare(Circuit(1).h(0))
    found = transpile(Circuit(1).h(0), replace(LINE, name="other"))
    assert isinstance(LinePrepared(CIRCUIT, found, inner), FromCompiler)
    assert not isinstance(inner, FromCompiler)
    assert first_difference(("sample", "a"), ("sample", "b"))[0] == "prepared"

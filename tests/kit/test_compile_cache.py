"""The compile cache: a circuit is compiled once, and whatever happens to the cache costs time only."""

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qloom.kit.transpiling as transpiling
from qloom.circuits import Circuit, Parameter
from qloom.errors import CorruptRecord, InvalidSetting
from qloom.kit.compile_cache import FORMAT_VERSION, CompileCache, from_document, key_of, to_document
from qloom.kit.qiskit_compiler import Skeleton, compile_template
from qloom.kit.text_cache import TextCache
from qloom.kit.transpiling import Transpiled
from qloom.specs import Connectivity, DeviceSpec
from tests.circuits.strategies import circuits

SPEC = DeviceSpec(name="line", num_qubits=5, gates=frozenset({"rz", "sx", "x", "cx"}), connectivity=Connectivity.linear())
CIRCUIT = Circuit(4).ry(2 * Parameter("a"), 0).cx(0, 3).cx(1, 2).ry(0.3, 2).measure([0, 3])


@pytest.fixture
def cache(tmp_path: Path) -> CompileCache:
    return CompileCache.below(tmp_path)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that the compiler really ran."""
    lines: list[str] = []
    run = compile_template

    def counted(*args: Any, **options: Any) -> Skeleton:
        lines.append("ran")
        return run(*args, **options)

    monkeypatch.setattr(transpiling, "compile_template", counted)
    return lines


def transpile(cache: CompileCache | None, circuit: Circuit = CIRCUIT, spec: DeviceSpec = SPEC, **options: Any) -> Transpiled:
    return transpiling.transpile(circuit, spec, cache=cache, **options)


def entries(cache: CompileCache) -> list[Path]:
    return sorted(cache.folder.glob("*.entry"))


def test_a_structure_is_compiled_once_and_comes_back_bit_for_bit(cache: CompileCache, compiles: list[str]) -> None:
    first, second, plain = transpile(cache), transpile(CompileCache(cache.folder)), transpile(None)
    assert len(compiles) == 2
    assert first == second == plain
    assert repr(first.circuit.instructions) == repr(second.circuit.instructions)
    transpile(cache, Circuit(4).ry(Parameter("b") + 1, 0).cx(0, 3).cx(1, 2).ry(0.3, 2))
    assert (len(compiles), len(entries(cache))) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"level": 2},
        {"calibration": "tuesday"},
        {"circuit": CIRCUIT.x(1)},
        {"circuit": Circuit(4).ry(2 * Parameter("a"), 0).cx(0, 3).cx(1, 2).ry(0.4, 2)},
        {"spec": replace(SPEC, name="other")},
        {"spec": replace(SPEC, num_qubits=6)},
        {"spec": replace(SPEC, gates=SPEC.gates | {"cz"})},
        {"spec": replace(SPEC, features=frozenset({"reset"}))},
        {"spec": replace(SPEC, connectivity=Connectivity.ring())},
        {"spec": replace(SPEC, calibration_id="tuesday")},
    ],
)
def test_whatever_decides_the_circuit_is_in_the_key(cache: CompileCache, compiles: list[str], change: dict[str, Any]) -> None:
    transpile(cache)
    transpile(cache, **change)
    assert (len(compiles), len(entries(cache))) == (2, 2)


def test_another_release_of_the_compiler_has_other_entries(
    cache: CompileCache, compiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    transpile(cache)
    monkeypatch.setattr(transpiling, "version", lambda _: "99.1")
    assert transpile(cache).compiler.version == "99.1"
    assert (len(compiles), len(entries(cache))) == (2, 2)


def test_the_key_does_not_depend_on_the_process() -> None:
    code = textwrap.dedent("""
        from tests.kit.test_compile_cache import CIRCUIT, SPEC, key_of
        print(key_of(CIRCUIT, SPEC, version="1", seed=0, level=1, calibration=""))
    """)
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == key_of(CIRCUIT, SPEC, version="1", seed=0, level=1, calibration="")


def test_what_is_cached_needs_no_qiskit_loaded(cache: CompileCache) -> None:
    transpile(cache)
    code = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from qloom.circuits import Circuit, Parameter
        from qloom.kit.compile_cache import CompileCache
        from qloom.kit.transpiling import transpile
        from qloom.specs import Connectivity, DeviceSpec
        gates = frozenset({{"rz", "sx", "x", "cx"}})
        spec = DeviceSpec(name="line", num_qubits=5, gates=gates, connectivity=Connectivity.linear())
        circuit = Circuit(4).ry(2 * Parameter("a"), 0).cx(0, 3).cx(1, 2).ry(0.3, 2).measure([0, 3])
        found = transpile(circuit, spec, cache=CompileCache(Path({str(cache.folder)!r})))
        print("qiskit" in sys.modules, found.digest)
    """)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["False", transpile(cache).digest]


# ---- entries


@given(circuit=circuits(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_compiled_circuit_comes_back_through_its_text(circuit: Circuit, data: st.DataObject) -> None:
    places = data.draw(st.permutations(range(circuit.num_qubits)))
    skeleton = Skeleton(circuit, tuple(range(circuit.num_qubits)), tuple(places))
    back = from_document(json.loads(json.dumps(to_document(skeleton))))
    assert back == skeleton
    assert repr(back.circuit.instructions) == repr(circuit.instructions)


@pytest.mark.parametrize(
    "change",
    [{"format": FORMAT_VERSION + 1}, {"initial": [0, 0]}, {"final": [0, 9]}, {"final": None}, {"initial": ["0"]}, {"circuit": 5}],
)
def test_a_document_of_something_else_is_refused(change: dict[str, Any]) -> None:
    good = to_document(Skeleton(Circuit(2).h(0), (0, 1), (1, 0)))
    with pytest.raises(CorruptRecord):
        from_document({**good, **change})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def foreign(path: Path) -> None:
    path.write_text("something else")


def swapped(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"cx"', b'"cz"'))


def no_circuit(path: Path) -> None:
    """A whole entry, whose text is no compiled circuit."""
    path.unlink()
    TextCache(path.parent, limit_bytes=10_000).keep(path.stem, f'{{"format": {FORMAT_VERSION}, "circuit": {{"qubits": -1}}}}')


def of_another_template(path: Path) -> None:
    path.unlink()
    other = to_document(Skeleton(Circuit(5).rx(Parameter("p9"), 0), (0, 1, 2, 3), (0, 1, 2, 3)))
    TextCache(path.parent, limit_bytes=10_000).keep(path.stem, json.dumps(other))


def of_fewer_qubits(path: Path) -> None:
    path.unlink()
    other = to_document(Skeleton(Circuit(5), (0, 1), (0, 1)))
    TextCache(path.parent, limit_bytes=10_000).keep(path.stem, json.dumps(other))


@pytest.mark.parametrize("damage", [cut, foreign, swapped, no_circuit, of_another_template, of_fewer_qubits])
def test_a_damaged_entry_is_compiled_anew_said_and_replaced(
    cache: CompileCache, compiles: list[str], damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    good = transpile(cache)
    damage(entries(cache)[0])
    with caplog.at_level(logging.WARNING):
        assert transpile(cache) == good
    assert len(compiles) == 2
    assert "missing and is replaced" in caplog.text or "is made anew" in caplog.text
    assert transpile(cache) == good
    assert len(compiles) == 2


def test_entries_are_text(cache: CompileCache) -> None:
    transpile(cache)
    head, body = entries(cache)[0].read_text(encoding="utf-8").split("\n")
    assert head.startswith("qloom cache 1 ")
    assert json.loads(body)["circuit"]["qubits"] == 5


# ---- the folder


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    small = CompileCache(tmp_path, limit_bytes=3000)
    for number in range(12):
        transpile(small, Circuit(2).ry(0.1 * number, 0).cx(0, 1))
    assert 0 < sum(path.stat().st_size for path in entries(small)) <= 3000
    assert len(entries(small)) < 12


def test_a_folder_that_cannot_be_made_costs_the_cache_alone(
    tmp_path: Path, compiles: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    broken = CompileCache.below(tmp_path)
    assert transpile(broken) == transpile(broken) == transpile(None)
    assert len(compiles) == 3
    assert caplog.text.count("cannot be written (Not a directory)") == 1


def test_the_environment_names_the_folder_and_the_bound(tmp_path: Path) -> None:
    found = CompileCache.default({"QLOOM_HOME": str(tmp_path), "QLOOM_COMPILE_CACHE_BYTES": "5000"})
    assert (found.folder, found.limit_bytes) == (tmp_path / "cache" / "compiled", 5000)


@pytest.mark.parametrize("said", ["0", "-5", "1 GB", "1e9", "٣"])
def test_a_bound_that_is_no_number_is_refused(said: str) -> None:
    with pytest.raises(InvalidSetting):
        CompileCache.default({"QLOOM_HOME": "/tmp/q", "QLOOM_COMPILE_CACHE_BYTES": said})


# ---- many processes

COMPILING = textwrap.dedent("""
    import sys
    from pathlib import Path
    from tests.kit.test_compile_cache import CompileCache, Circuit, transpile
    cache = CompileCache(Path(sys.argv[1]))
    for number in range(1000):
        circuit = Circuit(4).rx(0.1 * number, 0).cx(0, 3).cx(1, 2)
        print(number, transpile(cache, circuit).digest, flush=True)
""")


def test_processes_that_compile_the_same_and_are_killed_leave_the_right_circuits(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", COMPILING, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said: dict[str, set[str]] = {}
    for stop, process in zip((7, 12), processes, strict=True):
        assert process.stdout is not None
        for line in process.stdout:
            number, digest = line.split()
            said.setdefault(number, set()).add(digest)
            if int(number) == stop:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert set(map(int, said)) >= set(range(12))
    for number, digests in said.items():
        circuit = Circuit(4).rx(0.1 * int(number), 0).cx(0, 3).cx(1, 2)
        assert digests == {transpile(CompileCache(tmp_path), circuit).digest} == {transpile(None, circuit).digest}

"""Both ends of a link in one process: what comes back, what is refused, and what is never told."""

import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict

import qloom.programs.link_messages as messages
from qloom.circuits import Circuit, Observable, Parameter
from qloom.contracts import Answer, Device, Expansion, Stage, StageContext
from qloom.convert import read_circuit
from qloom.devices.sim import create
from qloom.errors import (
    InvalidSetting,
    InvalidTask,
    Misuse,
    QloomError,
    StageFailed,
    Unavailable,
    UnknownName,
    Unsupported,
    WrongState,
)
from qloom.journal import Journal
from qloom.kit.circuit_text import circuit_to_json
from qloom.mitigation.zne import Zne
from qloom.pipelines import read_pipeline
from qloom.programs.direct import DirectLane
from qloom.programs.far import FarDevice, Link
from qloom.programs.lanes import Lanes
from qloom.programs.pipelined import Pipeline
from qloom.programs.quantum import QuantumDevice
from qloom.programs.served import DeviceServer, Offer
from qloom.testing.counting_device import CountingDevice

TURN = Circuit(2).ry(Parameter("theta"), 0).cx(0, 1)
Z = {"ZI": 1.0}


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    factor: float = 2.0
    wrong: str = ""


class Secret(Stage):
    """Multiplies values."""

    name: ClassVar[str] = "secret"
    options_type: ClassVar[type[Any]] = Options

    def expand(self, circuit: Circuit, options: Options, context: StageContext) -> Expansion:
        if circuit.num_qubits > 3:
            raise ValueError("four qubits are too many")
        if options.wrong == "gate":
            return Expansion((circuit.gate("ccx", 0, 1, 2),)) if circuit.num_qubits == 3 else Expansion(())
        return Expansion((circuit, circuit), {"sauce": "the-sauce"})

    def combine(self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: Options, context: StageContext) -> Answer:
        context.notes["sauce"] = recipe.get("sauce")
        if options.wrong == "combine":
            raise ZeroDivisionError("no way to combine")
        values = [answer.values for answer in answers if answer.values is not None]
        return Answer(options.factor * np.mean(values, axis=0), answers[0].standard_errors)


STAGES: dict[str, Stage] = {"secret": Secret(), "zne": Zne()}


@dataclass
class Ends:
    """A device server in a thread, and what a program has of it."""

    device: FarDevice
    link: Link
    channel: socket.socket
    server: threading.Thread
    program: Journal
    sealed: Journal
    direct: QuantumDevice

    def send(self, content: bytes) -> Any:
        """Send bytes as a frame and return the reply."""
        self.channel.sendall(struct.pack("<I", len(content)) + content)
        return self.reply()

    def reply(self) -> Any:
        head = self.channel.recv(4, socket.MSG_WAITALL)
        return msgspec.msgpack.decode(self.channel.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL))


def ends_of(tmp_path: Path, pipeline: object, inner: Device | None = None, attempt: int = 1) -> Ends:
    ours, theirs = socket.socketpair()
    program = Journal.open(tmp_path / "program", job_id="job", attempt=attempt, seed=3)
    sealed = Journal.open(tmp_path / "sealed", job_id="job", attempt=attempt, seed=3, writer="devices")
    chain = Pipeline(read_pipeline(pipeline), STAGES.__getitem__)
    device = inner or create("", threads=1)
    offer = Offer(("sim",), lambda _: device, chain, frozenset({"secret"}), "1.2")
    served = DeviceServer(theirs, offer, sealed, sealed)

    def serve() -> None:
        with theirs:
            served.serve()

    server = threading.Thread(target=serve)
    server.start()
    link = Link(ours)
    far = FarDevice(link, "sim", lanes=Lanes(program.lane).current, intake=read_circuit, recorder=program)
    return Ends(far, link, ours, server, program, sealed, QuantumDevice(device, intake=read_circuit, pipeline=chain))


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    found = ends_of(tmp_path, ["secret"])
    yield found
    end(found)


def end(found: Ends) -> None:
    found.channel.close()
    found.server.join(10)
    assert not found.server.is_alive()
    found.program.close()
    found.sealed.close()


def ask(task: str, **changes: Any) -> dict[str, Any]:
    parameters = np.zeros(1).tobytes()
    fields = {
        "what": "ask",
        "number": 9,
        "task": task,
        "kind": "estimate",
        "lane": "main",
        "ordinal": 7,
        "parameters": parameters,
    }
    return fields | {"sets": 1, "shots": None, "seed": 1} | changes


# ---- what comes back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [None, 100])
def test_values_are_those_of_the_pipeline_in_this_process(ends: Ends, shots: int | None) -> None:
    sets = [[0.0], [0.25], [0.5], [1.0]]
    far = ends.device.prepare(TURN, [Z, {"XX": 0.5}]).estimate(sets, shots, seed=11)
    near = ends.direct.prepare(TURN, [Z, {"XX": 0.5}]).estimate(sets, shots, seed=11)
    assert np.array_equal(far.values, near.values)
    assert np.array_equal(far.standard_errors, near.standard_errors)
    assert far.engine[:3] == near.engine[:3]


def test_gradients_options_and_precision_go_through(ends: Ends) -> None:
    task, near = ends.device.prepare(TURN, Z), ends.direct.prepare(TURN, Z)
    assert np.allclose(task.gradient([0.4]).gradients, near.gradient([0.4]).gradients, atol=1e-12)
    options = {"secret": {"factor": 5.0}}
    assert task.estimate([0.4], stage_options=options).value == near.estimate([0.4], stage_options=options).value
    assert 0 < task.estimate([0.4], precision=0.05).standard_error <= 0.05


def test_a_replay_needs_no_server(tmp_path: Path) -> None:
    first = ends_of(tmp_path, ["secret"])
    value = first.device.prepare(TURN, Z).estimate([0.4], 100).value
    end(first)
    second = ends_of(tmp_path, ["secret"], attempt=2)
    task = second.device.prepare(TURN, Z)
    second.channel.shutdown(socket.SHUT_RDWR)
    assert task.estimate([0.4], 100).value == value
    with pytest.raises(Unavailable, match="device server of this job has ended; resume the job"):
        task.estimate([0.4], 100)
    end(second)


def test_what_the_server_had_recorded_is_not_computed_again(tmp_path: Path) -> None:
    counting = CountingDevice(tmp_path / "calls.log")
    first = ends_of(tmp_path, ["secret"], counting)
    value = first.device.prepare(TURN, Z).estimate([0.4], 100).value
    end(first)
    (tmp_path / "program" / "journal" / "1-program.seg").unlink()  # it never came to know
    second = ends_of(tmp_path, ["secret"], counting, attempt=2)
    assert second.device.prepare(TURN, Z).estimate([0.4], 100).value == value
    assert counting.calls() == 1
    assert (second.sealed.executed, second.sealed.replayed) == (0, 1)
    end(second)


def test_tasks_that_nobody_holds_are_dropped_and_the_others_stay(ends: Ends) -> None:
    kept, again = ends.device.prepare(TURN, Z), ends.device.prepare(TURN, Z)
    assert kept.digest == again.digest
    del again
    assert ends.device.spec().num_qubits > 2  # a request, which tells what is dropped
    assert kept.estimate([0.0]).value == 2.0
    task = kept.digest
    del kept
    ends.device.check(TURN)
    assert "no prepared task" in ends.send(msgspec.msgpack.encode(ask(task)))[2][1]


# ---- what is never told --------------------------------------------------------------------------------------------------


def test_of_a_sealed_stage_only_its_name_is_told(ends: Ends, tmp_path: Path) -> None:
    result = ends.device.prepare(TURN, Z).estimate([0.4])
    assert list(result.stages) == [{"name": "secret", "sealed": True}]
    assert b"the-sauce" not in (tmp_path / "program/journal/1-program.seg").read_bytes()
    ends.device.finish()
    assert b"sealed" in (tmp_path / "program/journal/1-program.seg").read_bytes()


@pytest.mark.parametrize(("pipeline", "told"), [(["zne", "secret"], False), (["secret", "zne"], True)])
def test_what_stages_nearer_the_device_note_is_withheld(tmp_path: Path, pipeline: list[str], *, told: bool) -> None:
    ends = ends_of(tmp_path, pipeline)
    zne = ends.device.prepare(TURN, Z).estimate([0.4]).stages["zne"]
    assert ("scales" in dir(zne)) is told
    assert told or zne["withheld"] is True
    end(ends)


def test_of_a_failure_its_own_message_is_told_and_no_traceback(ends: Ends) -> None:
    task = ends.device.prepare(TURN, Z)
    with pytest.raises(StageFailed) as failure:
        task.estimate([0.4], stage_options={"secret": {"wrong": "combine"}})
    assert str(failure.value) == "sealed stage secret failed: ZeroDivisionError: no way to combine"
    assert (failure.value.stage, failure.value.__cause__) == ("secret", None)
    with pytest.raises(StageFailed, match=r"^sealed stage secret failed: ValueError: four qubits are too many$"):
        ends.device.prepare(Circuit(4).h(0), {"ZIII": 1.0})


def test_a_failure_that_is_skipped_is_told_the_same_way(tmp_path: Path) -> None:
    ends = ends_of(tmp_path, [{"stage": "secret", "wrong": "combine", "on_error": "skip"}])
    result = ends.device.prepare(TURN, Z).estimate([0.0])
    assert result.value == 1.0
    assert result.stages["secret"].error == "sealed stage secret failed: ZeroDivisionError: no way to combine"
    end(ends)


class Narrow(CountingDevice):
    """Refuses three-qubit gates, by name."""

    def prepare(self, circuits: Any, observables: Any = None, *, engine: Any = None) -> Any:
        if any("ccx" in circuit.instruction_names for circuit in circuits):
            raise Unsupported("ccx is no gate of mine")
        return super().prepare(circuits, observables, engine=engine)


def test_why_a_device_refuses_what_was_expanded_is_not_told(tmp_path: Path) -> None:
    ends = ends_of(tmp_path, [{"stage": "secret", "wrong": "gate"}], Narrow(tmp_path / "calls.log"))
    with pytest.raises(
        Unsupported, match="does not take what the stages made of the circuit, for reasons in the host's log"
    ) as no:
        ends.device.prepare(Circuit(3).h(0), {"ZII": 1.0})
    assert "ccx" not in str(no.value)
    end(ends)


class Broken(CountingDevice):
    """Fails, and says too much."""

    def prepare(self, circuits: Any, observables: Any = None, *, engine: Any = None) -> Any:
        raise KeyError("the-sauce")


def test_an_error_that_nobody_foresaw_is_told_by_its_kind(tmp_path: Path) -> None:
    ends = ends_of(tmp_path, ["secret"], Broken(tmp_path / "calls.log"))
    with pytest.raises(QloomError, match=r"sealed stage secret failed \(KeyError\); the host's log says why") as failure:
        ends.device.prepare(TURN, Z)
    assert "the-sauce" not in str(failure.value)
    end(ends)


# ---- what is refused -----------------------------------------------------------------------------------------------------


def test_what_a_user_gets_wrong_is_told_as_without_a_link(ends: Ends) -> None:
    task = ends.device.prepare(TURN, Z)
    with pytest.raises(UnknownName, match="did you mean 'factor'"):
        task.estimate([0.4], stage_options={"secret": {"factr": 1.0}})
    with pytest.raises(InvalidSetting, match="option factor"):
        task.estimate([0.4], stage_options={"secret": {"factor": "many"}})
    with pytest.raises(InvalidTask, match="the circuit has 1 parameters"):
        task.estimate([0.4, 0.5])
    with pytest.raises(InvalidTask, match="without observables"):
        ends.device.prepare(TURN.measure(0, 0)).estimate([0.4])
    with pytest.raises(Unsupported, match="measurements all stand at its end"):
        ends.device.prepare(Circuit(1).measure(0, 0).x(0))


WRONG: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "cannot read this request"),
    "no MessagePack": (b"\xc1\xff", "cannot read this request"),
    "a pickle": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "cannot read this request"),
    "a list": (msgspec.msgpack.encode([1, 2]), "cannot read this request"),
    "another method": (msgspec.msgpack.encode({"what": "open_stage", "number": 1, "name": "secret"}), "open_stage"),
    "a surplus field": (msgspec.msgpack.encode({"what": "spec", "number": 1, "device": "sim", "x": 1}), "unknown field `x`"),
    "another device": (
        msgspec.msgpack.encode({"what": "spec", "number": 1, "device": "python:os:getcwd"}),
        "no device of this job",
    ),
    "lists in lists": (b"\x82\xa4what\xa5check\xa8circuits" + b"\x91" * 100_000, "cannot read this request"),
    "no circuit": (
        msgspec.msgpack.encode({"what": "prepare", "number": 1, "device": "sim", "circuits": [7], "observables": []}),
        "no circuit as qloom keeps it",
    ),
    "too many qubits": (
        msgspec.msgpack.encode(
            {"what": "check", "number": 1, "device": "sim", "circuits": [circuit_to_json(Circuit(1)) | {"qubits": 10**12}]}
        ),
        "more than 100000 qubits",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_request_that_is_none_is_refused_and_the_next_one_answered(ends: Ends, case: str) -> None:
    content, why = WRONG[case]
    _, answer, error = ends.send(content)
    assert answer is None
    assert why in error[1], error
    assert ends.send(msgspec.msgpack.encode({"what": "spec", "number": 2, "device": "sim"}))[1]["name"] == "sim"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "expand"},
        {"parameters": b"\0" * 7},
        {"sets": 2},
        {"sets": -1},
        {"shots": 0},
        {"seed": -1},
        {"ordinal": -1},
        {"lane": "x" * 1000},
        {"stage_options": [1]},
        {"stage_options": {"zne": {}}},
        {"parameters": np.array([np.nan]).tobytes()},
        {"task": "another"},
    ],
)
def test_a_question_with_a_wrong_field_is_refused(ends: Ends, changes: dict[str, Any]) -> None:
    task = ends.device.prepare(TURN, Z)
    _, answer, error = ends.send(msgspec.msgpack.encode(ask(task.digest) | changes))
    assert (answer, error[0] in ("InvalidTask", "UnknownName")) == (None, True), error
    assert ends.send(msgspec.msgpack.encode(ask(task.digest, ordinal=8)))[2] is None


def test_a_place_is_asked_once(ends: Ends) -> None:
    task = ends.device.prepare(TURN, Z)
    assert ends.send(msgspec.msgpack.encode(ask(task.digest)))[2] is None
    for ordinal in (7, 6):
        assert "was asked already" in ends.send(msgspec.msgpack.encode(ask(task.digest, ordinal=ordinal)))[2][1]


def test_a_frame_that_is_too_long_closes_the_link_after_a_word_why(ends: Ends) -> None:
    ends.channel.sendall(struct.pack("<I", messages.LARGEST_REQUEST + 1))
    assert "is longer than the" in ends.reply()[2][1]
    assert ends.channel.recv(1) == b""


def test_a_link_is_the_process_that_opened_it(ends: Ends) -> None:
    code = os.fork()
    if code == 0:
        try:
            ends.device.spec()
        except WrongState:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(code, 0)[1]) == 0
    assert ends.device.spec().name == "sim"


def test_outside_of_a_job_it_is_refused(ends: Ends) -> None:
    lane = DirectLane(1)
    device = FarDevice(ends.link, "sim", lanes=lambda: lane, intake=read_circuit, recorder=ends.program)
    with pytest.raises(Misuse, match="in jobs only; submit the program"):
        device.prepare(TURN, Observable(Z)).estimate([0.4])


def test_a_call_that_is_broken_off_leaves_no_answer_for_the_next(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ends.device.prepare(TURN, Z)
    with monkeypatch.context() as patch:
        patch.setattr(ends.link._frames, "receive", partial(_raise, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            task.estimate([0.4])
    with pytest.raises(Unavailable, match="out of step"):
        task.estimate([0.5])


def _raise(error: BaseException) -> None:
    raise error

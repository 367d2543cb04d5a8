"""Jobs with a sealed stage: what they give, what survives a kill, and what a program in a sandbox finds of the stage: nothing."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qloom
from qloom.app import application
from qloom.errors import InvalidSetting, JobInterrupted, Misuse, ProgramFailed, QloomError, UnknownName, Unsupported
from qloom.executors.local import LocalExecutor
from qloom.jobspecs import JobState
from qloom.kit.files import read_json
from qloom.kit.processes import is_running, marked
from qloom.kit.sandbox import sandbox_problem
from qloom.testing.executor_contract import once
from tests.plugins import Site
from tests.sealed import PLAIN, SAUCE, counted, install

PROBLEM = sandbox_problem()
needs_sandbox = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
LIMIT_S = 60

PROGRAM = """
import time
from pathlib import Path

import qloom
from qloom.circuits import Parameter

TURN = qloom.Circuit(1).ry(Parameter("theta"), 0)


@qloom.program(seed=5, pipeline=["secret"])
def descend(ctx: qloom.Context, rounds: int = 3, wait: bool = False, factor: float = 2.0) -> dict:
    task = ctx.device.prepare(TURN, {"Z": 1.0})
    options = {"secret": {"factor": factor}}
    values = [task.estimate([0.3 * number], 100, stage_options=options).value for number in range(rounds)]
    if wait and ctx.attempt == 1:
        print("waiting")
        time.sleep(60)
    stages = [dict(one) for one in task.estimate([0.0]).stages]
    return {"values": values, "stages": stages}


@qloom.program(pipeline=["secret"])
def fails(ctx: qloom.Context) -> dict:
    try:
        ctx.device.prepare(TURN, {"Z": 1.0}).estimate([0.1], stage_options={"secret": {"factor": 13.0}})
    except qloom.errors.StageFailed as error:
        import traceback
        return {"text": str(error), "trace": "".join(traceback.format_exception(error))}
    return {}


def mine():
    return None
"""


@pytest.fixture
def host(own_home: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a sealed stage, a device that bills and one that counts, each in this folder."""
    monkeypatch.setenv("QLOOM_SEALED_STAGES", str(install(tmp_path / "sealed")))
    monkeypatch.setenv("QLOOM_TEST_FOLDER", str(tmp_path))
    site.install(
        "counting",
        devices={"billing": "qloom.testing.billing_device:create", "counting": "qloom.testing.counting_device:create"},
    )
    application.cache_clear()
    return tmp_path


@pytest.fixture
def programs(host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (host / "source").mkdir()
    (host / "source" / "sealed_programs.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(host / "source")
    import sealed_programs  # type: ignore[import-not-found]

    yield sealed_programs
    sys.modules.pop("sealed_programs")


SANDBOXED = pytest.mark.parametrize("sandbox", [False, pytest.param(True, marks=needs_sandbox)])

# ---- what they give ------------------------------------------------------------------------------------------------------


@SANDBOXED
def test_a_program_gets_values_and_nothing_else_of_the_stage(host: Path, programs: Any, *, sandbox: bool) -> None:
    job = programs.descend.with_options(sandbox=sandbox, device=f"counting:{host}/calls.log").submit(rounds=2)
    result = job.result(timeout_s=LIMIT_S)
    assert result["values"][0] == 2.0
    assert result["stages"] == [{"name": "secret", "sealed": True}]
    assert counted(host, "calls.log") == 1 + 3 * 2  # a calibration, and two rounds for each question
    warned = "without --sandbox the code of sealed stage secret can be read by this program" in job.details()["problems"]
    assert warned is not sandbox
    shown = [path for path in job.folder.path.rglob("*") if path.is_file() and not path.is_relative_to(job.folder.sealed)]
    assert not [path for path in shown if SAUCE.encode() in path.read_bytes()]
    journal = b"".join(path.read_bytes() for path in (job.folder.sealed / "journal").glob("*.seg"))
    assert SAUCE.encode() in journal
    assert job.folder.sealed.stat().st_mode & 0o777 == 0o700
    assert once("the end of the server", lambda: not any(map(is_running, marked(job.id))))


@SANDBOXED
def test_a_failure_is_told_in_its_own_words_alone(programs: Any, *, sandbox: bool) -> None:
    told = programs.fails.with_options(sandbox=sandbox).submit().result(timeout_s=LIMIT_S)
    assert told["text"] == "sealed stage secret failed: ZeroDivisionError: thirteen is unlucky"
    assert "host_stages" not in told["trace"]


def test_a_failure_that_ends_the_program_ends_the_job_with_its_own_words(programs: Any) -> None:
    with pytest.raises(QloomError, match="sealed stage secret failed: ZeroDivisionError: thirteen is unlucky") as failure:
        programs.descend.submit(factor=13.0).result(timeout_s=LIMIT_S)
    assert not isinstance(failure.value, ProgramFailed) or "host_stages" not in "".join(failure.value.frames)


def test_it_starts_without_a_fork_server_even_where_one_is_ready(programs: Any) -> None:
    app = application()
    template = app.launch(programs.descend).template
    executor = app.executor("local")
    assert isinstance(executor, LocalExecutor)
    assert executor.warm_up(template, wait_s=30)
    job = programs.descend.submit(rounds=1)
    job.result(timeout_s=LIMIT_S)
    assert "fork_server" not in read_json(job.folder.processes_file(1))
    executor.close()


# ---- what survives -------------------------------------------------------------------------------------------------------


VALUES: list[float] = []
"""Of a job that nobody disturbs; the seed decides them."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("place", "victim"),
    # Behind the first round; behind the last one, before it is answered; in the next question.
    [(1, "server"), (1, "program"), (2, "server"), (2, "supervisor"), (2, "program"), (3, "supervisor")],
)
def test_whoever_is_killed_in_whichever_round_nothing_is_paid_twice(host: Path, programs: Any, place: int, victim: str) -> None:
    if not VALUES:
        VALUES[:] = programs.descend.submit().result(timeout_s=LIMIT_S)["values"]
        (host / "sealed.log").unlink()
    (host / "mine").write_text(f"{place} {victim}")
    job = programs.descend.with_options(device=f"billing:{host}/qpu").submit()
    said = "device server of this job has ended; resume the job" if victim == "server" else "INTERRUPTED"
    with pytest.raises(QloomError, match=said):
        job.result(timeout_s=LIMIT_S)
    assert job.state() is (JobState.FAILED if victim == "server" else JobState.INTERRUPTED), job.status()
    assert not (host / "mine").exists()
    assert job.resume().result(timeout_s=LIMIT_S)["values"] == VALUES
    tokens = [line.split()[0] for line in (host / "qpu" / "submissions.log").read_text().splitlines()]
    assert (len(tokens), len(set(tokens))) == (1 + 4 * 2, 1 + 4 * 2)  # a calibration, and two rounds for each question


@SANDBOXED
def test_a_suspended_job_leaves_no_server_behind_and_goes_on(host: Path, programs: Any, *, sandbox: bool) -> None:
    job = programs.descend.with_options(sandbox=sandbox, device=f"counting:{host}/calls.log").submit(wait=True)
    once("the answers", lambda: job.folder.output_file(1).exists() and "waiting" in job.folder.output_file(1).read_text())
    before = counted(host, "calls.log")
    job.suspend()
    assert once("the end of all", lambda: not any(map(is_running, marked(job.id))))
    assert len(job.resume().result(timeout_s=LIMIT_S)["values"]) == 3
    assert counted(host, "calls.log") == before + 2  # the question that was left: two rounds, no calibration


# ---- what is refused -----------------------------------------------------------------------------------------------------


def test_a_plain_call_has_no_sealed_stage(programs: Any) -> None:
    with pytest.raises(Misuse, match=r"stage secret is sealed: .* submit the program"):
        programs.descend()
    with pytest.raises(Misuse, match="stage secret is sealed"):
        qloom.device("sim", pipeline=["secret"])


def test_options_are_checked_before_anything_is_written(programs: Any) -> None:
    for pipeline, kind in (
        ([{"stage": "secret", "factr": 1}], UnknownName),
        ([{"stage": "secret", "factor": "x"}], InvalidSetting),
    ):
        with pytest.raises(kind, match="secret"):
            programs.descend.with_options(pipeline=pipeline).submit()
    assert list(application().store.jobs()) == []


def test_devices_of_the_programs_own_code_are_refused(programs: Any) -> None:
    with pytest.raises(Unsupported, match="python:sealed_programs:mine is code of the program"):
        programs.descend.with_options(device="python:sealed_programs:mine").submit()


def test_an_executor_that_cannot_seal_is_refused(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        name = "open"

    monkeypatch.setattr(application(), "executor", lambda name: Open())
    with pytest.raises(Unsupported, match="executor open cannot keep a sealed stage away"):
        programs.descend.submit()


@needs_sandbox
def test_a_folder_that_sandboxes_show_is_refused(programs: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QLOOM_SEALED_STAGES", str(install(site.folder / "hosts")))
    application.cache_clear()
    with pytest.raises(InvalidSetting, match=r"is below .*, which every sandbox shows"):
        programs.descend.with_options(sandbox=True).submit()


def test_a_job_is_not_resumed_where_its_stage_is_gone(host: Path, programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "mine").write_text("1 program")
    job = programs.descend.submit()
    with pytest.raises(JobInterrupted):
        job.result(timeout_s=LIMIT_S)
    monkeypatch.delenv("QLOOM_SEALED_STAGES")
    application.cache_clear()
    with pytest.raises(UnknownName, match="needs the sealed stage secret, which this host does not have"):
        application().resume(job.folder)


def test_an_open_stage_of_the_same_name_is_refused(programs: Any, site: Site) -> None:
    site.install("twins", modules={"twins": PLAIN}, stages={"secret": "twins:Plain"})
    with pytest.raises(QloomError, match=r"registered by .*host-stages 1\.2.*twins|registered by .*twins.*host-stages"):
        programs.descend.submit()


# ---- attacks -------------------------------------------------------------------------------------------------------------

ATTACKS = r'''
import ctypes, hashlib, importlib, importlib.metadata, json, os, socket, struct, sys
from pathlib import Path

import qloom
from qloom.circuits import Parameter

LIBC = ctypes.CDLL(None, use_errno=True)
ATTACH, DETACH, NEW_USER, NEW_MOUNTS, BIND = 16, 17, 0x10000000, 0x20000, 4096


def is_there(content):  # known by its beginning and a digest: whoever searches for all of it finds himself
    return any(hashlib.sha256(part[:20]).hexdigest() == DIGEST for part in content.split(b"the-sauce-")[1:])


def read(path):
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return b""


def by_import():
    for place in (os.environ.get("QLOOM_SEALED_STAGES"), FOLDER):
        if place:
            sys.path.append(place)
    importlib.invalidate_caches()
    found = [entry.name for entry in importlib.metadata.entry_points(group="qloom.stages") if entry.name == "secret"]
    try:
        return [*found, importlib.import_module("host_stages").SAUCE[:3]]
    except ModuleNotFoundError:
        return found


def by_names():
    """Walk everything."""
    found = []
    for root, folders, files in os.walk("/" if WIDE else Path(FOLDER).parent):
        if root == "/":
            folders[:] = [name for name in folders if name not in ("proc", "sys")]
        found += [f"{root}/{name}" for name in (*folders, *files) if "host_stages" in name]
    return found


def by_reading():
    """Read all there is beside the system and the environment; the program's own source is told apart by the digest."""
    places = [JOB.parent.parent, Path(FOLDER).parent, Path.cwd()]
    places += [Path("/tmp"), Path("/run"), Path.home()] if WIDE else []
    return [str(path) for place in places for path in walk(place) if is_there(read(path))]


def walk(place):
    for root, _, files in os.walk(place):
        yield from (Path(root, name) for name in files)


def by_proc():
    """Every process that can be seen: variables, files, folders, memory."""
    found = []
    for pid in [name for name in os.listdir("/proc") if name.isdecimal()]:
        place = f"/proc/{pid}"
        if b"QLOOM_SEALED_STAGES" in read(f"{place}/environ"):
            found.append(f"{place}/environ")
        if b"qloom.entry\0devices" in read(f"{place}/cmdline"):
            found.append(f"{place}/cmdline")
        for link in ("cwd", "root"):
            if is_there(read(f"{place}/{link}{FOLDER}/host_stages.py")):
                found.append(f"{place}/{link}")
        try:
            opened = [f"{place}/fd/{name}" for name in os.listdir(f"{place}/fd")]
            found += [name for name in opened if "sealed/" in os.readlink(name)]
        except OSError:
            pass
        if b"qloom.entry" in read(f"{place}/cmdline") and memory_tells(place):
            found.append(f"{place}/mem")
    return found


def memory_tells(place):
    for row in read(f"{place}/maps").decode().splitlines():
        where, rights = row.split()[:2]
        begin, end = (int(number, 16) for number in where.split("-"))
        if rights.startswith("rw"):
            try:
                with open(f"{place}/mem", "rb", buffering=0) as memory:
                    memory.seek(begin)
                    if is_there(memory.read(end - begin)):
                        return True
            except (OSError, ValueError, OverflowError):
                continue
    return False


def by_ptrace():
    """Attach to the supervisor and to whatever is near it; a number of outside is nobody's here, or one's own."""
    own = {os.getpid(), os.getppid()}
    return [pid for pid in pids_outside() if pid not in own and attached(pid)]


def pids_outside():
    noted = json.loads((JOB / "attempts/1/processes.json").read_text()) if (JOB / "attempts/1/processes.json").exists() else {}
    status = json.loads((JOB / "status.json").read_text())
    start = status.get("pid") or noted.get("supervisor") or 0
    return [pid for pid in range(max(start, 1), start + 12)] if start else list(range(1, 64))


def attached(pid):
    if b"devices" not in read(f"/proc/{pid}/cmdline") and LIBC.kill(pid, 0) != 0:
        return False
    if LIBC.ptrace(ATTACH, pid, None, None) != 0:
        return False
    try:
        os.waitpid(pid, 0x40000000)
    except ChildProcessError:
        pass
    LIBC.ptrace(DETACH, pid, None, None)
    return b"qloom.entry" in read(f"/proc/{pid}/cmdline")


def by_job_folder():
    sealed = JOB / "sealed"
    found = [str(path) for path in walk(sealed)]
    for name in ("1.log", "journal/1-devices.seg"):
        for root in ("", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../../../../.."):
            if read(f"{root}{sealed}/{name}"):
                found.append(f"{root}{sealed}/{name}")
    return found


def by_mounts():
    """As root of a user namespace of one's own, where the kernel allows that: take away or go round what hides the folder."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = []
        try:
            LIBC.umount2(str(JOB / "sealed").encode(), 2)
            said += by_job_folder()
            if LIBC.unshare(NEW_USER | NEW_MOUNTS) == 0:
                for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
                    try:
                        Path(f"/proc/self/{name}").write_text(text)
                    except OSError:
                        pass
                LIBC.umount2(str(JOB / "sealed").encode(), 2)
                said += by_job_folder()
                os.makedirs("/tmp/beside", exist_ok=True)
                if LIBC.mount(str(JOB).encode(), b"/tmp/beside", None, BIND, None) == 0:
                    said += [str(path) for path in walk("/tmp/beside/sealed")]
        finally:
            os.write(write_end, json.dumps(said).encode())
            os._exit(0)
    os.close(write_end)
    os.waitpid(pid, 0)
    return json.loads(os.read(read_end, 65536))


def by_variables():
    return sorted(name for name in os.environ if name.startswith("QLOOM_") and name not in ("QLOOM_JOB_ID", "QLOOM_ATTEMPT"))


def by_socket(link):
    """What else does the other end of the link give?"""
    import msgspec

    channel = link._frames._channel
    tries = [b"", b"\xc1", b"\x80\x04\x8c\x05posix\x8c\x06system\x93."]
    tries += [msgspec.msgpack.encode({"what": what, "number": 1} | more) for what, more in (
        ("open", {"path": FOLDER}), ("source", {"stage": "secret"}), ("stage", {"name": "secret"}),
        ("spec", {"device": "python:os:getcwd"}), ("spec", {"device": "../../etc/passwd"}),
        ("check", {"device": "sim", "circuits": ["secret"]}),
        ("prepare", {"device": "sim", "circuits": [{"__class__": "Secret"}], "observables": []}),
        ("ask", {"task": "secret"}),
    )]
    replies = []
    for content in tries:
        channel.sendall(struct.pack("<I", len(content)) + content)
        head = channel.recv(4, socket.MSG_WAITALL)
        replies.append(channel.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL))
    channel.sendall(struct.pack("<I", 0xFFFFFFFF))
    while data := channel.recv(65536):
        replies.append(data)
    told = [reply for reply in replies if is_there(reply) or b"Traceback" in reply or b"host_stages" in reply]
    refusals = (b"InvalidTask", b"UnknownName", b"InvalidCircuit")
    answered = [reply for reply in replies if not any(kind in reply for kind in refusals)]
    return [reply.decode(errors="replace") for reply in (*told, *answered)]


@qloom.program(pipeline=["secret"])
def attack(ctx: qloom.Context, folder: str = "", digest: str = "", wide: bool = False) -> dict:
    global FOLDER, DIGEST, WIDE, JOB
    FOLDER, DIGEST, WIDE, JOB = folder, digest, wide, Path(os.environ["AMZN_BRAKET_CHECKPOINT_DIR"]).parent
    value = ctx.device.prepare(qloom.Circuit(1).ry(Parameter("a"), 0), {"Z": 1.0}).estimate([0.0]).value
    ways = (by_proc, by_ptrace, by_job_folder, by_mounts, by_variables, by_reading, by_names, by_import)
    found = {way.__name__: way() for way in ways}
    return {"value": value, "found": found | {"by_socket": by_socket(ctx.device.link)}}
'''


@pytest.fixture
def attack(host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (host / "source").mkdir()
    (host / "source" / "attacks.py").write_text(ATTACKS)
    monkeypatch.syspath_prepend(host / "source")
    import attacks  # type: ignore[import-not-found]

    yield (
        lambda **options: (
            attacks.attack.with_options(**options)
            .submit(
                folder=str(host / "sealed"), digest=hashlib.sha256(SAUCE.encode()).hexdigest(), wide=options.get("sandbox", False)
            )
            .result(timeout_s=LIMIT_S)
        )
    )
    sys.modules.pop("attacks")


@needs_sandbox
@pytest.mark.timeout(120)
def test_in_a_sandbox_no_attack_finds_anything(attack: Any) -> None:
    seen = attack(sandbox=True)
    assert seen["value"] == 2.0
    assert {way: found for way, found in seen["found"].items() if found} == {}


@pytest.mark.timeout(120)
def test_the_same_attacks_find_it_where_there_is_no_sandbox(attack: Any) -> None:
    """So that an attack that could not work cannot pass for one that was warded off."""
    found = attack(sandbox=False)["found"]
    assert set(found) - {way for way, what in found.items() if what} <= {"by_socket", "by_mounts", "by_ptrace"}
    if os.geteuid() == 0:
        assert found["by_ptrace"]
    assert found["by_socket"] == []

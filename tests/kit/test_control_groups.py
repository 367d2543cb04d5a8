"""Control groups: what the kernel says about them is read right, and a real one holds what is put into it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qloom.jobspecs import new_job_id
from qloom.kit.control_groups import ControlGroup, _place, own_groups, parse_membership, parse_mounts
from qloom.testing.executor_contract import once

MOUNTS = """\
25 30 0:22 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/pids rw,nosuid shared:9 - cgroup cgroup rw,pids
27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
28 25 0:25 /docker/abc /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
31 25 0:26 / /sys/fs/cgroup/again rw - cgroup2 cgroup2 rw
"""


def test_mounts_are_told_apart() -> None:
    assert parse_mounts(MOUNTS) == {
        "pids": ("/", Path("/sys/fs/cgroup/pids")),
        "": ("/docker/abc", Path("/sys/fs/cgroup/unified")),
    }


def test_names_may_hold_colons() -> None:
    assert parse_membership("0::/user.slice/a:b.scope") == {"": "/user.slice/a:b.scope"}


@pytest.mark.parametrize(
    ("root", "group", "place"),
    [
        ("/", "/", "/m"),
        ("/", "/user.slice", "/m/user.slice"),
        ("/docker/abc", "/docker/abc", "/m"),
        ("/docker/abc", "/docker/abc/job", "/m/job"),
        ("/docker/abc", "/docker/abcd", None),
    ],
)
def test_a_group_is_found_below_what_the_mount_shows(root: str, group: str, place: str | None) -> None:
    assert _place((root, Path("/m")), group) == (None if place is None else Path(place))


def test_only_a_group_of_the_right_name_is_taken_up_again(tmp_path: Path) -> None:
    (tmp_path / "qloom-one").mkdir()
    (tmp_path / "qloom-one" / "cgroup.procs").touch()
    assert [group.path.name for group in ControlGroup.existing("one", tmp_path / "qloom-one")] == ["qloom-one"]
    assert ControlGroup.existing("two", tmp_path / "qloom-one") == []
    assert ControlGroup.existing("none", tmp_path / "qloom-none") == []
    assert ControlGroup.existing("one", None) == []


def test_a_group_that_nobody_wrote_down_is_found_where_we_would_make_it(group: ControlGroup) -> None:
    assert [found.path for found in ControlGroup.existing(group.path.name.removeprefix("qloom-"), None)] == [group.path]


@pytest.fixture
def group() -> Iterator[ControlGroup]:
    if (group := ControlGroup.create(f"test-{new_job_id()}", most_tasks=5)) is None:
        pytest.skip("this kernel lets us make no control group")
    yield group
    group.remove()


# Waits to be put into the group, then forks as long as it may; each of the 4 forks sleeps.
FORKS = """
import os, time
input()
try:
    while os.fork(): pass
    time.sleep(60)
except BlockingIOError:
    print("full", flush=True)
input()
"""


def test_a_group_lists_and_bounds_what_is_put_into_it(group: ControlGroup) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", FORKS], stdin=pipe, stdout=pipe, start_new_session=True) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        assert group.add(one.pid)
        one.stdin.write(b"\n")
        one.stdin.flush()
        if group.bound_file.exists():
            assert one.stdout.readline() == b"full\n"
            assert len(group.pids()) == 5
        if not group.kill():
            os.killpg(one.pid, 9)
    assert once("an empty group", lambda: not group.pids())
    assert group.remove()
    assert not group.path.exists()


def test_a_group_that_is_gone_holds_nothing_and_takes_nothing(tmp_path: Path) -> None:
    gone = ControlGroup(tmp_path / "gone")
    assert (gone.pids(), gone.add(1), gone.kill(), gone.bound(3), gone.remove()) == (set(), False, False, False, True)


def test_where_no_group_can_be_made_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qloom.kit.control_groups.own_groups", lambda: [Path("/proc")])
    assert ControlGroup.create("none", most_tasks=None) is None


def test_own_groups_are_folders_we_may_write() -> None:
    assert all(path.is_dir() and os.access(path, os.W_OK) for path in own_groups())

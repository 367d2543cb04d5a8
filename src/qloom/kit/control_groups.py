"""A control group of one job, where the kernel lets us make one: nobody leaves it by forking, and it bounds a fork bomb.

Tried in this order: version 2 (delegated to the user, or as root), then the `pids` controller of version 1. Where neither
can be written, processes are found by /proc alone. Memory is always watched through /proc: the limit then names what was
seen, and means the same with and without control groups.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/pids.html
"""

from __future__ import annotations

import os
import time
from pathlib import Path

NAME_PREFIX = "qloom-"


class ControlGroup:
    """One group.

    Attributes:
        path: its folder.

    >>> from pathlib import Path
    >>> ControlGroup(Path("/nowhere")).pids()
    set()
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, name: str, *, most_tasks: int | None) -> ControlGroup | None:
        """Make a group below our own and return it, or None where that is not allowed.

        Args:
            name: of the group; `qloom-` is put before it.
            most_tasks: how many tasks (threads count) the kernel lets it have; None for no bound.
        """
        made = [group for parent in own_groups() if (group := cls._make(parent / (NAME_PREFIX + name))) is not None]
        best = next((group for group in made if group.bound_file.exists()), made[0] if made else None)
        for other in made:
            if other is not best:
                other.remove()
        if best is not None and most_tasks is not None:
            best.bound(most_tasks)
        return best

    @classmethod
    def _make(cls, path: Path) -> ControlGroup | None:
        try:
            path.mkdir(exist_ok=True)
        except OSError:
            return None
        return cls(path)

    @property
    def bound_file(self) -> Path:
        """The kernel's bound on tasks; not there where the group only lists and kills."""
        return self.path / "pids.max"

    def bound(self, most_tasks: int | None) -> bool:
        """Bound the group's tasks, None for no bound; False where the kernel cannot."""
        try:
            self.bound_file.write_text("max" if most_tasks is None else str(most_tasks))
        except OSError:
            return False
        return True

    @classmethod
    def existing(cls, name: str, noted: Path | None) -> list[ControlGroup]:
        """Return the groups of that name that are there.

        Args:
            name: as `create` was given it.
            noted: where an earlier process says that its group is; it counts only if it is called so.
        """
        places = {parent / (NAME_PREFIX + name) for parent in own_groups()} | ({noted} if noted else set())
        return [cls(path) for path in places if path.name == NAME_PREFIX + name and (path / "cgroup.procs").exists()]

    def add(self, pid: int) -> bool:
        """Move a process into the group; what it forks from now on is in it too."""
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def leave(self) -> bool:
        """Move this process back into the group above; False where that is not allowed."""
        return ControlGroup(self.path.parent).add(os.getpid())

    def pids(self) -> set[int]:
        """Return the processes in the group."""
        try:
            return {int(row) for row in (self.path / "cgroup.procs").read_text().split()}
        except OSError:
            return set()

    def kill(self) -> bool:
        """Kill everything in the group in one step; False where the kernel cannot (version 1, or before 5.14)."""
        try:
            (self.path / "cgroup.kill").write_text("1")
        except OSError:
            return False
        return True

    def remove(self, *, limit_s: float = 0.5) -> bool:
        """Remove the group; its processes have to be gone, and the kernel takes a moment to believe it."""
        until = time.monotonic() + limit_s
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                if time.monotonic() > until:
                    return False
                time.sleep(0.005)
            else:
                return True


def own_groups() -> list[Path]:
    """Return the folders of the groups this process is in, where it may make groups: version 2 first."""
    try:
        mounts = parse_mounts(Path("/proc/self/mountinfo").read_text())
        groups = parse_membership(Path("/proc/self/cgroup").read_text())
    except OSError:
        return []
    places = [_place(mounts[name], groups[name]) for name in ("", "pids") if name in mounts and name in groups]
    return [place for place in places if place is not None and os.access(place, os.W_OK)]


def parse_mounts(text: str) -> dict[str, tuple[str, Path]]:
    """Return controller -> (root, mount point) from /proc/self/mountinfo; version 2 is the controller ''.

    >>> parse_mounts("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw")
    {'': ('/', PosixPath('/sys/fs/cgroup'))}
    """
    mounts: dict[str, tuple[str, Path]] = {}
    for row in text.splitlines():
        before, _, after = row.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            mounts.setdefault("", (fields[3], Path(fields[4])))
        elif kind[0] == "cgroup" and "pids" in kind[2].split(","):
            mounts.setdefault("pids", (fields[3], Path(fields[4])))
    return mounts


def parse_membership(text: str) -> dict[str, str]:
    r"""Return controller -> path of our group from /proc/self/cgroup; version 2 is the controller ''.

    >>> parse_membership("8:pids:/user.slice\n4:cpu,cpuacct:/\n0::/user.slice/one.scope")
    {'pids': '/user.slice', 'cpu': '/', 'cpuacct': '/', '': '/user.slice/one.scope'}
    """
    groups: dict[str, str] = {}
    for row in text.splitlines():
        _, controllers, path = row.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _place(mount: tuple[str, Path], group: str) -> Path | None:
    """Return the folder of a group; inside a container the mount shows only what is below its root."""
    root, point = mount
    if root not in ("/", group) and not group.startswith(root + "/"):
        return None
    return point / group.removeprefix(root if root != "/" else "").lstrip("/")

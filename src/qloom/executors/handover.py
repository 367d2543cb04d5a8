"""What a submitter and the processes it starts agree on: variables, requests, messages, and what is kept from the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qloom.kit.braket_environment import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPERVISES = "QLOOM_SUPERVISES"
"""Variable of a supervisor: the job's id, or `MANY`. A signal is sent only to a process that carries it."""
MANY = "many"
"""What a fork server carries instead of an id."""
LEASE = "QLOOM_LEASE"
"""Variable of a supervisor: the descriptor of the job's lease."""
SUBMITTER = "QLOOM_SUBMITTER"
"""Variable of a supervisor: `pid:start time` of the process that the job must not outlive; not there when detached."""

LINK = "QLOOM_LINK"
"""Variable of a program whose devices are in a device server: the descriptor of its end of the link."""
LINK_DESCRIPTOR = 3
"""That descriptor, in the program and in the server."""

CANCEL = "cancel"
"""Name of the request, and of its file in the job's folder: end the job for good."""
SUSPEND = "suspend"
"""The same: end its processes, so that it can be resumed."""

CHANNEL = 3
"""Descriptor of a fork server's socket (SOCK_SEQPACKET)."""
READY = b"ready"
"""The message of a fork server that takes attempts; any other says why it does not."""
LARGEST_MESSAGE = 1 << 20

_INTERNAL = (SUPERVISES, LEASE, SUBMITTER, LINK, "QLOOM_JOB_ID", "QLOOM_ATTEMPT")


def without_internals(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what belongs to another job: a program may submit jobs itself.

    >>> without_internals({"HOME": "/root", "QLOOM_JOB_ID": "x", "AMZN_BRAKET_JOB_NAME": "x", "QLOOM_HOME": "/q"})
    {'HOME': '/root', 'QLOOM_HOME': '/q'}
    """
    return {name: value for name, value in environment.items() if name not in _INTERNAL and not name.startswith(PREFIX)}

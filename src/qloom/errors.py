"""Every error that qloom raises, in one tree.

```
QloomError                      retryable = False, exit_code = 1
├── Misuse                      the call itself cannot work; exit_code = 2
│   ├── InvalidCircuit          text or object that is no circuit; carries line and column where there are some
│   ├── InvalidObservable       a Pauli sum that makes no sense
│   ├── InvalidTask             shots, parameters or observables a quantum task cannot have
│   ├── InvalidParameters       arguments of a program that do not fit its schema
│   ├── InvalidProgram          code that cannot be shipped as a program
│   ├── InvalidSetting          an option, environment variable or resource with a value it cannot have
│   ├── Unsupported             a device cannot do what the task asks for, every reason named
│   ├── UnknownName             no device, executor, stage, program, gate, option or job of that name
│   ├── MissingExtra            a part of qloom whose packages are not installed
│   ├── BrokenPlugin            an installed device, stage or executor that cannot be used
│   └── WrongState              the job is not in a state that allows this
├── ProgramFailed               the user's program raised; carries its type, message and frames
├── LimitExceeded               a job went over one of its resources
├── NoResult                    a program ended without a result, or with one that cannot be kept
├── JobCancelled, JobInterrupted   why a job has no result (yet)
├── MapFailed                   some jobs of a map have no result; carries errors and the results of the others
├── TimedOut                    a wait reached its limit
├── Divergence                  a replayed program asked another question than the one recorded
├── CorruptRecord               stored bytes that fail their checksum or cannot be read
├── StorageFailed               the disk is full, read-only or gone
├── Rejected                    a device or executor refused: nothing was submitted
└── Unavailable                 a device or executor did not answer: nobody knows; retryable = True
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class QloomError(Exception):
    """Base of everything that qloom raises.

    Attributes:
        retryable: True where the same call may work later.
        exit_code: what the command line exits with: 2 for misuse, 1 for a failure.

    >>> issubclass(Unavailable, QloomError), Unavailable.retryable, Misuse.exit_code
    (True, True, 2)
    """

    retryable: bool = False
    exit_code: int = 1


class Misuse(QloomError):
    """The call itself cannot work, whatever the state of the world."""

    exit_code = 2


class InvalidCircuit(Misuse):
    """Text or an object that is no circuit, or one that the circuit form cannot hold.

    Attributes:
        line: line in the source text, first line is 1; None where there is no text.
        column: column in that line, first column is 1; None where there is no text.

    >>> str(InvalidCircuit("unknown gate 'foo'", line=3, column=7))
    "line 3, column 7: unknown gate 'foo'"
    """

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.line = line
        self.column = column
        where = "" if line is None else f"line {line}, column {column}: "
        super().__init__(where + message)


class InvalidObservable(Misuse):
    """A Pauli sum that makes no sense: an unknown letter, unequal lengths, a coefficient that is not a finite real."""


class InvalidTask(Misuse):
    """Shots, parameters or observables that a quantum task cannot have."""


class InvalidParameters(Misuse):
    """Arguments of a program that do not fit its schema; every one that does not fit is named."""


class InvalidProgram(Misuse):
    """Code that cannot be shipped as a program, the variable or module named."""


class InvalidSetting(Misuse):
    """An option, environment variable or resource with a value it cannot have."""


class Unsupported(Misuse):
    """A device cannot do what the task asks for; every reason is named."""


class MissingExtra(Misuse):
    """A part of qloom whose packages are not installed; the message holds the line that installs them."""


class BrokenPlugin(Misuse):
    """An installed device, stage or executor that cannot be used: loading it fails, it is no such thing, or two share a name.

    Attributes:
        why: the reason alone, for lists that name the plugin anyway.

    >>> BrokenPlugin("stage x of lab 1.0 cannot be used: it raises", why="it raises").why
    'it raises'
    """

    def __init__(self, message: str, *, why: str = "") -> None:
        super().__init__(message)
        self.why = why or message


class WrongState(Misuse):
    """The job is not in a state that allows this."""


class UnknownName(Misuse):
    """No device, executor, stage, program, gate, option or job of that name."""

    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error with the nearest known names, or with all of them when none is near.

        >>> str(UnknownName.among("device", "simm", ["sim", "braket"]))
        "no device called 'simm'; did you mean 'sim'? Known: braket, sim"
        """
        from difflib import get_close_matches  # late, for a light `import qloom`

        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        return cls(f"no {kind} called {name!r};{hint} {f'Known: {shown}' if names else 'There are none.'}")


class ProgramFailed(QloomError):
    """The user's program raised.

    Attributes:
        error_type: the name of the exception's class in the program.
        frames: the user's own frames, outermost first, as text lines `file:line in function: code`.
    """

    def __init__(self, message: str, *, error_type: str = "", frames: Iterable[str] = ()) -> None:
        self.error_type = error_type
        self.frames = tuple(frames)
        super().__init__(message)


class LimitExceeded(QloomError):
    """A job went over one of its resources; the message names the resource, its limit and what was seen."""


class NoResult(QloomError):
    """A program ended without a result, or with one that is neither JSON nor arrays."""


class JobCancelled(QloomError):
    """The job was cancelled and has no result."""


class MapFailed(QloomError):
    """Some jobs of a map have no result.

    Attributes:
        failures: index of the job in the map -> its error.
        results: index -> result, of those that have one.
    """

    def __init__(self, message: str, *, failures: Mapping[int, QloomError], results: Mapping[int, Any]) -> None:
        super().__init__(message)
        self.failures = dict(failures)
        self.results = dict(results)


class JobInterrupted(QloomError):
    """The job's processes are gone and it can be resumed.

    Attributes:
        reason: `killed`, `lost`, `suspended` or `walltime`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class TimedOut(QloomError):
    """A wait reached its limit; what was waited for goes on."""

    retryable = True


class Divergence(QloomError):
    """A replayed program asked another question than the one recorded.

    Attributes:
        field: the first field that differs, such as `parameters` or `shots`.
    """

    def __init__(self, message: str, *, field: str) -> None:
        self.field = field
        super().__init__(message)


class CorruptRecord(QloomError):
    """Stored bytes that fail their checksum or cannot be read; the file and the offset are named."""


class StorageFailed(QloomError):
    """The disk is full, read-only or gone; what was written before is intact."""

    retryable = True


class Rejected(QloomError):
    """A device or executor refused: nothing was submitted, nothing will be billed."""


class Unavailable(QloomError):
    """A device or executor did not answer: nobody knows; the same call may work later."""

    retryable = True


class StageFailed(QloomError):
    """A stage of a pipeline failed: its name, where it stands, the circuit and the cause are in the message.

    Attributes:
        stage: the stage's name.
        retryable: whether the pipeline says that such a failure is to be tried again.

    >>> StageFailed("stage zne (2 of 2 in ddd > zne) failed on circuit 0: NaN", stage="zne").stage
    'zne'
    """

    def __init__(self, message: str, *, stage: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.stage = stage
        self.retryable = retryable

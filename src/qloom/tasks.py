"""Quantum tasks: what may be asked of a prepared circuit, and how parameters and shots are read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidTask, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    ParameterValues = Mapping[str, Any] | Sequence[float] | Sequence[Sequence[float]] | FloatArray | None


LARGEST_SEED = (1 << 64) - 1


class TaskState(StrEnum):
    """States of a quantum task: Amazon Braket's."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED)


class Question(NamedTuple):
    """One quantum call: what is asked of a prepared structure. Its fields are what a replay compares, in this order.

    Attributes:
        kind: `sample`, `estimate` or `gradient`.
        prepared: digest of the prepared structure, its observables and the device's options.
        parameters: float64 values, little-endian bytes, sets x parameters.
        sets: number of parameter sets.
        shots: None for exact values.
        seed: the seed the user gave; None where the job's seed decides.
        options: pipeline options, JSON text.
    """

    kind: str
    prepared: str
    parameters: bytes
    sets: int
    shots: int | None
    seed: int | None
    options: str = ""

    def digest(self) -> bytes:
        """Return 16 bytes that are equal for equal questions on every machine."""
        import hashlib  # late: it loads OpenSSL

        head = f"{self.kind}|{self.prepared}|{self.sets}|{self.shots}|{self.seed}|{self.options}|"
        return hashlib.blake2b(head.encode() + self.parameters, digest_size=16).digest()


class Compiled(NamedTuple):
    """What a device's compiler made of circuits: what a resumed job compares, so that it can say that the compiler changed.

    Attributes:
        source: digest of what was prepared, before any compiler: circuits, observables, options of the device.
        digest: of what the compiler made of it; part of the prepared digest.
        compiler: its name, release and options, for people.
    """

    source: str
    digest: str
    compiler: str


def compiled_otherwise(before: Compiled, now: Compiled) -> str:
    """Say, for people, how a compiled circuit that was recorded differs from the one of now.

    >>> compiled_otherwise(Compiled("s", "a", "qiskit 2.6.2 (level 1)"), Compiled("s", "b", "qiskit 2.7.0 (level 1)"))
    'the compiled circuit differs: qiskit 2.6.2 (level 1) then, qiskit 2.7.0 (level 1) now'
    """
    if before.compiler != now.compiler:
        return f"the compiled circuit differs: {before.compiler} then, {now.compiler} now"
    return (
        f"the compiled circuit differs, though {now.compiler} made both: the entry of the compile cache that was used is gone or "
        "was replaced, or the device's gates or connections changed"
    )


def read_shots(shots: object) -> int:
    """Return the shots as an int.

    Raises:
        InvalidTask: not an integer from 1 up.

    >>> read_shots(0)
    Traceback (most recent call last):
    qloom.errors.InvalidTask: shots must be an integer from 1 up, got 0
    """
    if isinstance(shots, bool) or not hasattr(shots, "__index__") or (value := shots.__index__()) < 1:
        raise InvalidTask(f"shots must be an integer from 1 up, got {shots!r}")
    return int(value)


def read_seed(seed: object) -> int:
    """Return a task's seed as an int.

    Raises:
        InvalidTask: not an integer from 0 to 2**64 - 1.

    >>> read_seed(7)
    7
    """
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= (value := seed.__index__()) <= LARGEST_SEED:
        raise InvalidTask(f"a seed must be an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(value)


def read_parameters(names: Sequence[str], values: ParameterValues) -> FloatArray:
    """Return parameter values as a contiguous float64 array of shape (sets, parameters).

    Args:
        names: the circuit's parameters, in order.
        values: None for a circuit without parameters; a mapping name -> number (one set) or name -> 1-d array (many
            sets); or an array of shape (parameters,) or (sets, parameters), columns in the order of `names`.

    Raises:
        InvalidTask: values missing, surplus, not numbers, NaN or infinite; each is named.
        UnknownName: a name that the circuit does not have, with the nearest ones.

    >>> read_parameters(["a", "b"], {"b": 2.0, "a": [1.0, 3.0]}).tolist()
    [[1.0, 2.0], [3.0, 2.0]]
    """
    import numpy as np

    if isinstance(values, Mapping):
        array = _from_mapping(names, values)
    elif values is None:
        array = np.zeros((1, 0))
    else:
        array = _as_floats(values, "parameters")
    if array.ndim == 1:
        array = array.reshape(1, -1)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise InvalidTask(_count_message(names, array.shape))
    # One pass over the data: a sum is finite unless an entry is not (or the numbers are beyond 1e300 and useless as angles).
    if not np.isfinite(array.sum()):
        _refuse_infinite(names, array)
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _from_mapping(names: Sequence[str], values: Mapping[str, Any]) -> FloatArray:
    import numpy as np

    for name in values:
        if name not in names:
            raise UnknownName.among("parameter of this circuit", name, names)
    if missing := [name for name in names if name not in values]:
        raise InvalidTask(f"no value for parameter{'s' * (len(missing) > 1)} {', '.join(missing)}")
    columns = [_as_floats(values[name], f"parameter {name}") for name in names]
    try:
        return np.stack(np.broadcast_arrays(*columns), axis=-1) if columns else np.zeros((1, 0))
    except ValueError as error:
        lengths = {name: column.shape for name, column in zip(names, columns, strict=True)}
        raise InvalidTask(f"parameters have different numbers of sets: {lengths}") from error


def _as_floats(values: object, what: str) -> FloatArray:
    import numpy as np

    try:
        array = np.asarray(values)
        if array.dtype == np.float64:
            return array
        if array.dtype.kind not in "iuf":
            raise InvalidTask(f"{what} must be real numbers, got {values!r}")
        return array.astype(np.float64)
    except ValueError as error:
        raise InvalidTask(f"{what} must be real numbers, got {values!r}") from error


def _count_message(names: Sequence[str], shape: tuple[int, ...]) -> str:
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"the circuit has {len(names)} parameters ({shown}), got shape {shape}; give (parameters,) or (sets, parameters)"


def _refuse_infinite(names: Sequence[str], array: FloatArray) -> None:
    import numpy as np

    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise InvalidTask(f"parameter {names[column]} of set {row} must be finite, got {array[row, column]}")

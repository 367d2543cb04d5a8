"""Results as files: numpy's npz form, a zip of arrays without pickles."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import threading
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from qloom.errors import InvalidSetting, InvalidTask, StorageFailed
from qloom.results.documents import UNREADABLE, check, header_of, read_header, refuse
from qloom.results.memory import FREE_BYTES, memory_limit
from qloom.results.samples import ARRAYS, IN_ORDER, SampleTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qloom.results.result import Engine

MEMBERS = {f"{name}.npy" for name in ("header", "keys", "counts", "splits", *ARRAYS)}
DTYPES = {"header": ("|u1",), "keys": ("<u8", "|u1"), "counts": ("<i8",), "splits": ("<i8",)}
FLOATS = ("<f8",)
MOST_HEADER = 1 << 14
"""An array's own header is shorter."""
DAMAGED = (
    *(*UNREADABLE, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError),
    *(tokenize.TokenError, SyntaxError, RuntimeError, NotImplementedError),
)
"""What `zipfile`, `numpy.lib.format` and `json` raise at what is no such file."""


def write(path: str | os.PathLike[str], engine: Engine, fields: Mapping[str, Any]) -> None:
    """Write a result beside the file and put it in its place in one step. Equal results make equal files.

    Raises:
        StorageFailed: it cannot be written; what was there is intact.
    """
    target = Path(path)
    if not target.name:
        raise StorageFailed(f"cannot write {os.fspath(path)!r}: it names no file; give the file's name, such as result.npz")
    aside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        try:
            with aside.open("wb") as file:
                _write_members(file, engine, fields)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(
            f"cannot write {target}: {error.strerror or error}; free space or choose another folder, and save again"
        ) from error


def _format() -> Any:
    """Numpy's own reader and writer of arrays, which has no types."""
    import numpy as np

    return np.lib.format


def _write_members(file: BinaryIO, engine: Engine, fields: Mapping[str, Any]) -> None:
    import numpy as np

    header = header_of(engine, fields) | {"stages": list(fields["stages"]), "metadata": fields["metadata"]}
    arrays: dict[str, Any] = {name: fields[name] for name in ARRAYS if fields[name] is not None}
    table: SampleTable | None = fields["samples"]
    if table is not None:
        header["order_seed"] = table.order_seed
        arrays |= {"keys": table.keys, "splits": np.array(table.splits, dtype=np.int64)}
        if table.order_seed != IN_ORDER:
            arrays["counts"] = table.counts
    header["arrays"] = sorted(arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in sorted(arrays.items()):
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                _format().write_array(member, little, allow_pickle=False)


def read(path: str | os.PathLike[str], engine_type: type[Engine]) -> dict[str, Any]:
    """Return the constructor's arguments for the result in a file.

    Raises:
        InvalidSetting: there is no such file, or it cannot be opened.
        CorruptRecord: it is damaged, or something else.
        InvalidTask: it does not fit into memory.
    """
    try:
        with Path(path).open("rb") as file:
            return _fields(file, engine_type, os.fspath(path))
    except OSError as error:
        raise InvalidSetting(
            f"cannot read {os.fspath(path)}: {error.strerror or error}; give a file that Result.save wrote"
        ) from error


def _fields(file: BinaryIO, engine_type: type[Engine], path: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = _arrays(archive, path)
        header = json.loads(arrays["header"].tobytes())
        fields = read_header(header, engine_type, {"arrays"})
        if header["arrays"] != sorted(set(arrays) - {"header"}):
            raise ValueError(
                f"it holds {', '.join(sorted(arrays))}, and should hold {', '.join(header['arrays'])} beside its header"
            )
        if "keys" in arrays:
            fields["samples"] = _table(arrays, header["order_seed"])
        fields |= {name: arrays[name] for name in ARRAYS if name in arrays}
        check(fields)
    except DAMAGED as error:
        refuse(error, path, "save")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        refuse(error, path, "save")  # the zip's directory leads to a place before the file's beginning
    return fields


def _arrays(archive: zipfile.ZipFile, path: str) -> dict[str, Any]:
    members = archive.infolist()
    names = [member.filename for member in members]
    if strange := sorted(set(names) - MEMBERS) or sorted(name for name in names if names.count(name) > 1):
        raise ValueError(f"there is {strange[0]!r} in it, or more than once")
    need = sum(member.file_size for member in members)
    if need > FREE_BYTES and need > (limit := memory_limit()):
        raise InvalidTask(f"{path} holds {need} bytes, the limit is {limit} (80 % of the memory available now)")
    try:
        return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except MemoryError as error:
        raise InvalidTask(
            f"{path} holds {need} bytes, which the system did not give; read it where there is more memory"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """Read one array, read-only; its content is checked by the zip's CRC, its size by its own header."""
    import numpy as np

    content = archive.read(member)
    head = io.BytesIO(content[:MOST_HEADER])
    name = member.filename.removesuffix(".npy")
    if _format().read_magic(head) != (1, 0):
        raise ValueError(f"{name} has another version of numpy's format than 1.0")
    shape, fortran, dtype = _format().read_array_header_1_0(head)
    if fortran or dtype.str not in DTYPES.get(name, FLOATS) or any(length < 0 for length in shape):
        raise ValueError(f"{name} is an array of {dtype.str} and shape {shape}")
    return np.frombuffer(content, dtype=dtype, offset=head.tell()).reshape(shape)


def _table(arrays: Mapping[str, Any], order_seed: Any) -> SampleTable:
    import numpy as np

    keys, splits = arrays["keys"], arrays["splits"]
    if type(order_seed) is not int or keys.ndim not in (1, 2) or splits.ndim != 1 or not len(splits):
        raise ValueError(f"keys of shape {keys.shape}, splits of shape {splits.shape}, order_seed {order_seed!r} make no table")
    counts = np.ones(len(keys), dtype=np.int64) if order_seed == IN_ORDER else arrays["counts"]
    return SampleTable(keys, counts, tuple(splits.tolist()), order_seed)

"""What programs hand back and keep: JSON values and numpy arrays, as JSON text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from qloom.errors import NoResult

if TYPE_CHECKING:
    from collections.abc import Mapping

ARRAY_KEY = "__array__"
NUMBER_KEY = "__number__"
PAIRS_KEY = "__pairs__"
_RESERVED = {ARRAY_KEY, NUMBER_KEY, PAIRS_KEY}
DICT_KEY = "__dict__"
MARKS = frozenset({ARRAY_KEY, NUMBER_KEY, DICT_KEY})
ARRAY_KINDS = "biufc"


def to_plain(value: Any, where: str = "result") -> Any:
    """Return the value as plain JSON; arrays as `{"__array__": [dtype, shape, base64 of little-endian bytes]}`.

    Numpy scalars become numbers; complex numbers, NaN and infinities keep their exact value under `__number__`.
    Tuples become lists. A dict that looks like one of these marks is wrapped in `__dict__`.

    Args:
        value: None, bool, int, float, complex, str, list, tuple, dict with string keys, numpy arrays and scalars.
        where: what the value is called in an error.

    Raises:
        NoResult: something else is inside; its place and type are named.

    >>> from_plain(to_plain({"energy": -1.1, "bits": [True, None]}))
    {'energy': -1.1, 'bits': [True, None]}
    """
    if value is None or (isinstance(value, bool | int | str) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, float | complex) and not hasattr(value, "dtype"):
        return value if isinstance(value, float) and math.isfinite(value) else {NUMBER_KEY: repr(value)}
    if isinstance(value, dict):
        plain = {_key(key, where): to_plain(item, f"{where}[{key!r}]") for key, item in value.items()}
        return {DICT_KEY: plain} if len(plain) == 1 and not MARKS.isdisjoint(plain) else plain
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array_to_plain(value, where)
    raise NoResult(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which is neither JSON nor an array; "
        "return numbers, strings, lists, dicts or numpy arrays"
    )


def from_plain(document: Any) -> Any:
    """Return the value that `to_plain` wrote."""
    if isinstance(document, list):
        return [from_plain(item) for item in document]
    if not isinstance(document, dict):
        return document
    if set(document) == {ARRAY_KEY}:
        return _array_from_plain(document[ARRAY_KEY])
    if set(document) == {PAIRS_KEY}:
        return {key: from_plain(item) for key, item in document[PAIRS_KEY]}
    if set(document) == {NUMBER_KEY}:
        text = document[NUMBER_KEY]
        return complex(text) if "j" in text else float(text)
    content = document[DICT_KEY] if set(document) == {DICT_KEY} else document
    return {key: from_plain(item) for key, item in content.items()}


def dumps(value: Any, where: str = "result") -> bytes:
    """Return the value as JSON text.

    Raises:
        NoResult: as for `to_plain`.
    """
    if _is_plain(value):
        try:
            return _encode(value).encode()
        except ValueError:  # NaN or an infinity, which has a mark of its own
            pass
    return json.dumps(to_plain(value, where), separators=(",", ":")).encode()


def loads(text: bytes) -> Any:
    """Return the value that `dumps` wrote."""
    return from_plain(json.loads(text))


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_SCALARS = {float, int, str, bool, type(None)}


def _is_plain(value: Any) -> bool:
    """Whether `to_plain` would leave the value as it is, NaN and infinities apart: most are, and are told apart quickly."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is dict:
        keys = set(map(type, value))
        return keys <= {str} and not (len(value) == 1 and _RESERVED & set(value)) and all(map(_is_plain, value.values()))
    return kind in (list, tuple) and (set(map(type, value)) <= _SCALARS or all(map(_is_plain, value)))


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise NoResult(f"a key of {where} is {key!r}, JSON allows only strings as keys")
    return key


def _array_to_plain(array: Any, where: str) -> Any:
    if array.dtype.kind not in ARRAY_KINDS:
        raise NoResult(f"{where} is an array of dtype {array.dtype}, only numbers and booleans can be kept")
    if array.ndim == 0:
        return to_plain(array.item(), where)
    import base64  # late, for a light `import qloom`

    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {ARRAY_KEY: [little.dtype.str, list(array.shape), base64.b64encode(little.tobytes()).decode()]}


def _array_from_plain(record: list[Any]) -> Any:
    import base64

    import numpy as np

    dtype, shape, text = record
    return np.frombuffer(base64.b64decode(text), dtype=dtype).reshape(shape).copy()


BRAKET_HEADER = {"name": "braket.jobs_data.persisted_job_data", "version": "1"}
"""Header of the form in which `braket.jobs.save_job_result` writes results.json
(https://github.com/amazon-braket/amazon-braket-schemas-python, `persisted_job_data_v1`)."""

PLAINTEXT = "plaintext"
"""Its `dataFormat` that holds JSON; the other one holds pickles."""
KIND_KEY = "qloomKind"
"""Says that qloom wrote it, and whether the result was a `dict` or another `value`."""


def result_document(value: Any) -> dict[str, Any]:
    """Return a program's result in Braket's persisted form; a value that is no dict goes under `result`, as there."""
    plain = to_plain(value)
    data = plain if isinstance(plain, dict) and MARKS.isdisjoint(plain) else {"result": plain}
    kind = "dict" if data is plain else "value"
    return {"braketSchemaHeader": BRAKET_HEADER, "dataDictionary": data, "dataFormat": PLAINTEXT, KIND_KEY: kind}


def plain_result(document: Mapping[str, Any]) -> Any:
    """Return the result in a results.json as plain JSON: arrays stay as `to_plain` wrote them, a pickle is described.

    >>> plain_result({"braketSchemaHeader": {}, "dataDictionary": {"x": "gASVCg=="}, "dataFormat": "pickled_v4"})
    'pickled by the script (x, 8 bytes), and qloom opens no pickle; read it with braket.jobs.load_job_result in its environment'
    """
    if not isinstance(document, dict) or "braketSchemaHeader" not in document:
        return to_plain(document)
    data = document["dataDictionary"]
    if document.get("dataFormat") != PLAINTEXT:
        return _pickled(document)
    if KIND_KEY not in document:  # by Braket's SDK: what looks like one of our marks is none
        return to_plain(data)
    return data["result"] if document[KIND_KEY] == "value" else data


def read_result(document: Mapping[str, Any]) -> Any:
    """Return the result in a results.json, plain or in Braket's persisted form.

    Raises:
        NoResult: pickled by Braket (`dataFormat: pickled_v4`), which qloom never opens.
    """
    if not isinstance(document, dict) or "braketSchemaHeader" not in document:
        return document
    if document.get("dataFormat") != PLAINTEXT:
        raise NoResult(f"the result is {_pickled(document)}, or save it as PersistedJobDataFormat.PLAINTEXT")
    if KIND_KEY not in document:
        return document["dataDictionary"]
    data = from_plain(document["dataDictionary"])
    return data["result"] if document[KIND_KEY] == "value" else data


def _pickled(document: Mapping[str, Any]) -> str:
    data = document["dataDictionary"]
    size = sum(len(str(value)) for value in data.values())
    return (
        f"pickled by the script ({', '.join(data)}, {size} bytes), and qloom opens no pickle; "
        "read it with braket.jobs.load_job_result in its environment"
    )

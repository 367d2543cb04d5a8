"""Results as JSON documents, exactly: what is read is equal to what was written, to the last bit and in its order of shots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from qloom.errors import CorruptRecord
from qloom.results.memory import memory_for
from qloom.results.quasi import quasi_document, quasi_table
from qloom.results.samples import (
    ARRAYS,
    IN_ORDER,
    SampleTable,
    item_of,
    pack_words,
    problems,
    row_texts,
    rows_of_texts,
    unpack_words,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.results.result import Engine
    from qloom.results.samples import FloatArray

FORMAT = "qloom-result-1"
SAMPLE_FORMS = ("counts", "measurements", "rows")
HEADER = ("format", "engine", "shots", "sets", "key_lengths")
OPTIONAL = ("items", "order_seed", "quasi_probabilities", "stages", "metadata")
NOT_NUMBERS = ("nan", "inf", "-inf")
UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError)
"""What reading something else than a result raises."""


def document_of(engine: Engine, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as JSON.

    Raises:
        InvalidTask: the text of the samples does not fit into memory.
    """
    lengths, sets, table = fields["key_lengths"], fields["sets"], fields["samples"]
    document = header_of(engine, fields)
    if table is not None:
        document |= _samples_document(table, lengths, sets)
    if fields["values"] is not None:
        document["values"] = _numbers(fields["values"])
        document["standard_errors"] = None
    document |= {name: _numbers(fields[name]) for name in ARRAYS if fields[name] is not None}
    told = {"stages": list(fields["stages"]), "metadata": fields["metadata"]}
    return document | {name: facts for name, facts in told.items() if facts}


def header_of(engine: Engine, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document begins with."""
    lengths, sets, quasi = fields["key_lengths"], fields["sets"], fields["quasi"]
    more = {} if quasi is None else {"quasi_probabilities": quasi_document(quasi, _widths(lengths, sets))}
    return more | {
        "format": FORMAT,
        "engine": engine._asdict(),
        "shots": fields["shots"],
        "items": len(lengths) * sets,
        "sets": sets,
        "key_lengths": list(lengths),
    }


def fields_of(document: Mapping[str, Any], engine_type: type[Engine]) -> dict[str, Any]:
    """Return the constructor's arguments for a document.

    Raises:
        CorruptRecord: it is none that `document_of` made.
    """
    try:
        fields = read_header(document, engine_type, {*SAMPLE_FORMS, *ARRAYS})
        forms = [form for form in SAMPLE_FORMS if form in document]
        if len(forms) > 1:
            raise ValueError(f"it has {' and '.join(forms)}")
        fields["samples"] = _table(document, forms[0], fields["key_lengths"], fields["sets"]) if forms else None
        fields |= {name: _array(document[name]) for name in ARRAYS if document.get(name) is not None}
        check(fields)
    except UNREADABLE as error:
        refuse(error, "the document", "to_json")
    return fields


def read_header(document: Mapping[str, Any], engine_type: type[Engine], more: set[str]) -> dict[str, Any]:
    """Return the constructor's arguments that are neither samples nor arrays.

    Args:
        document: what `header_of` returned, perhaps with more.
        engine_type: the class of the engine's value.
        more: the fields that it may have besides.

    Raises:
        CorruptRecord: another format.
        KeyError, TypeError, ValueError: something else is wrong.
    """
    if document["format"] != FORMAT:
        raise CorruptRecord(
            f"the result has the format {document['format']!r}, this qloom reads {FORMAT!r}; write it anew with it"
        )
    if strange := sorted(set(document) - {*HEADER, *OPTIONAL} - more):
        raise ValueError(f"{strange[0]!r} is no field of it")
    engine, shots, sets, lengths = (document[name] for name in HEADER[1:])
    if type(sets) is not int or sets < 1 or not lengths or any(type(length) is not int or length < 0 for length in lengths):
        raise ValueError(f"sets {sets!r} and key_lengths {lengths!r} are not numbers from 1 and from 0 up")
    if shots is not None and (type(shots) is not int or shots < 0):
        raise ValueError(f"shots {shots!r} is neither a number nor null")
    if [type(engine[name]) for name in engine_type._fields] != [str, str, int, str]:
        raise ValueError(f"engine {engine!r} is none")
    quasi = document.get("quasi_probabilities")
    return {
        "quasi": None if quasi is None else quasi_table(quasi, _widths(lengths, sets)),
        "engine": engine_type(**engine),
        "shots": shots,
        "sets": sets,
        "key_lengths": tuple(lengths),
        "stages": list(map(dict, document.get("stages", ()))),
        "metadata": dict(document.get("metadata", {})),
    }


def check(fields: Mapping[str, Any]) -> None:
    """Refuse what does not fit together.

    Raises:
        ValueError: it does not, and why.
    """
    lengths, sets, table = fields["key_lengths"], fields["sets"], fields.get("samples")
    if table is not None and (wrong := next(problems(table, lengths, sets), None)):
        raise ValueError(wrong)
    values, errors, gradients = (fields.get(name) for name in ARRAYS)
    items = len(lengths) * sets
    if values is not None and (values.ndim != 2 or len(values) != items):
        raise ValueError(f"values have the shape {values.shape}, not ({items}, observables)")
    if errors is not None and (values is None or errors.shape != values.shape):
        raise ValueError(f"standard_errors of shape {errors.shape} do not fit the values")
    if gradients is not None and (gradients.ndim != 3 or len(gradients) != items):
        raise ValueError(f"gradients have the shape {gradients.shape}, not ({items}, observables, parameters)")


def refuse(error: Exception, what: str, writer: str) -> NoReturn:
    """Raise the error for what is no result.

    Raises:
        CorruptRecord: always.
    """
    missing = f"the field {error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
    raise CorruptRecord(
        f"{what} is no result as Result.{writer} writes it, or not all of it: {missing}; write it again"
    ) from error


# ---- samples ---------------------------------------------------------------------------------------------------------


def _widths(lengths: Sequence[int], sets: int) -> list[int]:
    return [width for width in lengths for _ in range(sets)]


def _samples_document(table: SampleTable, lengths: Sequence[int], sets: int) -> dict[str, Any]:
    items = [(item_of(table, index, width), width) for index, width in enumerate(width for width in lengths for _ in range(sets))]
    with memory_for("measurements", len(table.counts), max(lengths)):
        if not table.packed:
            return {"counts": _alone([dict(_pairs(*item)) for item in items]), "order_seed": table.order_seed}
        if table.order_seed == IN_ORDER:
            return {"measurements": _alone([row_texts(item.keys, width) for item, width in items])}
        return {"rows": _alone([list(map(list, _pairs(*item))) for item in items]), "order_seed": table.order_seed}


def _pairs(item: SampleTable, width: int) -> zip[tuple[str, int]]:
    rows = item.keys if item.packed else pack_words(item.keys, width)
    return zip(row_texts(rows, width), item.counts.tolist(), strict=True)


def _table(document: Mapping[str, Any], form: str, lengths: Sequence[int], sets: int) -> SampleTable:
    import numpy as np

    widths = [width for width in lengths for _ in range(sets)]
    items = [document[form]] if len(widths) == 1 else document[form]
    rows, counts = [], []
    for item, width in zip(items, widths, strict=True):
        pairs = item.items() if form == "counts" else [(text, 1) for text in item] if form == "measurements" else item
        packed = rows_of_texts([text for text, _ in pairs], width)
        rows.append(unpack_words(packed, width) if form == "counts" else _padded(packed, -(-max(lengths) // 8)))
        counts.append(_counts([count for _, count in pairs]))
    splits = np.cumsum([0, *map(len, counts)]).tolist()
    order = IN_ORDER if form == "measurements" else document["order_seed"]
    return SampleTable(np.concatenate(rows), np.concatenate(counts), tuple(splits), order)


def _counts(counts: list[Any]) -> Any:
    import numpy as np

    if set(map(type, counts)) - {int}:
        raise ValueError("a count is no number")
    return np.array(counts, dtype=np.int64)


def _padded(rows: Any, row_bytes: int) -> Any:
    import numpy as np

    return np.pad(rows, ((0, 0), (0, row_bytes - rows.shape[1])))


def _alone(items: list[Any]) -> Any:
    """One item stands by itself, as people expect it; several in a list."""
    return items[0] if len(items) == 1 else items


# ---- numbers ---------------------------------------------------------------------------------------------------------


def _numbers(array: FloatArray) -> Any:
    """Return nested lists; JSON has no NaN and no infinities, so they are text."""
    import numpy as np

    if np.isfinite(array).all():
        return array.tolist()
    plain = np.array(array, dtype=object)
    plain[~np.isfinite(array)] = [repr(number) for number in array[~np.isfinite(array)].tolist()]
    return plain.tolist()


def _array(lists: Any) -> FloatArray:
    import numpy as np

    found = np.array(lists, dtype=object)
    for number in found.ravel().tolist():
        if type(number) not in (int, float) and number not in NOT_NUMBERS:
            raise ValueError(f"{number!r} stands where a number should")
    return found.astype(np.float64)

"""`Result`: what a quantum task answered, kept compact; the costly forms are worked out when asked for."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]
    KeyArray = npt.NDArray[np.uint64]


class Engine(NamedTuple):
    """What computed a result: the library, its version, and the threads it was given; why it was picked, where known."""

    name: str
    version: str
    threads: int = 1
    reason: str = ""


class SampleTable(NamedTuple):
    """Measured keys and how often each was seen, for all items of a result, item after item.

    Attributes:
        keys: uint64, distinct and ascending inside an item; of an item with n bits, classical bit 0 is the most
            significant of the lowest n bits. (Up to 64 classical bits.)
        counts: int64, same length.
        splits: item i owns the slice `splits[i]:splits[i+1]`.
        order_seed: seed of the order in which `bits` lists the shots.
    """

    keys: KeyArray
    counts: IntArray
    splits: tuple[int, ...]
    order_seed: int = 0


class Result:
    """The answer to one quantum task: circuits x parameter sets, circuit by circuit, set by set inside a circuit.

    `len(result)` is the number of items (circuits x sets); `result[i]` is one of them. `counts`, `bits`, `probabilities`
    and `value` speak of a result with a single item and refuse, saying so, for more.

    Attributes:
        engine: which library computed it.
        shots: shots for each item; None for exact values.
        stages: what each stage of the pipeline did; empty without a pipeline.
        metadata: facts from the device, JSON.

    Bit order: position i of a key, and column i of `bits`, is classical bit i, `c[0]` first.
    """

    __slots__ = ("_errors", "_gradients", "_samples", "_values", "engine", "key_lengths", "metadata", "sets", "shots", "stages")

    def __init__(  # noqa: PLR0913  one keyword for each thing a task may answer
        self,
        *,
        engine: Engine,
        shots: int | None,
        sets: int = 1,
        key_lengths: tuple[int, ...] = (0,),
        samples: SampleTable | None = None,
        values: FloatArray | None = None,
        standard_errors: FloatArray | None = None,
        gradients: FloatArray | None = None,
        stages: tuple[dict[str, Any], ...] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.engine = engine
        self.shots = shots
        self.sets = sets
        self.key_lengths = key_lengths
        self._samples = samples
        self._values = values
        self._errors = standard_errors
        self._gradients = gradients
        self.stages = stages
        self.metadata = metadata or {}

    def __len__(self) -> int:
        return len(self.key_lengths) * self.sets

    def __getitem__(self, index: int) -> Result:
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of a result with {len(self)}")
        index %= len(self)
        return Result(
            engine=self.engine,
            shots=self.shots,
            key_lengths=(self.key_lengths[index // self.sets],),
            samples=None if self._samples is None else _one(self._samples, index),
            values=None if self._values is None else self._values[index : index + 1],
            standard_errors=None if self._errors is None else self._errors[index : index + 1],
            gradients=None if self._gradients is None else self._gradients[index : index + 1],
            stages=self.stages,
            metadata=self.metadata,
        )

    def __iter__(self) -> Iterator[Result]:
        return (self[index] for index in range(len(self)))

    @property
    def samples(self) -> SampleTable:
        """The measured keys and counts of all items, compact."""
        if self._samples is None:
            raise InvalidTask("this result holds values, not samples; ask with run(shots=...) for counts")
        return self._samples

    @property
    def counts(self) -> dict[str, int]:
        """Key -> how often it was measured, keys ascending; the sum is `shots`."""
        if self.sets != 1 or len(self.key_lengths) != 1:
            self._single("counts")
        width = self.key_lengths[0]
        keys, counts, _, _ = self.samples if self._samples is None else self._samples
        if width == 0:
            return {"": int(counts.sum())}
        if width <= LABEL_BITS:
            labels = _labels(width)
            if len(keys) == len(labels):  # every key was seen
                return dict(zip(labels, counts.tolist(), strict=True))
            return dict(zip(map(labels.__getitem__, keys.tolist()), counts.tolist(), strict=True))
        form = f"0{width}b"
        return {format(key, form): count for key, count in zip(keys.tolist(), counts.tolist(), strict=True)}

    @property
    def bits(self) -> npt.NDArray[np.uint8]:
        """The shots one by one, shape (shots, classical bits), 0 or 1; the order is drawn from the task's seed."""
        import numpy as np

        self._single("bits")
        keys, counts, _, order_seed = self.samples
        width = self.key_lengths[0]
        drawn = np.random.Generator(np.random.PCG64(order_seed)).permutation(np.repeat(keys, counts))
        shifts = np.arange(width - 1, -1, -1, dtype=np.uint64)
        return ((drawn[:, None] >> shifts[None, :]) & np.uint64(1)).astype(np.uint8)

    @property
    def probabilities(self) -> dict[str, float]:
        """Key -> measured frequency."""
        total = self.shots or 1
        return {key: count / total for key, count in self.counts.items()}

    @property
    def values(self) -> FloatArray:
        """Expectation values, shape (items, observables)."""
        if self._values is None:
            raise InvalidTask("this result holds samples, not values; prepare with observables and ask with estimate()")
        return self._values

    @property
    def standard_errors(self) -> FloatArray:
        """Standard errors of `values`, same shape; zero where the values are exact."""
        import numpy as np

        return np.zeros_like(self.values) if self._errors is None else self._errors

    @property
    def gradients(self) -> FloatArray:
        """Derivatives of the values, shape (items, observables, parameters)."""
        if self._gradients is None:
            raise InvalidTask("this result holds no gradients; ask with gradient()")
        return self._gradients

    @property
    def value(self) -> float:
        """The expectation value of a single circuit, set and observable."""
        if self.values.size != 1:
            raise InvalidTask(
                f"this result holds {self.values.shape[0]} x {self.values.shape[1]} values; use .values, or result[i].value"
            )
        return float(self.values.flat[0])

    @property
    def standard_error(self) -> float:
        """The standard error of `value`."""
        self.value  # noqa: B018  refuses where there are several
        return float(self.standard_errors.flat[0])

    def _single(self, what: str) -> None:
        if len(self) != 1:
            raise InvalidTask(f"this result holds {len(self)} items; use result[i].{what}")

    # ---- records -------------------------------------------------------------------------------------------------

    def pack(self) -> list[Any]:
        """Return the result as lists, numbers, strings and bytes, for the journal and for wires; little-endian."""
        samples = self._samples
        return [
            list(self.engine),
            self.shots,
            self.sets,
            list(self.key_lengths),
            None
            if samples is None
            else [samples.keys.tobytes(), samples.counts.tobytes(), list(samples.splits), samples.order_seed],
            _pack(self._values),
            _pack(self._errors),
            _pack(self._gradients),
            list(self.stages),
            self.metadata,
        ]

    @classmethod
    def unpack(cls, record: Sequence[Any]) -> Result:
        """Return the result that `pack` wrote."""
        engine, shots, sets, lengths, samples, values, errors, gradients, stages, metadata = record
        # A replay of a long job is mostly this: what is absent costs no call.
        return cls(
            engine=Engine(*engine),
            shots=shots,
            sets=sets,
            key_lengths=tuple(lengths),
            samples=None if samples is None else _unpack_samples(*samples),
            values=None if values is None else _unpack(values),
            standard_errors=None if errors is None else _unpack(errors),
            gradients=None if gradients is None else _unpack(gradients),
            stages=tuple(stages),
            metadata=metadata,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result for people and machines: counts by key, values as lists."""
        document: dict[str, Any] = {"engine": self.engine._asdict(), "shots": self.shots, "items": len(self)}
        if self._samples is not None:
            counts = [item.counts for item in self]
            document["counts"] = counts[0] if len(self) == 1 else counts
        if self._values is not None:
            document["values"] = self._values.tolist()
            document["standard_errors"] = self.standard_errors.tolist()
        if self._gradients is not None:
            document["gradients"] = self._gradients.tolist()
        return document | ({"metadata": self.metadata} if self.metadata else {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and self.pack() == other.pack()

    __hash__ = None  # type: ignore[assignment]  # compared by content, so not a key

    def __repr__(self) -> str:
        holds = "samples" if self._samples is not None else "gradients" if self._gradients is not None else "values"
        return f"<Result: {len(self)} item{'s' * (len(self) != 1)} of {holds}, shots={self.shots}, engine={self.engine.name}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a bar for each key of each item, or the values; only the beginning of what is long."""
        parts = [f"<p><code>{escape(repr(self))}</code></p>"]
        if self._samples is not None:
            parts += [_histogram(self[index], index, len(self)) for index in range(min(len(self), SHOWN_ITEMS))]
            parts.append(_left_out(len(self) - SHOWN_ITEMS, "items"))
        if self._values is not None:
            parts.append(_values_table(self.values, self.standard_errors))
        if self._gradients is not None:
            items, observables, parameters = self._gradients.shape
            parts.append(f"<p>gradients: {items} items x {observables} observables x {parameters} parameters</p>")
        return f"<div>{''.join(parts)}</div>"

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, str]:
        """Return what a notebook shows, for front ends with and without HTML."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


SHOWN_ITEMS, SHOWN_KEYS, SHOWN_ROWS, SHOWN_OBSERVABLES = 8, 32, 32, 8
"""How much of a result a notebook shows: histograms, bars in each, rows of values, values in each."""
LABEL_BITS = 12
"""Keys up to so many bits are looked up as text: a fifth of the time of writing each anew (at most 4096 texts a length)."""


@cache
def _labels(width: int) -> tuple[str, ...]:
    return tuple(format(key, f"0{width}b") for key in range(1 << width))


def _one(samples: SampleTable, index: int) -> SampleTable:
    part = slice(samples.splits[index], samples.splits[index + 1])
    return SampleTable(samples.keys[part], samples.counts[part], (0, part.stop - part.start), samples.order_seed + index)


def _pack(array: FloatArray | None) -> list[Any] | None:
    return None if array is None else [list(array.shape), array.astype("<f8", copy=False).tobytes()]


def _unpack(record: Sequence[Any]) -> FloatArray:
    import numpy as np

    return np.frombuffer(record[1], "<f8").reshape(record[0])


def _unpack_samples(keys: bytes, counts: bytes, splits: Sequence[int], order_seed: int) -> SampleTable:
    read, unsigned, signed = _array_reader()
    return SampleTable(read(keys, unsigned), read(counts, signed), tuple(splits), order_seed)


@cache
def _array_reader() -> tuple[Callable[..., npt.NDArray[Any]], np.dtype[np.uint64], np.dtype[np.int64]]:
    import numpy as np

    return np.frombuffer, np.dtype("<u8"), np.dtype("<i8")


# ---- notebooks -------------------------------------------------------------------------------------------------------


def _histogram(item: Result, index: int, items: int) -> str:
    """The keys measured most often, in their order: a bar and a count for each."""
    import numpy as np

    keys, counts = item.samples.keys, item.samples.counts
    width = item.key_lengths[0]
    shown = np.sort(np.argsort(-counts, kind="stable")[:SHOWN_KEYS])
    most = max(1, int(counts.max(initial=0)))
    drawn = zip(keys[shown].tolist(), counts[shown].tolist(), strict=True)
    rows = [_bar(format(key, f"0{width}b") if width else "", count, most) for key, count in drawn]
    title = f"<p>item {index}</p>" if items > 1 else ""
    return f"{title}<table>{''.join(rows)}</table>{_left_out(len(keys) - SHOWN_KEYS, 'keys that were measured less often')}"


def _bar(key: str, count: int, most: int) -> str:
    bar = f'<span style="display:inline-block;height:.8em;width:{240 * count / most:.0f}px;background:#5468e0"></span>'
    return f'<tr><th style="font-family:monospace">{key}</th><td style="text-align:left">{bar} {count:,}</td></tr>'


def _values_table(values: FloatArray, errors: FloatArray) -> str:
    """A row for each item, a column for each observable; standard errors where there are any."""
    rows = [
        f"<tr><th>{index}</th>{''.join(map(_value, row[:SHOWN_OBSERVABLES], error))}</tr>"
        for index, (row, error) in enumerate(zip(values[:SHOWN_ROWS].tolist(), errors[:SHOWN_ROWS].tolist(), strict=True))
    ]
    observables = values.shape[1]
    heads = "".join(f"<th>observable {column}</th>" for column in range(min(observables, SHOWN_OBSERVABLES)))
    left = _left_out(len(values) - SHOWN_ROWS, "items") + _left_out(observables - SHOWN_OBSERVABLES, "observables")
    return f"<table><tr><th>item</th>{heads}</tr>{''.join(rows)}</table>{left}"


def _value(value: float, error: float) -> str:
    return f"<td>{value:.8g}{f' &plusmn; {error:.2g}' if error else ''}</td>"


def _left_out(count: int, what: str) -> str:
    return f"<p>... and {count:,} {what}</p>" if count > 0 else ""

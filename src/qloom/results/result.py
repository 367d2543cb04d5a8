"""`Result`: what a quantum task answered, kept compact; the costly forms are worked out when asked for.

How a result is shown, written as a document, saved and merged stands in modules that are loaded when that is asked for.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from qloom.errors import InvalidTask
from qloom.results.quasi import pack_quasi, unpack_quasi
from qloom.results.samples import (
    ARRAYS,
    LABEL_BITS,
    item_of,
    labels,
    long_counts,
    pack_table,
    packed_shots,
    same_arrays,
    unpack_rows,
    unpack_table,
)
from qloom.results.stages import NO_STAGES, Stages, plain

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qloom.results.quasi import QuasiTable
    from qloom.results.samples import FloatArray, RowArray, SampleTable


class Engine(NamedTuple):
    """What computed a result: the library, its version, and the threads it was given; why it was picked, where known."""

    name: str
    version: str
    threads: int = 1
    reason: str = ""


class Result:
    """The answer to one quantum task: circuits x parameter sets, circuit by circuit, set by set inside a circuit.

    `len(result)` is the number of items (circuits x sets); `result[i]` is one of them. `counts`, `bits`, `probabilities`
    and `value` speak of a result with a single item and refuse, saying so, for more.

    Attributes:
        engine: which library computed it.
        shots: shots for each item; None for exact values.
        metadata: facts from the device, JSON. Where `circuits` is in it, it is a list with an entry for each circuit; of these
            `result[i]` has that of its own.

    Bit order: position i of a key, and column i of `bits`, is classical bit i, `c[0]` first.
    """

    __slots__ = (
        "_errors",
        "_gradients",
        "_quasi",
        "_samples",
        "_stages",
        "_values",
        "engine",
        "key_lengths",
        "metadata",
        "sets",
        "shots",
    )

    def __init__(  # noqa: PLR0913  one keyword for each thing a task may answer
        self,
        *,
        engine: Engine,
        shots: int | None,
        sets: int = 1,
        key_lengths: tuple[int, ...] = (0,),
        samples: SampleTable | None = None,
        quasi: QuasiTable | None = None,
        values: FloatArray | None = None,
        standard_errors: FloatArray | None = None,
        gradients: FloatArray | None = None,
        stages: Sequence[dict[str, Any]] | Callable[[], Sequence[dict[str, Any]]] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.engine = engine
        self.shots = shots
        self.sets = sets
        self.key_lengths = key_lengths
        self._samples = samples
        self._quasi = quasi
        self._values = values
        self._errors = standard_errors
        self._gradients = gradients
        self._stages = stages
        self.metadata = metadata or {}

    def __len__(self) -> int:
        return len(self.key_lengths) * self.sets

    def __getitem__(self, index: int) -> Result:
        if isinstance(index, slice):
            raise InvalidTask("a result has no slices; take [result[i] for i in range(...)], or rows of .values")
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of a result with {len(self)}")
        index %= len(self)
        return Result(
            engine=self.engine,
            shots=self.shots,
            key_lengths=(self.key_lengths[index // self.sets],),
            samples=None if self._samples is None else item_of(self._samples, index, self.key_lengths[index // self.sets]),
            quasi=None if self._quasi is None else self._quasi.item(index),
            values=None if self._values is None else self._values[index : index + 1],
            standard_errors=None if self._errors is None else self._errors[index : index + 1],
            gradients=None if self._gradients is None else self._gradients[index : index + 1],
            stages=self.stages,
            metadata=self._metadata_of(index // self.sets),
        )

    def _metadata_of(self, circuit: int) -> dict[str, Any]:
        facts = self.metadata.get("circuits")
        if not isinstance(facts, list) or len(facts) != len(self.key_lengths):
            return self.metadata
        return self.metadata | {"circuits": [facts[circuit]]}

    def __iter__(self) -> Iterator[Result]:
        return (self[index] for index in range(len(self)))

    @property
    def stages(self) -> Stages:
        """What each stage of the pipeline did, such as `result.stages["zne"].scales`; empty without a pipeline."""
        found = self._stages
        if type(found) is not Stages:
            found = self._stages = Stages(found() if callable(found) else found) if found else NO_STAGES
        return found

    @property
    def holds_samples(self) -> bool:
        """Whether there are samples, rather than values or quasi-probabilities."""
        return self._samples is not None

    @property
    def samples(self) -> SampleTable:
        """The measured keys and counts of all items, compact."""
        if self._quasi is not None:
            raise InvalidTask("a stage of the pipeline made quasi-probabilities of the counts; use .probabilities")
        if self._samples is None:
            raise InvalidTask("this result holds values, not samples; ask with run(shots=...) for counts")
        return self._samples

    @property
    def counts(self) -> dict[str, int]:
        """Key -> how often it was measured, keys ascending; the sum is `shots`.

        Raises:
            InvalidTask: there are several items, or so many keys that their texts do not fit into memory.
        """
        if self.sets != 1 or len(self.key_lengths) != 1:
            self._single("counts")
        width = self.key_lengths[0]
        keys, counts, _, _ = self.samples if self._samples is None else self._samples
        if width == 0:
            return {"": int(counts.sum())}
        if width > LABEL_BITS or keys.ndim == 2:
            return long_counts(keys, counts, width)
        texts = labels(width)
        if len(keys) == len(texts):  # every key was seen
            return dict(zip(texts, counts.tolist(), strict=True))
        return dict(zip(map(texts.__getitem__, keys.tolist()), counts.tolist(), strict=True))

    @property
    def bits(self) -> RowArray:
        """The shots one by one, shape (shots, classical bits), uint8, 0 or 1.

        In the order in which they were measured where the result has that (more than 64 classical bits); otherwise in an order
        that is drawn from the task's seed. Made anew by each call.

        Raises:
            InvalidTask: there are several items, or shots times bits do not fit into memory; the bytes are in the message.
        """
        from qloom.results.memory import memory_for

        width = self._width("bits")
        with memory_for("bits", self._rows(), width):
            return unpack_rows(packed_shots(self.samples, width), width)

    @property
    def packed_bits(self) -> RowArray:
        """The shots as in `bits`, eight bits in a byte: shape (shots, ceil(classical bits / 8)), uint8, read-only.

        A row is what `np.packbits` makes of a row of `bits`: classical bit 0 is the most significant of byte 0,
        unused bits are 0. Where rows are in measured order, this is the result's own memory and costs nothing.

        Raises:
            InvalidTask: as for `bits`.
        """
        from qloom.results.memory import memory_for

        width = self._width("packed_bits")
        with memory_for("packed_bits", self._rows(), width):
            return packed_shots(self.samples, width)

    @property
    def probabilities(self) -> dict[str, float]:
        """Key -> measured frequency; after a stage that inverts errors a quasi-probability, which may be below 0.

        Raises:
            InvalidTask: as for `counts`.
        """
        if self._quasi is not None:
            return self._quasi.texts(0, self._width("probabilities"))
        counts = self.counts
        total = sum(counts.values()) or 1
        return {key: count / total for key, count in counts.items()}

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

    def _width(self, what: str) -> int:
        self._single(what)
        return self.key_lengths[0]

    def _rows(self) -> int:
        """How many shots a form has that lists them one by one."""
        return int(self.samples.counts.sum())

    def _single(self, what: str) -> None:
        if len(self) != 1:
            if self._quasi is None:
                self.samples  # noqa: B018  refuses where there are values
            raise InvalidTask(f"this result holds {len(self)} items; use result[i].{what}")

    def told_as(self, engine: Engine, stages: Sequence[dict[str, Any]]) -> Result:
        """Return the same answer with another word on who computed it and what the stages noted."""
        told = copy(self)
        told.engine, told._stages = engine, stages  # noqa: SLF001  our own instance
        return told

    # ---- records -------------------------------------------------------------------------------------------------

    def pack(self) -> list[Any]:
        """Return the result as lists, numbers, strings and bytes, for the journal and for wires; little-endian."""
        samples = self._samples
        record = [
            list(self.engine),
            self.shots,
            self.sets,
            list(self.key_lengths),
            None if samples is None else pack_table(samples),
            _pack(self._values),
            _pack(self._errors),
            _pack(self._gradients),
            plain(self.stages) if self._stages else [],
            self.metadata,
        ]
        return record if self._quasi is None else [*record, pack_quasi(self._quasi)]

    @classmethod
    def unpack(cls, record: Sequence[Any]) -> Result:
        """Return the result that `pack` wrote."""
        engine, shots, sets, lengths, samples, values, errors, gradients, stages, metadata, *quasi = record
        # A replay of a long job is mostly this: what is absent costs no call.
        return cls(
            engine=Engine(*engine),
            shots=shots,
            sets=sets,
            key_lengths=tuple(lengths),
            samples=None if samples is None else unpack_table(*samples),
            quasi=unpack_quasi(*quasi[0]) if quasi else None,
            values=None if values is None else _unpack(values),
            standard_errors=None if errors is None else _unpack(errors),
            gradients=None if gradients is None else _unpack(gradients),
            stages=stages,
            metadata=metadata,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document, for people and machines; `from_json` makes an equal result of it.

        Samples stand there as `counts`, as `measurements` (bit strings in shot order) where the order is known, or as `rows`
        (pairs of bit string and count) where packed rows are in no order; of several items these are lists with an entry for
        each. Values are nested lists; `standard_errors` is null where there are none, and a number that JSON does not have is
        "nan", "inf" or "-inf". Documented in docs/howto/results.md.

        Raises:
            InvalidTask: the text of the samples does not fit into memory; `save` writes a file of an eighth of it.

        >>> import numpy as np
        >>> result = Result(engine=Engine("qulacs", "0.6.11"), shots=None, values=np.array([[0.5]]))
        >>> result.to_json()["values"], Result.from_json(result.to_json()) == result
        ([[0.5]], True)
        """
        from qloom.results.documents import document_of

        return document_of(self.engine, self._fields())

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Result:
        """Return the result that `to_json` wrote.

        Raises:
            CorruptRecord: it is no such document; the field is named.
        """
        from qloom.results.documents import fields_of

        return cls(**fields_of(document, Engine))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result to a file in numpy's npz form, without pickles; what was there is replaced in one step.

        The file is a zip of arrays (`keys`, `counts`, `splits`, `values`, `standard_errors`, `gradients`, those that there are)
        and of `header`, JSON text with the rest. `numpy.load(path)` reads it without qloom.

        Raises:
            StorageFailed: it cannot be written; what was there is intact.

        >>> import numpy as np, pathlib, tempfile
        >>> result = Result(engine=Engine("qulacs", "0.6.11"), shots=None, values=np.array([[0.5]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(pathlib.Path(folder, "energy.npz"))
        ...     Result.load(pathlib.Path(folder, "energy.npz")) == result
        True
        """
        from qloom.results.archives import write

        write(path, self.engine, self._fields())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Return the result in a file that `save` wrote.

        Raises:
            InvalidSetting: there is no such file, or it cannot be opened.
            CorruptRecord: it is truncated, damaged, or something else; nothing in it is ever run.
            InvalidTask: it does not fit into memory.
        """
        from qloom.results.archives import read

        return cls(**read(path, Engine))

    @classmethod
    def merge(cls, results: Iterable[Result]) -> Result:
        """Return one result of several to the same question, as if all shots had been taken at once.

        Shots and counts add up. Values from shots, their standard errors and gradients are combined with the shots as weights:
        one question has one variance for each shot, so that is the weighting by inverse variance, and unlike one by the estimated
        variances it has no bias towards results that look sure by chance. Exact values must agree (to 1e-10), the first are kept.
        Metadata are kept where all agree, so are stages; merging in another grouping gives equal counts.

        Whether the questions were the same is yours to know; what shows in the results is compared.

        Raises:
            InvalidTask: none were given, or they do not fit; the first difference is named.

        >>> import numpy as np
        >>> from qloom.results import SampleTable
        >>> table = SampleTable(np.array([0, 3], np.uint64), np.array([5, 5]), (0, 2))
        >>> half = Result(engine=Engine("qulacs", "0.6.11"), shots=10, key_lengths=(2,), samples=table)
        >>> Result.merge([half, half]).counts
        {'00': 10, '11': 10}
        """
        from qloom.results.merging import merged

        found = [] if isinstance(results, Result) else list(results)
        if not all(isinstance(result, Result) for result in found) or isinstance(results, Result):
            raise InvalidTask("merge takes several results, as Result.merge([first, second])")
        return cls(**merged([(result.engine, result._fields()) for result in found]))

    def _fields(self) -> dict[str, Any]:
        """Everything but the engine, as the constructor takes it."""
        return {
            "shots": self.shots,
            "sets": self.sets,
            "key_lengths": self.key_lengths,
            "samples": self._samples,
            "quasi": self._quasi,
            "values": self._values,
            "standard_errors": self._errors,
            "gradients": self._gradients,
            "stages": plain(self.stages),
            "metadata": self.metadata,
        }

    def __eq__(self, other: object) -> bool:
        """Whether everything is the same: engine, every number to its last bit, and the order of shots where it is known."""
        if not isinstance(other, Result):
            return False
        one, two = self._fields(), other._fields()
        tables = one.pop("samples"), two.pop("samples")
        arrays = [(one.pop(name), two.pop(name)) for name in ARRAYS]
        if self.engine != other.engine or one != two or not all(same_arrays(*pair) for pair in arrays):
            return False
        if tables[0] is None or tables[1] is None:
            return tables[0] is tables[1]
        return tables[0][2:] == tables[1][2:] and all(
            same_arrays(*pair) for pair in zip(tables[0][:2], tables[1][:2], strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # compared by content, so not a key

    def __repr__(self) -> str:
        holds = "samples" if self._samples is not None else "gradients" if self._gradients is not None else "values"
        return f"<Result: {len(self)} item{'s' * (len(self) != 1)} of {holds}, shots={self.shots}, engine={self.engine.name}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a bar for each key of each item, or the values; only the beginning of what is long."""
        from qloom.results.html import page

        return page(repr(self), self._fields())

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, str]:
        """Return what a notebook shows, for front ends with and without HTML."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def _pack(array: FloatArray | None) -> list[Any] | None:
    return None if array is None else [list(array.shape), array.astype("<f8", copy=False).tobytes()]


def _unpack(record: Sequence[Any]) -> FloatArray:
    import numpy as np

    return np.frombuffer(record[1], "<f8").reshape(record[0])

"""Adapter of stim: circuits of Clifford gates and Pauli noise, with any number of qubits.

Samples come from stim's Pauli frames, all shots at once: one noiseless sample, computed when a circuit is made ready, and
for each shot the bits that noise and the randomness of measurements flip in it (Gidney, arXiv:2103.02202). A frame simulator
is made for each call, which costs a few microseconds, and its bits are turned from a row for each measurement to a row for each
shot here: with 500 qubits and 1,000 shots that is 0.25 ms in all, stim's own compiled sampler takes 1.2 ms. A Pauli that depends
on several bits goes into the frames of those shots whose bits call for it.

Equal seeds give equal samples in one release of stim on processors of one kind: stim's random bits depend on the width of its
vector instructions (https://github.com/quantumlib/Stim/blob/main/doc/python_api_reference_vDev.md). Up to 64 bits of a circuit
without noise, measured at its end, are drawn by our own sampler, a quarter of the time and less (`stim_support`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from qloom.devices.engines import over_limit
from qloom.devices.sampler import seeded
from qloom.devices.shot_engines import method_bytes, perfect
from qloom.devices.stim_program import line, problems, program
from qloom.devices.stim_support import Support, support
from qloom.devices.stim_values import Backwards
from qloom.devices.tallies import ALONE_BYTES, MERGED_BYTES, Tally, require_drawing
from qloom.errors import MissingExtra, Unsupported
from qloom.kit.angle_table import AngleTable
from qloom.results import Engine
from qloom.results.samples import WORD_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import stim

    from qloom.circuits import Circuit, Observable
    from qloom.devices.shot_engines import Settings
    from qloom.devices.stim_program import Condition, Stage
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray

    ByteArray = npt.NDArray[np.uint8]
    BoolArray = npt.NDArray[np.bool_]

KINDS = ("sample", "estimate")
METHOD = "stabilizer"
SHOWN = 3
"""So many reasons are named; a circuit with more is none for stim anyway."""

CHUNK_BITS = 1 << 28
"""Shots are drawn in parts of so many bits, 32 MiB; part of what a seed means."""

FORK_SHARE = 8
"""By so much parts are smaller where Paulis depend on several bits: the shots that they are for take a byte for each qubit."""
PARTS = {"X": "X", "Y": "XZ", "Z": "Z"}

KEPT_BASES = 256
TURNS = {"X": "H", "Y": "H_YZ"}
"""Gates that turn a letter's eigenstates into 0 and 1, in their order."""

SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))
"""Turning a block of eight by eight bits over: Warren, Hacker's Delight, 7-3."""


class Stim:
    """The library behind `sim` for Clifford circuits.

    Raises:
        MissingExtra: it is not installed.

    >>> from qloom.circuits import Circuit
    >>> from qloom.devices.shot_engines import Settings
    >>> engine, ghz = Stim().compile(Circuit(3).h(0).cx(0, 1).cx(1, 2), [], Settings(), None)
    >>> keys, counts = ghz.sample([], shots=100, seed=1)
    >>> engine.name, keys.tolist(), int(counts.sum())
    ('stim', [0, 7], 100)
    """

    name = "stim"

    def __init__(self) -> None:
        try:
            import stim
        except ImportError as error:
            raise MissingExtra(f"stim is not installed ({error}); `pip install 'qloom[sim]'`") from error
        self.version = str(stim.__version__)

    def reasons(self, circuit: Circuit, kind: str, settings: Settings) -> list[str]:
        """Return why stim cannot run this; steps are counted from 0, verbatim blocks opened, and only the first are named.

        >>> from qloom.circuits import Circuit
        >>> from qloom.devices.shot_engines import Settings
        >>> Stim().reasons(Circuit(1).h(0).t(0), "sample", Settings())
        ['gate t on qubit 0 (step 1) is no Clifford gate']
        """
        found = [] if kind in KINDS else [f"kind {kind}, stim has {' and '.join(KINDS)}"]
        if settings.method not in (None, METHOD):
            found.append(f"method {settings.method}, stim has {METHOD}")
        if not circuit.num_qubits:
            found.append("a circuit without qubits")
        over = over_limit(need := method_bytes(METHOD, circuit.num_qubits), settings.memory_limit_bytes)
        if over is not None:
            found.append(f"{circuit.num_qubits} qubits need {need} bytes for its stabilizers, {over}; use fewer qubits")
        values = kind == "estimate"
        steps = list(islice(problems(circuit, perfect, values=values), SHOWN + 1))
        if not steps and settings.noise is not None:
            try:
                noisy = settings.noisy(circuit)
            except Unsupported as error:
                return [*found, str(error)]
            steps = [f"with its noise: {text}" for text in islice(problems(noisy, settings.readout, values=values), SHOWN + 1)]
        return [*found, *steps[:SHOWN], *(["and more of these"] if len(steps) > SHOWN else [])]

    def compile(
        self, circuit: Circuit, observables: Sequence[Observable], settings: Settings, threads: int | None
    ) -> tuple[Engine, StimCircuit]:
        """Make a circuit ready; stim uses one thread, whatever is asked for."""
        reason = "every gate is a Clifford gate" + (", all noise Pauli noise" if settings.noise is not None else "")
        return Engine(self.name, self.version, 1, reason), StimCircuit(circuit, observables, settings)


class _Skewed(NamedTuple):
    """Places in the record whose readout errs unequally; p(1|0) and p(0|1), shape (places, 1)."""

    places: list[int]
    ups: FloatArray
    downs: FloatArray


class _Plan(NamedTuple):
    """What is measured at the end, and how the record becomes bits.

    Attributes:
        tail: follows the program's circuit.
        reference: a noiseless sample of the record, 0 or 255, shape (records, 1).
        columns: place in the record of each bit; None where the record is the bits.
        skewed: what is misread after it was drawn.
        length: how many bits.
        support: where every outcome is equally likely, what they are.
    """

    tail: stim.Circuit
    reference: ByteArray
    columns: npt.NDArray[np.intp] | None
    skewed: _Skewed
    length: int
    support: Support | None


class StimCircuit:
    """One circuit in stim's form, with its observables.

    Args:
        circuit: one that `Stim.reasons` has nothing against.
        observables: on as many qubits.
        settings: its noise, and the memory that one call may take.
    """

    def __init__(self, circuit: Circuit, observables: Sequence[Observable], settings: Settings) -> None:
        self._readout = settings.readout
        self.table = AngleTable(circuit.parameters, [])
        self.notes: dict[str, object] = {"method": METHOD}
        self._qubits = circuit.num_qubits
        self._limit = settings.memory_limit_bytes
        self._observables = tuple(observables)
        self._program = program(settings.noisy(circuit), self._readout)
        final = [self._program.final.get(bit) for bit in range(circuit.key_length)]
        self._plan = self._planned(final, "", self._program.records)
        self._bases: dict[str, _Plan] = {}
        self._values: list[float] | None = None

    def sample(self, angles: list[float], shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        return self._draw(self._plan, shots, seed)

    def sample_in(self, angles: list[float], basis: str, shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        plan = self._bases.get(basis)
        if plan is None:
            plan = self._planned(list(range(self._qubits)), basis, {})
            if len(self._bases) < KEPT_BASES:
                self._bases[basis] = plan
        return self._draw(plan, shots, seed)

    def expectations(self, angles: list[float]) -> list[float]:
        """Return the exact values, noise included; what does not depend on parameters is worked out once.

        Raises:
            Unsupported: a Pauli depends on several bits together, of which a string of Paulis knows no more.
        """
        if self._program.forks:
            raise Unsupported("stim has no exact values behind an if that looks at several bits together; ask with shots")
        if self._values is None:
            backwards = Backwards(self._program.circuit, self._qubits)
            self._values = [backwards.expectation(observable) for observable in self._observables]
        return list(self._values)

    def _planned(self, final: Sequence[int | None], basis: str, records: dict[int, int]) -> _Plan:
        """Plan the reading of these qubits at the end, one for each bit; where there is none, what was read before, or 0."""
        import stim

        before = self._program.circuit.num_measurements
        turns = [line(TURNS[letter], [qubit]) for qubit, letter in enumerate(basis) if letter in TURNS]
        lines = list(turns)
        skewed, misread = dict(self._program.skewed), False
        for bit, qubit in enumerate(final):
            low, high = (0.0, 0.0) if qubit is None else self._readout(qubit) or (0.0, 0.0)
            if low != high:
                skewed[before + bit] = (low, high)
            misread = misread or low > 0 or high > 0
            lines.append(line("MPAD" if qubit is None else "M", [qubit or 0], [low] if low and low == high else []))
        tail = stim.Circuit("\n".join(lines))
        reference = (self._program.circuit + tail).reference_sample().astype(np.uint8)[:, None] * np.uint8(255)
        columns = np.array([records.get(bit, before + bit) for bit in range(len(final))], dtype=np.intp)
        ups, downs = (np.array([pair[side] for pair in skewed.values()])[:, None] for side in (0, 1))
        even = None
        if not (before or misread or self._program.forks) and len(final) <= WORD_BITS:
            outcome = int.from_bytes(np.packbits(reference[:, 0] & 1).tobytes(), "big") >> (-len(final) % 8)
            even = support(self._program.circuit + stim.Circuit("\n".join(turns)), outcome, final)
        return _Plan(tail, reference, columns if before else None, _Skewed(list(skewed), ups, downs), len(final), even)

    # ---- drawing -------------------------------------------------------------------------------------------------

    def _draw(self, plan: _Plan, shots: int, seed: int) -> tuple[KeyArray, IntArray]:
        if plan.support is not None:
            need = plan.support.bytes_for(shots)
            self._check_memory(plan.length, shots, -(-need // shots), min(shots, need), 0)
            return plan.support.draw(shots, seed)
        width = max(len(plan.reference), 2 * self._qubits) * (FORK_SHARE if self._program.forks else 1)
        chunk = min(shots, max(1 << 10, CHUNK_BITS // width & ~1023))
        narrow = plan.length <= WORD_BITS
        rows = min(shots, 1 << plan.length) if narrow else shots
        each = (ALONE_BYTES if shots <= chunk else MERGED_BYTES) if narrow else 8 - (-plan.length // 8)
        self._check_memory(plan.length, shots, each, rows, chunk * width // 2)
        parts = self._chunks(plan, shots, seed, chunk)
        if narrow:
            tally = Tally()
            for part in parts:
                tally.add(*_counted(_keys(part, plan.length), plan.length))
            return tally.table()
        found = np.empty((shots, -(-plan.length // 8)), dtype=np.uint8)
        for place, part in enumerate(parts):
            found[place * chunk : place * chunk + len(part)] = part
        return found, np.ones(shots, dtype=np.int64)  # type: ignore[return-value]  # rows of wide results are bytes

    def _chunks(self, plan: _Plan, shots: int, seed: int, chunk: int) -> Iterator[ByteArray]:
        """Yield the shots in parts, packed: shape (shots, bytes), the first bit most significant."""
        import stim

        frames = stim.FlipSimulator(batch_size=chunk, num_qubits=self._qubits, seed=seed)
        generator = seeded(seed) if plan.skewed.places else None
        for start in range(0, shots, chunk):
            if start:
                frames.clear()
            for stage in self._program.stages:
                frames.do(stage.circuit)
                _fork(frames, stage, plan.reference)
            frames.do(plan.tail)
            bits: ByteArray = frames.get_measurement_flips(bit_packed=True)
            bits ^= plan.reference
            if generator is not None:
                _misread(bits, plan.skewed, chunk, generator)
            yield shot_major(bits if plan.columns is None else bits[plan.columns])[: min(chunk, shots - start)]

    def _check_memory(self, length: int, shots: int, each: int, rows: int, buffers: int) -> None:
        require_drawing("stim", shots, length, each=each, rows=rows, buffers=buffers, limit=self._limit)


def _fork(frames: stim.FlipSimulator, stage: Stage, reference: ByteArray) -> None:
    """Apply the Paulis of a stage's forks to the frames of the shots that they are for."""
    if not stage.forks:
        return
    shots = frames.batch_size
    places = {place for fork in stage.forks for one in fork.conditions for place in one.places if place is not None}
    bits = {place: frames.get_measurement_flips(record_index=place) ^ bool(reference[place, 0]) for place in places}
    qubits = 1 + max(qubit for fork in stage.forks for _, qubit in fork.paulis)
    masks = {letter: np.zeros((qubits, shots), dtype=np.bool_) for letter in "XZ"}
    for fork in stage.forks:
        chosen = np.ones(shots, dtype=np.bool_)
        for condition in fork.conditions:
            chosen &= _fulfilled(condition, bits, shots)
        for letter, qubit in fork.paulis:
            for part in PARTS[letter]:
                masks[part][qubit] ^= chosen
    for letter, mask in masks.items():
        frames.broadcast_pauli_errors(pauli=letter, mask=mask)


def _fulfilled(condition: Condition, bits: Mapping[int, BoolArray], shots: int) -> BoolArray:
    """Return for each shot whether a condition is fulfilled."""
    equal: BoolArray = np.ones(shots, dtype=np.bool_)
    for position, place in enumerate(condition.places):
        wanted = bool(condition.value >> position & 1)
        if place is None:
            equal &= not wanted
        else:
            equal &= bits[place] == wanted
    return equal if condition.holds else ~equal


def _misread(bits: ByteArray, skewed: _Skewed, shots: int, generator: np.random.Generator) -> None:
    """Flip bits of these places in place, 0 with one probability and 1 with the other; packed along shots."""
    values = np.unpackbits(bits[skewed.places], axis=1, count=shots, bitorder="little")
    values ^= generator.random(values.shape) < np.where(values, skewed.downs, skewed.ups)
    bits[skewed.places] = np.packbits(values, axis=1, bitorder="little")


def shot_major(bits: ByteArray) -> ByteArray:
    """Turn a bit matrix over.

    Args:
        bits: shape (rows, bytes), column 8 b + t is bit t, of value 2**t, of byte b.

    Returns:
        Shape (8 * bytes, ceil(rows / 8)): a row for each column, as `np.packbits` packs it.

    >>> shot_major(np.array([[0b1], [0b1], [0b10]], dtype=np.uint8))[:2].tolist()
    [[192], [32]]
    """
    rows, columns = bits.shape
    height = -(-rows // 8)
    blocks = np.zeros((height * 8, columns), dtype=np.uint8)
    blocks[:rows] = bits
    # Byte 7 - j of a word is row j of its block; after the turn, byte t has column t, the first row most significant.
    words = np.ascontiguousarray(blocks.reshape(height, 8, columns)[:, ::-1].transpose(2, 0, 1)).view("<u8")[..., 0]
    for shift, mask in SWAPS:
        wrong = (words ^ (words >> np.uint64(shift))) & np.uint64(mask)
        words ^= wrong
        words ^= wrong << np.uint64(shift)
    turned = words.view(np.uint8).reshape(columns, height, 8)
    return np.ascontiguousarray(turned.transpose(0, 2, 1)).reshape(8 * columns, height)


def _keys(rows: ByteArray, length: int) -> KeyArray:
    """Return packed rows of up to 64 bits as numbers."""
    padded = np.zeros((len(rows), 8), dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    keys: KeyArray = padded.view(">u8")[:, 0].astype(np.uint64) >> np.uint64(WORD_BITS - length)
    return keys


def _counted(keys: KeyArray, length: int) -> tuple[KeyArray, IntArray]:
    """Return the distinct keys, ascending, and how often each is there."""
    if 1 << length <= 4 * len(keys):
        counts = np.bincount(keys.view(np.int64))
        seen = counts.nonzero()[0]
        return seen.view(np.uint64), counts[seen]
    distinct, counts = np.unique(keys, return_counts=True)
    return distinct, counts

"""Adapter of Qiskit Aer: noise, feed-forward, density matrices, matrix product states.

Aer's public face takes 1.2 ms for a bound circuit of four qubits; here its C++ circuits are assembled once and called directly,
with the angles of each run: 0.1 ms. These classes are no public interface of Aer, so this module and `aer_circuits` are all that
touches them, and releases that were not checked are refused.

Where one distribution stands at the end (a pure state, or a density matrix), Aer gives its probabilities and our own sampler
draws. Else Aer draws shot by shot, about 25 us for each: shot k of a run seeds its generator with the run's seed plus k, so that
neighbouring seeds would share all shots but one. Seeds are therefore scattered over 62 bits first.

Shot by shot a state vector takes more with each qubit (measured: 0.03 ms with 4 qubits, 1 ms with 12, 47 ms with 17), stabilizers
take 0.03 ms with any of these and 0.07 ms with 60. So they run every Clifford circuit with an `if`, such as stim refuses: more
than Paulis behind the `if`, or bits that are misread unequally.

Shot branching, which Aer offers for feed-forward, is not used: with readout errors it gives wrong counts (seen in 0.18).
"""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from qloom.circuits import Circuit, Instruction
from qloom.circuits.circuit import BLOCKS
from qloom.devices.aer_bonds import Bonds
from qloom.devices.aer_circuits import Facts, Ready, Recorder, facts_of
from qloom.devices.clifford import step_problem
from qloom.devices.compiled import KeyMap
from qloom.devices.engines import over_limit, spelled, suitable_threads
from qloom.devices.sampler import draw, drawing_bytes, seeded
from qloom.devices.shot_engines import MAX_BOND, method_bytes, sample_bytes
from qloom.devices.tallies import ALONE_BYTES, MERGED_BYTES, Tally, require_drawing
from qloom.errors import MissingExtra, Unsupported
from qloom.kit.angle_table import AngleTable
from qloom.results import Engine
from qloom.results.samples import WORD_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qloom.circuits import Observable
    from qloom.devices.shot_engines import Settings
    from qloom.results import IntArray, KeyArray
    from qloom.tasks import FloatArray

    Drawn = tuple[KeyArray, IntArray]

CHECKED_RELEASES = ("0.17", "0.18")
METHODS = ("statevector", "density_matrix", "mps", "stabilizer", "trajectories")
AER_METHODS = {"mps": "matrix_product_state", "trajectories": "statevector"}
DENSITY_QUBITS = 10
"""Up to so many qubits a density matrix, run once, is faster than a thousand trajectories."""

MPS_STATE_QUBITS = 10
"""Up to so many qubits an MPS gives all its probabilities in less time than a hundred shots."""

SHOWN = 3
"""So many reasons of one kind are named."""

KEPT_BASES = 256
SHOTS_AT_ONCE, BITS_AT_ONCE = 1 << 16, 1 << 22
"""The most shots that Aer draws in one call, and the most bits of all of them: so memory does not follow the shots, and a long
run can be interrupted. Part of what a seed means."""
KEY_OF_AER = 300
"""Bytes that a distinct key of one call takes: its text and its count in Aer's answer and in ours."""
SETS_AT_ONCE = 64
"""So many parameter sets go into one call of Aer, where they are small."""

AMPLITUDES_AT_ONCE = 1 << 16
"""The most basis states of all sets of one call, so that many sets take no more memory than one."""


class Aer:
    """The library behind `sim` for noise, feed-forward and tensor networks.

    Args:
        device: `CPU`, or `GPU` where Aer's package for GPUs is installed and there is one.

    Raises:
        MissingExtra: it is not installed, in a release that was not checked, or has no such device.

    >>> from qloom.devices.shot_engines import Settings
    >>> noisy = Circuit(2).h(0).cx(0, 1).channel("bit_flip", 1, probabilities=[0.1])
    >>> engine, ready = Aer().compile(noisy, [], Settings(), None)
    >>> keys, counts = ready.sample([], shots=100, seed=1)
    >>> engine.name, engine.reason, keys.tolist(), int(counts.sum())
    ('aer', 'method density_matrix', [0, 1, 2, 3], 100)
    """

    def __init__(self, device: str = "CPU") -> None:
        try:
            import qiskit_aer
            from qiskit_aer.backends import controller_wrappers
        except ImportError as error:
            raise MissingExtra(f"Aer is not installed ({error}); `pip install 'qloom[qiskit]'`") from error
        self.version = str(qiskit_aer.__version__)
        if not self.version.startswith(tuple(f"{release}." for release in CHECKED_RELEASES)):
            raise MissingExtra(
                f"Aer {self.version} is installed, its classes were checked in {', '.join(CHECKED_RELEASES)} only; "
                "`pip install 'qloom[qiskit]'`"
            )
        self.bindings: Any = controller_wrappers
        self._controller = controller_wrappers.aer_controller_execute()
        if device not in self.devices:
            raise MissingExtra(f"Aer has no {device} here, only {', '.join(self.devices)}; `pip install qiskit-aer-gpu`")
        self._device = device
        self.name = "aer" if device == "CPU" else f"aer_{device.lower()}"

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """What Aer can compute on here: `CPU`, and `GPU` where it can."""
        return tuple(str(name) for name in self._controller.available_devices())

    def reasons(self, circuit: Circuit, kind: str, settings: Settings) -> list[str]:
        """Return every reason why Aer cannot run this circuit so.

        >>> from qloom.devices.shot_engines import Settings
        >>> Aer().reasons(Circuit(1).h(0).channel("bit_flip", 0, probabilities=[0.1]), "sample", Settings("statevector"))[0][:63]
        'noise (bit_flip) has no single state; take method density_matri'
        """
        if settings.method not in (None, *METHODS):
            return [f"method {settings.method}, {self.name} has {', '.join(METHODS)}"]
        try:
            facts = facts_of(settings.noisy(circuit))
        except Unsupported as error:
            return [str(error)]
        method = settings.method or _suitable(facts, circuit.num_qubits, values=kind == "estimate", settings=settings)
        found = [] if circuit.num_qubits else ["a circuit without qubits"]
        if facts.open_channels:
            found.append(f"a probability of {_names(facts.open_channels)} is a parameter, which noise cannot have here; bind it")
        if method == "statevector" and facts.channels:
            found.append(
                f"noise ({_names(facts.channels)}) has no single state; take method density_matrix for the whole mixture, "
                "or trajectories for one state in each shot"
            )
        if method == "stabilizer":
            found += _no_stabilizers(facts)
        if kind == "estimate" and (reason := _without_values(facts, method)):
            found.append(reason)
        return [*found, *_too_large(method, circuit.num_qubits, settings)]

    def compile(
        self, circuit: Circuit, observables: Sequence[Observable], settings: Settings, threads: int | None
    ) -> tuple[Engine, AerCircuit]:
        """Make a circuit ready.

        Threads share a state vector or, where shots are run one by one, the shots; samples do not depend on them.
        """
        noisy = settings.noisy(circuit)
        facts = facts_of(noisy)
        method = settings.method or _suitable(facts, circuit.num_qubits, values=bool(observables), settings=settings)
        width = circuit.num_qubits * (2 if method == "density_matrix" else 1)
        count = suitable_threads(width, threads)
        made = AerCircuit(self, noisy, facts, observables, method=method, settings=settings, threads=count)
        return Engine(self.name, self.version, count, f"method {method}"), made

    def execute(self, ready: Ready, options: dict[str, object]) -> list[dict[str, Any]]:
        """Run an Aer circuit and return its results, one for each parameter set.

        Raises:
            Unsupported: Aer says why it cannot.
        """
        config = self.bindings.AerConfig()
        config.device = self._device
        for name, value in options.items():
            setattr(config, name, value)
        answer = self._controller.execute([ready.circuit], {}, config)
        if not answer["success"]:
            told = "; ".join(str(result.get("status", "")) for result in answer["results"]) or answer["status"]
            raise Unsupported(f"{self.name} cannot compute this: {told}")
        found: list[dict[str, Any]] = answer["results"]
        return found


class AerCircuit:
    """One circuit in Aer's form, with its observables. Safe to use from several threads at once.

    Args:
        library: the engine.
        circuit: with its noise in it.
        facts: of the circuit.
        observables: on as many qubits.
        method: one of `METHODS`.
        settings: how.
        threads: for one call.
    """

    def __init__(
        self,
        library: Aer,
        circuit: Circuit,
        facts: Facts,
        observables: Sequence[Observable],
        *,
        method: str,
        settings: Settings,
        threads: int,
    ) -> None:
        self._library = library
        self._facts = facts
        self._qubits = circuit.num_qubits
        self._length = circuit.key_length
        self._bits = circuit.num_clbits
        self._measures = any(step.name == "measure" for step in circuit.every())
        self._observables = tuple(observables)
        self._method = method
        self._aer_method = AER_METHODS.get(method, method)
        self._settings = settings
        self._readout = settings.readout
        self._bond = settings.max_bond or MAX_BOND
        self._threads = threads
        self._bonds = Bonds(self._qubits, self._bond) if method == "mps" else None
        self._bases: dict[str, Ready] = {}
        first = self._values if observables and not _without_values(facts, method) else self._sampling
        self.table = AngleTable(circuit.parameters, first.angles)

    @property
    def notes(self) -> dict[str, object]:
        """The method; for an MPS its bonds and the weight cut off, see `Bonds.notes`."""
        return {"method": self._method, **(self._bonds.notes() if self._bonds is not None else {})}

    # ---- samples -------------------------------------------------------------------------------------------------

    def sample(self, angles: list[float], shots: int, seed: int) -> Drawn:
        """Draw shots."""
        return self.sample_sets([angles], shots, [seed])[0]

    def sample_sets(self, sets: Sequence[list[float]], shots: int, seeds: Sequence[int]) -> list[Drawn]:
        """Draw shots for each parameter set: what `sample` gives for one after the other; half its time on few qubits."""
        ready, pairs = self._sampling, zip(sets, seeds, strict=True)
        if not self._distribution:
            return [self._drawn(ready, angles, shots, seed, self._length, len(sets)) for angles, seed in pairs]
        self._check_sampler(shots)
        found = zip(self._probabilities(ready, sets), seeds, strict=True)
        drawn = [draw(seeded(seed), self._misread(row, self._read_qubits), shots) for row, seed in found]
        return drawn if self._keys.identity else [self._keys.apply(*pair) for pair in drawn]

    def sample_in(self, angles: list[float], basis: str, shots: int, seed: int) -> Drawn:
        """Draw shots of all qubits at the end, each turned so that its letter's eigenstates are 0 and 1."""
        ready = self._bases.get(basis) or self._in_basis(basis)
        everything = range(self._qubits)
        if self._one_state:
            self._check_sampler(shots)
            return draw(seeded(seed), self._misread(next(self._probabilities(ready, [angles])), everything), shots)
        return self._drawn(ready, angles, shots, seed, self._qubits)

    # ---- values --------------------------------------------------------------------------------------------------

    def expectations(self, angles: list[float]) -> list[float]:
        """Return the exact expectation value of each observable; up to what an MPS cut off.

        Raises:
            Unsupported: there are none; what would be sampled is named.
        """
        return self.expectation_sets([angles])[0]

    def expectation_sets(self, sets: Sequence[list[float]]) -> list[list[float]]:
        """Return the values of each parameter set: what `expectations` gives for one after the other."""
        if reason := _without_values(self._facts, self._method):
            raise Unsupported(f"{self._library.name} cannot compute this: {reason}")
        ready = self._values
        found = (result["data"] for result in self._run_sets(ready, sets))
        return [[float(data[str(number)]) for number in range(len(self._observables))] for data in found]

    # ---- Aer circuits, made when they are needed -----------------------------------------------------------------

    @cached_property
    def _one_state(self) -> bool:
        """True where one distribution of the basis states stands at the end of every run, and Aer gives it."""
        if self._method == "density_matrix":
            return not self._facts.adaptive
        if self._method == "stabilizer":
            return False
        return self._facts.pure and (self._method != "mps" or self._qubits <= MPS_STATE_QUBITS)

    @cached_property
    def _distribution(self) -> bool:
        """True where the measured bits follow from it."""
        reads = self._facts.reads
        if not self._one_state or reads is None or self._length > WORD_BITS:
            return False
        # A qubit that is read twice is misread each time anew.
        return len(reads) == len({qubit for _, qubit in reads}) or all(self._readout(qubit) is None for _, qubit in reads)

    @cached_property
    def _read_qubits(self) -> list[int]:
        return list(dict.fromkeys(qubit for _, qubit in self._facts.reads or ()))

    @cached_property
    def _keys(self) -> KeyMap:
        """From the basis states of the qubits that are read to keys."""
        places = {qubit: place for place, qubit in enumerate(self._read_qubits)}
        reads = self._facts.reads or ()
        step = Instruction("measure", tuple(places[qubit] for _, qubit in reads), (), tuple(bit for bit, _ in reads))
        steps = (step,) if self._measures else ()
        return KeyMap(Circuit.trusted(len(places), steps, self._length, ()))

    @cached_property
    def _sampling(self) -> Ready:
        if self._distribution:
            recorder = self._recorder(0)
            recorder.play(step for step in self._facts.read_steps if step.name != "measure")
            recorder.save_probabilities(self._read_qubits, "p")
            return recorder.ready()
        if not self._measures:
            return self._in_basis("I" * self._qubits)
        recorder = self._recorder(self._length)
        recorder.play(self._facts.read_steps)
        return recorder.ready()

    def _in_basis(self, basis: str) -> Ready:
        recorder = self._recorder(0 if self._one_state else self._bits + self._qubits)
        self._to_the_end(recorder)
        recorder.turn(basis)
        if self._one_state:
            recorder.save_probabilities(range(self._qubits), "p")
        else:
            recorder.measure(range(self._qubits), range(self._bits, self._bits + self._qubits))
        if len(self._bases) >= KEPT_BASES:
            self._bases.clear()
        made = self._bases[basis] = recorder.ready()
        return made  # not what is kept: another thread may have emptied it

    @cached_property
    def _values(self) -> Ready:
        recorder = self._recorder(0)
        self._to_the_end(recorder)
        recorder.save_values(self._observables)
        return recorder.ready()

    def _to_the_end(self, recorder: Recorder) -> None:
        recorder.play(self._facts.end_steps, measure=self._method != "density_matrix" or self._facts.adaptive)

    def _recorder(self, num_bits: int) -> Recorder:
        return Recorder(self._library.bindings, self._aer_method, self._qubits, num_bits, self._readout)

    # ---- runs ----------------------------------------------------------------------------------------------------

    def _probabilities(self, ready: Ready, sets: Sequence[list[float]]) -> Iterator[FloatArray]:
        """Yield a distribution for each set; rounding may leave what is 0 a little below it in a density matrix."""
        return (np.maximum(result["data"]["p"], 0.0) for result in self._run_sets(ready, sets))

    def _misread(self, probabilities: FloatArray, qubits: Sequence[int]) -> FloatArray:
        """Apply the readout errors of qubits to their joint distribution."""
        for place, qubit in enumerate(qubits):
            errors = self._readout(qubit)
            if errors is not None:
                up, down = errors
                table = probabilities.reshape(1 << place, 2, -1)
                zero, one = table[:, 0], table[:, 1]
                probabilities = np.stack([(1 - up) * zero + down * one, up * zero + (1 - down) * one], axis=1).reshape(-1)
        return probabilities

    def _drawn(self, ready: Ready, angles: list[float], shots: int, seed: int, length: int, sets: int = 1) -> Drawn:
        """Let Aer draw shots, a part at a time; keys have the last `length` bits of its own."""
        step = self._check_drawing(shots, length, ready.num_bits, sets)
        parts = self._parts(ready, angles, shots, seed, length, step)
        if shots <= step:
            return next(parts)
        if length <= WORD_BITS:
            tally = Tally()
            for keys, counts in parts:
                tally.add(keys, counts)
            return tally.table()
        rows = np.empty((shots, -(-length // 8)), dtype=np.uint8)
        for place, (found, _) in enumerate(parts):
            rows[place * step : place * step + len(found)] = found
        return rows, np.ones(shots, dtype=np.int64)  # type: ignore[return-value]  # rows, as the table says

    def _parts(self, ready: Ready, angles: list[float], shots: int, seed: int, length: int, step: int) -> Iterator[Drawn]:
        """Yield tables of up to `step` shots, each by a run of its own with its own seed."""
        plain = self._options(ready, [angles])
        mask = (1 << length) - 1
        for number, start in enumerate(range(0, shots, step)):
            own = _scattered(seed, number)
            options = {**plain, "shots": min(step, shots - start), "seed_simulator": own}
            if self._bonds is not None and self._bonds.wanted and not number:
                results = self._logged(self._bonds, ready, options)
            else:
                results = self._library.execute(ready, options)
            counts: dict[int, int] = {}
            for text, count in results[0]["data"]["counts"].items():
                key = int(text, 16) & mask
                counts[key] = counts.get(key, 0) + count
            yield _table(dict(sorted(counts.items())), length, own if number else seed)

    def _check_drawing(self, shots: int, length: int, num_bits: int, sets: int) -> int:
        """Refuse what does not fit into memory, and return how many shots Aer draws in one call."""
        width = max(num_bits, self._qubits, 1)
        step = min(SHOTS_AT_ONCE, max(1 << 10, BITS_AT_ONCE // width))
        if length <= WORD_BITS:
            each, rows = (ALONE_BYTES if shots <= step else MERGED_BYTES), min(shots, 1 << length)
        else:
            each, rows = 8 - (-length // 8), shots
        buffers = min(shots, step) * (8 * width + KEY_OF_AER)
        limit = self._settings.memory_limit_bytes
        require_drawing(self._library.name, shots, length, each=each * sets, rows=rows, buffers=buffers, limit=limit)
        return step

    def _check_sampler(self, shots: int) -> None:
        """Refuse what our own sampler cannot draw in memory from the distribution of all qubits.

        Raises:
            Unsupported: it takes more bytes than the limit; both are named.
        """
        need = sample_bytes(self._method, self._qubits, self._bond) + drawing_bytes(1 << self._qubits, shots)
        over = over_limit(need, self._settings.memory_limit_bytes)
        if over is not None:
            raise Unsupported(
                f"{self._library.name} cannot draw this: {shots} shots of {self._qubits} qubits need {need} bytes, {over}; "
                "ask for fewer shots"
            )

    def _run_sets(self, ready: Ready, sets: Sequence[list[float]]) -> Iterator[dict[str, Any]]:
        """Run each parameter set once, small ones many in one call; yield the results, which may be large."""
        if not ready.slots:
            yield from self._run_once(ready, sets[:1]) * len(sets)
            return
        most = min(SETS_AT_ONCE, max(1, AMPLITUDES_AT_ONCE >> self._qubits))
        step = most if self._bonds is None else 1  # the log does not tell sets apart
        for start in range(0, len(sets), step):
            yield from self._run_once(ready, sets[start : start + step])

    def _run_once(self, ready: Ready, sets: Sequence[list[float]]) -> list[dict[str, Any]]:
        options = self._options(ready, sets)
        if self._bonds is not None and self._bonds.wanted:
            return self._logged(self._bonds, ready, options)
        return self._library.execute(ready, options)

    def _logged(self, bonds: Bonds, ready: Ready, options: dict[str, object]) -> list[dict[str, Any]]:
        """Run with a log of the bonds; where shots run one by one, a single one of them is looked at, by a run of its own."""
        with Bonds.lock:
            one_by_one = not self._facts.pure and options["shots"] != 1
            logged = {**options, "mps_log_data": True, "max_parallel_shots": 1}
            results = self._library.execute(ready, {**logged, "shots": 1} if one_by_one else logged)
            bonds.note(str(results[-1]["metadata"].get("MPS_log_data", "")))
        return self._library.execute(ready, options) if one_by_one else results

    def _options(self, ready: Ready, sets: Sequence[list[float]]) -> dict[str, object]:
        options: dict[str, object] = {
            "method": self._aer_method,
            "shots": 1,
            "seed_simulator": 0,
            "n_qubits": self._qubits,
            "memory_slots": ready.num_bits,
            "max_parallel_threads": self._threads,
            "max_parallel_shots": self._threads,
        }
        if self._method == "mps":
            options["matrix_product_state_max_bond_dimension"] = self._bond
        if ready.slots:
            columns = zip(*sets, strict=True)
            options["parameterizations"] = [[[slot, list(column)] for slot, column in zip(ready.slots, columns, strict=True)]]
            options["runtime_parameter_bind_enable"] = len(sets) > 1
        return options


def _suitable(facts: Facts, num_qubits: int, settings: Settings, *, values: bool) -> str:
    """Return the method for a circuit that nobody chose one for.

    Exact values of a mixture need its density matrix. Samples of a small mixture come from it as well, in one run; those of a
    large or adaptive one from trajectories, shot by shot.
    """
    mixed = bool(facts.channels) or facts.resets
    shot_by_shot = "trajectories" if facts.channels else "statevector"
    if facts.adaptive and not values and not _no_stabilizers(facts):
        return "stabilizer"
    if facts.adaptive or _too_large("density_matrix", num_qubits, settings):
        return shot_by_shot
    if values:
        return "density_matrix" if mixed or facts.reads is None else "statevector"
    return "density_matrix" if mixed and facts.reads is not None and num_qubits <= DENSITY_QUBITS else shot_by_shot


def _without_values(facts: Facts, method: str) -> str | None:
    """Return why there are no exact values; None where there are."""
    if facts.adaptive:
        return "exact values behind an `if` would need every branch, and would be sampled; ask with shots"
    if method == "density_matrix" or facts.pure:
        return None
    if facts.channels:
        what = f"noise ({_names(facts.channels)})"
    else:
        what = "a reset in the middle of the circuit" if facts.resets else "a measurement in the middle of the circuit"
    return f"exact values with {what} would be sampled by method {method}; take method density_matrix, or ask with shots"


def _too_large(method: str, num_qubits: int, settings: Settings) -> list[str]:
    """Return why a call does not fit into memory, in a list; an empty one where it does."""
    if method == "density_matrix":
        what, advice = "the density matrix", "use fewer qubits, or method trajectories"
    elif method == "mps":
        bond = min(settings.max_bond or MAX_BOND, 1 << (num_qubits // 2))
        what, advice = f"states with up to {bond} at each cut", "use a smaller max_bond"
    elif method == "stabilizer":
        what, advice = "its stabilizers", "use fewer qubits"
    else:
        what, advice = "the state", "use fewer qubits, or method mps"
    state, need = (count(method, num_qubits, settings.max_bond) for count in (method_bytes, sample_bytes))
    over = over_limit(need, settings.memory_limit_bytes)
    if over is None:
        return []
    return [f"{num_qubits} qubits need {spelled(state)} bytes for {what} ({spelled(need)} in all), {over}; {advice}"]


def _no_stabilizers(facts: Facts) -> list[str]:
    """Return why a circuit is none for stabilizers, its first steps that are not, also behind an `if`."""
    if find_spec("stim") is None:
        return ["method stabilizer knows Clifford gates by stim, which is not installed; `pip install 'qloom[sim]'`"]
    steps = ((number, inner) for number, step in enumerate(facts.read_steps) for inner in _inside(step))
    problems = (step_problem(inner, number) for number, inner in steps)
    return list(islice((text for text in problems if text is not None), SHOWN))


def _inside(step: Instruction) -> Iterator[Instruction]:
    """Yield a step, or what is in it."""
    if step.name not in BLOCKS:
        yield step
    for inner in (*step.body, *step.orelse):
        yield from _inside(inner)


def _names(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _scattered(seed: int, part: int = 0) -> int:
    """Return 62 bits for a part of a run with a seed of 64: far apart from those of its neighbours."""
    words = seed.to_bytes(8, "little") + (part.to_bytes(8, "little") if part else b"")
    return int.from_bytes(blake2b(words, digest_size=8).digest(), "little") >> 2


def _table(counts: dict[int, int], length: int, seed: int) -> Drawn:
    """Return keys and counts as a sample table holds them: a row for each shot, in an order drawn from the seed, if wide."""
    numbers = np.fromiter(counts.values(), np.int64, len(counts))
    if length <= WORD_BITS:
        return np.fromiter(counts, np.uint64, len(counts)), numbers
    width = -(-length // 8)
    packed = b"".join((key << (8 * width - length)).to_bytes(width, "big") for key in counts)
    rows = np.repeat(np.frombuffer(packed, np.uint8).reshape(-1, width), numbers, axis=0)
    shuffled = rows[seeded(seed).permutation(len(rows))]
    return shuffled, np.ones(len(rows), dtype=np.int64)  # type: ignore[return-value]  # rows, as the table says

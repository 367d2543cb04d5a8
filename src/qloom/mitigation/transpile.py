"""The stage `transpile`: a circuit in a device's own gates, on its own qubits, by Qiskit's transpiler."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from qloom.circuits import Circuit
from qloom.circuits.gates import ALIASES, GATES
from qloom.contracts.stage import Answer, Expansion, Stage, StageContext
from qloom.errors import InvalidCircuit, UnknownName, Unsupported
from qloom.kit.compile_cache import CompileCache
from qloom.kit.transpiling import transpile
from qloom.specs import Connectivity, reasons_against

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qloom.kit.transpiling import Layout
    from qloom.specs import DeviceSpec

SEEDS = 1 << 32


class TranspileOptions(BaseModel):
    """What can be set of the stage `transpile`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: int = Field(1, ge=0, le=3, description="How hard Qiskit tries, 0 to 3; 0 only translates and routes.")
    seed: int | None = Field(None, ge=0, lt=SEEDS, description="Of Qiskit's random tries; that of the pipeline if none is given.")
    basis: tuple[str, ...] | None = Field(
        None, min_length=1, description="Gates to use instead of all that the device runs as they are; names such as rz, sx, cx."
    )
    coupling: str | tuple[tuple[int, int], ...] | None = Field(
        None,
        description="Which qubits are coupled, instead of those that the device couples: linear, ring, grid(2, 3), all, text such"
        " as `0-1 1-2 2>3`, or a list of pairs. Qubit numbers are the device's.",
    )

    @field_validator("basis")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        found = None if names is None else tuple(ALIASES.get(name, name) for name in names)
        for name in found or ():
            if name not in GATES:
                raise UnknownName.among("gate", name, {*GATES, *ALIASES})
        return found

    @field_validator("coupling")
    @classmethod
    def _readable(cls, coupling: Any) -> Any:
        _connectivity(coupling)
        return coupling


class Transpile(Stage):
    """Rewrites a circuit in the device's gates and couplings by Qiskit's transpiler.

    The gates are the device's native ones (all its gates where it names none), the couplings those of its spec. Formulas of
    parameters stay formulas; Qiskit sees each as one parameter. Where couplings are limited the circuit is placed on the device's
    qubits, so it grows to their number; measurements and observables follow its qubits to where they are at its end, whatever
    swaps were needed. A global phase is kept only where the device has a gate for it.

    A circuit with a verbatim block is not moved: qubit i is the device's qubit i, the block stays as it is, and what is around it
    is translated gate by gate. Between the device and a stage that folds gates use level 0, which takes nothing out: higher
    levels would undo the folding. Better still let this stage come first, that is after the other in the list.

    Source: the preset pass managers of Qiskit, https://quantum.cloud.ibm.com/docs/guides/defaults-and-configuration-options;
    routing by SABRE, Li, Ding, Xie, arXiv:1809.02573, and LightSABRE, Zou and others, arXiv:2409.08368.

    What was transpiled is kept in the compile cache, so that the next process does not do it again; a cache that cannot be read
    or written costs time alone.

    Args:
        cache: the compile cache; that of `QLOOM_HOME` if None.

    Notes: `layout` and `initial_layout` (the device's qubit of each qubit at the end and at the start), `gates_before` and
    `gates_after` (name -> count), `level`, `seed`, `compiler`.

    >>> import pathlib, tempfile
    >>> from qloom.circuits import Parameter
    >>> from qloom.specs import DeviceSpec
    >>> stage = Transpile(CompileCache.below(pathlib.Path(tempfile.mkdtemp())))
    >>> line = DeviceSpec(name="line", num_qubits=3, gates=frozenset({"rz", "sx", "cx"}), connectivity=Connectivity.linear())
    >>> circuit = Circuit(3).ry(2 * Parameter("a"), 0).cx(0, 1).cx(1, 2).cx(0, 2)
    >>> found = stage.expand(circuit, TranspileOptions(level=0, seed=1), StageContext(spec=line))
    >>> sorted(found.recipe["gates_after"]), found.circuits[0].parameters, found.layout
    (['cx', 'rz', 'sx'], ('a',), (1, 0, 2))
    """

    name: ClassVar[str] = "transpile"
    options_type: ClassVar[type[Any]] = TranspileOptions

    def __init__(self, cache: CompileCache | None = None) -> None:
        self._cache = cache

    def expand(self, circuit: Circuit, options: TranspileOptions, context: StageContext) -> Expansion:
        """Return the circuit as the device runs it.

        Raises:
            Unsupported: it cannot be brought there, or has a measurement, `if` or noise channel in it; every reason is named.
            MissingExtra: Qiskit is not installed.
        """
        seed = context.seed % SEEDS if options.seed is None else options.seed
        goal = _goal(circuit, options, context.spec)
        _check_steps(circuit)
        cache = CompileCache.default() if self._cache is None else self._cache
        try:
            found = transpile(circuit, goal, seed=seed, level=options.level, cache=cache)
        except (Unsupported, InvalidCircuit) as error:
            raise Unsupported(f"transpile: {error}") from error
        made, final = found.unmeasured, found.layout.final
        if "verbatim" in made.instruction_names:  # it stays on its own qubits
            made = Circuit.trusted(circuit.num_qubits, made.instructions, 0, circuit.parameters, circuit.name)
        _check_fit(made, found.layout, goal, context.spec)
        recipe = {
            "layout": list(final),
            "initial_layout": list(found.layout.initial),
            "gates_before": _counted(circuit),
            "gates_after": _counted(made),
            "level": options.level,
            "seed": seed,
            "compiler": f"{found.compiler.name} {found.compiler.version}",
        }
        stays = final == tuple(range(made.num_qubits))
        return Expansion((made,), recipe, layout=None if stays else final)

    def weights(self, recipe: Mapping[str, Any], options: TranspileOptions, context: StageContext) -> Sequence[float]:
        """Return one weight: the answer as it is."""
        del recipe, options, context
        return (1.0,)

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: TranspileOptions, context: StageContext
    ) -> Answer:
        """Return the answer as it is."""
        context.notes.update(recipe)
        return answers[0]


def _connectivity(given: str | Iterable[Iterable[int]] | None) -> Connectivity | None:
    if given is None:
        return None
    return Connectivity.read("transpile: coupling", given) if isinstance(given, str) else Connectivity.of(given)


def _goal(circuit: Circuit, options: TranspileOptions, spec: DeviceSpec) -> DeviceSpec:
    """Return the device with the gates and couplings to end with.

    Raises:
        Unsupported: the options ask for gates or qubits that the device does not have.
    """
    runs = spec.gates if spec.native_gates is None else spec.native_gates
    basis = frozenset(options.basis or runs)
    if lacking := sorted(basis - runs):
        raise Unsupported(
            f"transpile: the option basis asks for {', '.join(lacking)}, but {spec.name} runs as they are only"
            f" {', '.join(sorted(runs))}; take gates from these"
        )
    goal = replace(spec, gates=basis, native_gates=runs)
    own = _connectivity(options.coupling)
    if own is None:
        return goal
    size = max(circuit.num_qubits, own.needed_qubits)
    if size > spec.num_qubits:
        raise Unsupported(f"transpile: {size} qubits are needed, and {spec.name} has {spec.num_qubits}; take a larger device")
    return replace(goal, connectivity=own, num_qubits=size)


def _check_steps(circuit: Circuit) -> None:
    for step in circuit.instructions:
        if step.kind != "gate" and step.name not in ("barrier", "reset", "delay", "verbatim"):
            raise Unsupported(
                f"transpile: the circuit holds, on qubits {list(step.qubits)}, the instruction {step.name}; only gates, resets,"
                " delays, barriers and verbatim blocks can be brought to a device, so leave the stage out"
            )


def _check_fit(made: Circuit, layout: Layout, goal: DeviceSpec, spec: DeviceSpec) -> None:
    """Refuse what the device would not run, where the couplings asked for are not its own."""
    if goal.connectivity == spec.connectivity:
        return
    machine = replace(goal, connectivity=spec.connectivity, num_qubits=spec.num_qubits)
    measured = made.measure(layout.final, range(len(layout.final)))
    if reasons := reasons_against(machine, measured, transpile=False):
        raise Unsupported(f"transpile: no way onto {spec.name} was found: {'; '.join(reasons)}")


def _counted(circuit: Circuit) -> dict[str, int]:
    counts = Counter(step.name for step in circuit.every() if step.kind == "gate")
    return dict(sorted(counts.items()))

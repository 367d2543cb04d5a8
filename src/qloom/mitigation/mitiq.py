"""The stage `mitiq`: techniques of the library Mitiq, imported only when used. Mitiq's licence is GPL-3.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qloom.contracts.stage import VALUES, Answer, Expansion, Stage, StageContext, StageCost
from qloom.errors import Unsupported
from qloom.mitigation.cirq_bridge import require_mitiq
from qloom.mitigation.mitiq_cdr import Cdr
from qloom.mitigation.mitiq_extrapolation import Ddd, Lre, Zne
from qloom.mitigation.mitiq_options import MitiqOptions
from qloom.mitigation.mitiq_pec import Pec
from qloom.mitigation.mitiq_vd import Vd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qloom.circuits import Circuit
    from qloom.mitigation.mitiq_technique import Technique

LICENCE = "GPL-3.0-only (Mitiq)"
TECHNIQUES: dict[str, Technique] = {"cdr": Cdr(), "ddd": Ddd(), "lre": Lre(), "pec": Pec(), "vd": Vd(), "zne": Zne()}
"""What is here of Mitiq."""


class Mitiq(Stage):
    """Runs a technique of Mitiq, such as `mitiq:pec`: pec, cdr, lre, zne, ddd or vd (Mitiq is GPL-3.0).

    In a pipeline: `"mitiq:zne"`, or with the technique's options `{"stage": "mitiq:pec", "options": {"two_qubit_error": 0.01}}`.

    Mitiq makes the circuits once for each structure, from the pipeline's seed, on circuits that carry our gates as they are, so
    parameters stay symbolic and nothing is rewritten on the way. It gives values, in units of the observable, never counts.

    - `zne`: Temme, Bravyi, Gambetta, arXiv:1612.02058; folding by Giurgica-Tiron and others, arXiv:2005.10921.
    - `lre`: layerwise Richardson extrapolation, Russo and Mari, arXiv:2402.04000.
    - `pec`: Temme and others as above; depolarizing noise with the probabilities that the options give. The circuits are drawn
      once and stay; the standard error holds what is due to the draw. Signs are fixed with them.
    - `cdr`: Czarnik and others, arXiv:2005.10189; more scales: Lowe and others, arXiv:2011.01157. Needs a circuit without
      parameters, on 20 qubits at most, whose gates off the Clifford group are turns about Z. Ideal values are worked out here.
    - `ddd`: pulses in idle windows counted in layers of gates; the stage `ddd` knows times.
    - `vd`: Huggins and others, arXiv:2011.07064; two copies of up to 6 qubits, sums of Z on single qubits.

    Source: Mitiq, LaRose and others, arXiv:2009.04417.

    Notes: `technique`, `licence`, `version`, `values` (of each circuit that ran, in order), and what the technique's recipe says:
    `weights`, `scales`, `norm`, `signs`, `ideal`.

    >>> options = MitiqOptions.model_validate({"technique": "pec", "options": {"two_qubit_error": 0.01, "samples": 50}})
    >>> Mitiq().cost(options).circuits, Mitiq.licence
    (50, 'GPL-3.0-only (Mitiq)')
    """

    name: ClassVar[str] = "mitiq"
    options_type: ClassVar[type[Any]] = MitiqOptions
    gives_counts: ClassVar[bool] = False
    licence: ClassVar[str] = LICENCE

    def expand(self, circuit: Circuit, options: MitiqOptions, context: StageContext) -> Expansion:
        """Return the circuits that Mitiq makes.

        Raises:
            MissingExtra: Mitiq is not installed.
            Unsupported: counts are asked for; the circuit, the observables or the options do not suit the technique.
        """
        version = require_mitiq()
        if context.wanted != VALUES:
            raise Unsupported(
                f"mitiq:{options.technique} gives expectation values, no counts; ask for observables, or leave the stage out"
            )
        found = TECHNIQUES[options.technique].expand(circuit, options.options, context)
        found.recipe["version"] = version
        return found

    def combine(
        self, recipe: Mapping[str, Any], answers: Sequence[Answer], options: MitiqOptions, context: StageContext
    ) -> Answer:
        """Return the mitigated values.

        Raises:
            Unsupported: they cannot be worked out from these answers.
        """
        who = f"mitiq:{options.technique}"
        found = TECHNIQUES[options.technique].combine(recipe, answers, options.options)
        if not (np.isfinite(found.values).all() and np.isfinite(found.standard_errors).all()):  # type: ignore[arg-type]
            raise Unsupported(f"{who}: what comes of the answers is no finite number; look at the values of the single circuits")
        values = [answer.values for answer in answers]
        context.notes.update(recipe, technique=options.technique, licence=LICENCE, values=values)
        return found

    def cost(self, options: MitiqOptions) -> StageCost:
        """Return what the technique multiplies; for `lre` without chunks and `pec` by precision the circuit decides."""
        return TECHNIQUES[options.technique].cost(options.options)

"""What can be set of each of Mitiq's techniques."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from qloom.circuits.gates import ALIASES, GATES
from qloom.errors import UnknownName, Unsupported

Scaling = Literal["random", "global", "all", "identity"]
Scales = tuple[Annotated[float, Field(ge=1, le=1000)], ...]
Rate = Annotated[float, Field(ge=0, lt=0.75)]

INSTEAD = {
    "pea": "zne",
    "pt": "twirling",
    "raw": "no stage at all",
    "rem": "readout",
    "trex": "readout or twirling",
}
"""What to take in the place of techniques that are not here."""
SCALING = "How noise is scaled: random, global and all fold gates, identity inserts layers of identities."


class TechniqueOptions(BaseModel):
    """Options of one technique."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ZneOptions(TechniqueOptions):
    """Zero-noise extrapolation."""

    technique: Literal["zne"] = "zne"
    scales: Scales = Field((1.0, 2.0, 3.0), min_length=2, description="Noise scales, each 1 or more.")
    scaling: Scaling = Field("random", description=SCALING)
    fit: Literal["linear", "polynomial", "richardson", "exponential", "poly_exponential", "fake_nodes"] = Field(
        "richardson", description="What is fitted to the values."
    )
    order: int = Field(2, ge=1, le=20, description="Degree of the polynomial, for polynomial and poly_exponential.")
    asymptote: float | None = Field(
        None, description="Value at infinite noise, for the exponential fits; fitted if none is given.", allow_inf_nan=False
    )

    @model_validator(mode="after")
    def _enough(self) -> ZneOptions:
        free = int(self.asymptote is None)
        needed = {
            "linear": 2,
            "polynomial": self.order + 1,
            "exponential": 2 + free,
            "poly_exponential": self.order + 1 + free,
        }.get(self.fit, 2)
        if len(set(self.scales)) < max(needed, len(self.scales)):
            raise ValueError(
                f"fit {self.fit} needs {needed} different scales and no scale twice, got {list(self.scales)}; give more scales"
            )
        return self


class LreOptions(TechniqueOptions):
    """Layerwise Richardson extrapolation."""

    technique: Literal["lre"] = "lre"
    degree: int = Field(2, ge=1, le=10, description="Degree of the polynomial in the layers' noise scales.")
    fold_multiplier: int = Field(2, ge=1, le=100, description="Folds of a layer between two scales of it.")
    chunks: int | None = Field(
        None, ge=1, description="In how many parts layers are scaled; each layer for itself if none is given."
    )
    scaling: Literal["random", "global", "all"] = Field("random", description="How layers are folded.")


class PecOptions(TechniqueOptions):
    """Probabilistic error cancellation of depolarizing noise."""

    technique: Literal["pec"] = "pec"
    one_qubit_error: Rate = Field(0.0, description="Probability of a random Pauli error after a gate on one qubit.")
    two_qubit_error: Rate = Field(0.0, description="The same for a gate on two qubits.")
    gate_errors: dict[str, Rate] = Field({}, description="The same for single gates, by name, instead of the two above.")
    noise: Literal["global", "local"] = Field(
        "global", description="Whether the error after a two-qubit gate is one of both qubits, or one of each."
    )
    samples: int = Field(100, ge=1, le=100_000, description="Circuits that are drawn.")
    precision: float | None = Field(
        None, gt=0, le=1, description="Instead of samples: draw (norm / precision)**2 circuits, norm being that of the circuit."
    )
    each_once: bool = Field(
        False, description="Run equal ones among the drawn circuits once, as is best where the device gives exact values."
    )

    @field_validator("gate_errors")
    @classmethod
    def _known(cls, rates: dict[str, float]) -> dict[str, float]:
        for name in rates:
            if ALIASES.get(name, name) not in GATES:
                raise UnknownName.among("gate", name, {*GATES, *ALIASES})
        return {ALIASES.get(name, name): rate for name, rate in rates.items()}

    @model_validator(mode="after")
    def _some(self) -> PecOptions:
        if not any((self.one_qubit_error, self.two_qubit_error, *self.gate_errors.values())):
            raise ValueError("all error rates are 0: give one_qubit_error, two_qubit_error or gate_errors")
        return self


class CdrOptions(TechniqueOptions):
    """Clifford data regression."""

    technique: Literal["cdr"] = "cdr"
    training_circuits: int = Field(10, ge=2, le=1000, description="How many near-Clifford circuits are run besides.")
    fraction_non_clifford: float = Field(0.1, ge=0, le=1, description="How many of the non-Clifford gates stay in them, 0 to 1.")
    select: Literal["uniform", "gaussian"] = Field("uniform", description="How the gates to be replaced are chosen.")
    replace: Literal["closest", "uniform", "gaussian"] = Field("closest", description="By which Clifford turn they are replaced.")
    intercept: bool = Field(True, description="Whether the regression line may pass by the origin.")
    scales: Scales = Field((1.0,), min_length=1, description="Noise scales; more than one make it variable-noise CDR.")
    scaling: Scaling = Field("random", description=SCALING)

    @model_validator(mode="after")
    def _enough(self) -> CdrOptions:
        if self.training_circuits < len(self.scales) + self.intercept:
            raise ValueError(
                f"training_circuits is {self.training_circuits}, fewer than the {len(self.scales) + self.intercept} numbers that"
                " are fitted; take more of them"
            )
        return self


class DddOptions(TechniqueOptions):
    """Digital dynamical decoupling."""

    technique: Literal["ddd"] = "ddd"
    rule: Literal["xx", "yy", "xyxy"] = Field("xx", description="Pulses in each idle window.")
    spacing: int = Field(-1, ge=-1, le=1000, description="Identities between pulses; -1 spreads them over the window.")


class VdOptions(TechniqueOptions):
    """Virtual distillation by two copies (experimental in Mitiq)."""

    technique: Literal["vd"] = "vd"


AnyOptions = Annotated[
    CdrOptions | DddOptions | LreOptions | PecOptions | VdOptions | ZneOptions, Field(discriminator="technique")
]
TECHNIQUES = ("cdr", "ddd", "lre", "pec", "vd", "zne")


class MitiqOptions(BaseModel):
    """What can be set of the stage `mitiq`.

    >>> MitiqOptions.model_validate({"technique": "lre", "options": {"degree": 3}}).options.degree
    3
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    technique: Literal["cdr", "ddd", "lre", "pec", "vd", "zne"] = Field(description="Which of Mitiq's techniques.")
    options: AnyOptions = Field(description="Of the technique; its defaults if none are given.")

    @model_validator(mode="before")
    @classmethod
    def _told_apart(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(name := given.get("technique"), str):
            return given
        if name in INSTEAD:
            raise Unsupported(f"mitiq:{name} is not available; take {INSTEAD[name]} instead")
        if name not in TECHNIQUES:
            raise UnknownName.among("technique of Mitiq", name, TECHNIQUES)
        inner = given.get("options", {})
        return {**given, "options": {"technique": name, **inner}} if isinstance(inner, dict) else given

    @model_validator(mode="after")
    def _agree(self) -> MitiqOptions:
        if self.options.technique != self.technique:
            raise ValueError(f"technique is {self.technique}, and the options are those of {self.options.technique}")
        return self

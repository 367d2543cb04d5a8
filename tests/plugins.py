"""Distributions with plugins, as an installer leaves them in a folder of packages."""

from dataclasses import dataclass
from pathlib import Path

STAGE = '''
"""A module with a stage."""
from pydantic import BaseModel, ConfigDict, Field
from qloom.contracts import Expansion, Stage, StageCost


class Options(BaseModel):
    """Options."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    times: int = Field(2, ge=1, description="How often.")


class Twice(Stage):
    """Runs a circuit twice.

    More words.
    """

    name = "twice"
    options_type = Options
    max_rounds = 3
    licence = "Special"

    def expand(self, circuit, options, context):
        return Expansion((circuit,) * options.times)

    def combine(self, recipe, answers, options, context):
        return answers[0]

    def cost(self, options):
        return StageCost(circuits=options.times, shots=options.times)
'''


@dataclass(frozen=True)
class Site:
    """A folder of packages."""

    folder: Path

    def install(
        self,
        distribution: str,
        *,
        version: str = "1.0",
        metadata: str = "",
        modules: dict[str, str] | None = None,
        **groups: dict[str, str],
    ) -> None:
        """Install a distribution: modules by their sources, and for each group (`stages=`) names and what they stand for."""
        for name, source in (modules or {}).items():
            (self.folder / f"{name}.py").write_text(source, encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [
            f"[qloom.{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())
            for group, names in groups.items()
        ]
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {distribution}\nVersion: {version}\n{metadata}")
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")

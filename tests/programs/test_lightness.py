"""What declaring a program, and checking a plain call of it, must not load: every command would wait for it."""

import subprocess
import sys

import pytest

HEAVY = {"asyncio", "hashlib", "importlib.metadata", "msgspec", "numpy", "pydantic", "qulacs", "concurrent.futures"}

DECLARE = """
import sys
before = set(sys.modules)
from qloom.programs.context import Context
from qloom.programs.definition import ProgramDefinition
@ProgramDefinition
def vqe(ctx: Context, bond: float = 0.7, steps: "int" = 3, name: str | None = None) -> float: ...
{more}
print(*(set(sys.modules) - before))
"""


def loaded(more: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after declaring a program and doing more."""
    command = [sys.executable, "-c", DECLARE.format(more=more)]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())


@pytest.mark.parametrize(
    "more",
    [
        "",
        "vqe.decode_arguments(vqe.check_arguments((0.5,), {'name': 'x'}))",
        "vqe.parse_arguments({'bond': '1', 'name': 'none'})",
        "vqe.with_options(seed=1, device='sim')",
    ],
    ids=["declare", "check", "parse", "options"],
)
def test_declaring_and_checking_a_plain_program_loads_nothing_heavy(more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DECLARE.format(more=more)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "qloom.programs" in done.stdout.split()
    assert HEAVY & set(done.stdout.split()) == set()


def test_a_compound_parameter_loads_what_checks_it() -> None:
    program = "def deep(ctx, bonds: list[float]): ...\nProgramDefinition(deep).check_arguments(([1],), {})"
    done = subprocess.run(
        [sys.executable, "-c", DECLARE.format(more=program)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pydantic" in done.stdout.split()

"""Programs: what they are, how they are shipped, what they get, and how a job's child process runs one."""

from qloom.programs.context import Context
from qloom.programs.definition import ProgramDefinition, RunOptions, inside_job
from qloom.programs.quantum import DirectLane, PreparedTask, QuantumDevice
from qloom.programs.runner import run_program
from qloom.programs.shipping import Bundle, bundle_file, bundle_function, find_programs, load_program

__all__ = [
    "Bundle",
    "Context",
    "DirectLane",
    "PreparedTask",
    "ProgramDefinition",
    "QuantumDevice",
    "RunOptions",
    "bundle_file",
    "bundle_function",
    "find_programs",
    "inside_job",
    "load_program",
    "run_program",
]

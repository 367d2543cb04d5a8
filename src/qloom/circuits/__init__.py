"""The circuit form: gates, parameters, observables; values without I/O."""

from qloom.circuits.circuit import Circuit, Instruction
from qloom.circuits.expressions import Angle, Expression, Parameter
from qloom.circuits.observable import Observable

__all__ = ["Angle", "Circuit", "Expression", "Instruction", "Observable", "Parameter"]

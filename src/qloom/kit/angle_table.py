"""A circuit's angles as a table of numbers: worked out once, used at every run."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from qloom.circuits.expressions import Expression
from qloom.errors import InvalidTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from qloom.circuits import Angle
    from qloom.tasks import FloatArray

STEP = 1e-30
"""Imaginary step of the derivative of a formula: its square vanishes beside 1, so the derivative is exact to rounding."""


class Column(Expression):
    """An angle that is a number in each of several circuits of one structure: no formula, though it stands where one may.

    Args:
        values: the number in each circuit, rad, shape (circuits,).
    """

    __slots__ = ("values",)

    def __init__(self, values: FloatArray) -> None:
        super().__init__(("column", id(self)))
        self.values = values

    def __neg__(self) -> Column:
        return Column(-self.values)

    def affine(self) -> None:
        """Return None: its number differs from circuit to circuit."""

    def parameters(self) -> tuple[str, ...]:
        """Return that it has none."""
        return ()


class AngleTable:
    """All angles of a compiled circuit, worked out together.

    Angles affine in one parameter (nearly all) are one gather, one product and one sum; other formulas are evaluated on
    whole columns of parameter sets.

    Args:
        names: the parameters, in the order of an array's columns.
        angles: numbers and formulas (rad); with columns, `of_each` gives the tables to be used.

    >>> import numpy as np
    >>> from qloom.circuits import Parameter
    >>> table = AngleTable(["a", "b"], [0.5, 2 * Parameter("b") + 1, Parameter("a") * Parameter("b")])
    >>> table.row(np.array([3.0, 4.0])), table.rows(np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    ([0.5, 9.0, 12.0], [[0.5, 9.0, 12.0], [0.5, 3.0, 0.0]])
    """

    def __init__(self, names: Sequence[str], angles: Sequence[Angle]) -> None:
        import numpy as np

        self.names = tuple(names)
        columns = {name: column for column, name in enumerate(self.names)}
        index, scale, offset = [0] * len(angles), [0.0] * len(angles), [0.0] * len(angles)
        self.formulas: list[tuple[int, Expression]] = []
        self._columns: list[tuple[int, Column]] = []
        for slot, angle in enumerate(angles):
            if not isinstance(angle, Expression):
                offset[slot] = angle
            elif isinstance(angle, Column):
                self._columns.append((slot, angle))
            elif (affine := angle.affine()) is not None:
                name, scale[slot], offset[slot] = affine
                index[slot] = columns[name] if name is not None else 0
            else:
                self.formulas.append((slot, angle))
        self.index, self.scale, self.offset = np.array(index, dtype=np.intp), np.array(scale), np.array(offset)
        self._constant = offset if not any(scale) and not self.formulas else None

    def of_each(self, circuits: int) -> list[AngleTable]:
        """Return the table of each of several circuits of one structure, their columns opened.

        >>> import numpy as np
        >>> from qloom.circuits import Parameter
        >>> one, two = AngleTable(["a"], [Parameter("a"), Column(np.array([0.5, 0.7]))]).of_each(2)
        >>> one.row(np.array([3.0])), two.row(np.array([3.0]))
        ([3.0, 0.5], [3.0, 0.7])
        """
        import numpy as np

        offsets = np.tile(self.offset, (circuits, 1))
        if self._columns:
            offsets[:, [slot for slot, _ in self._columns]] = np.array([angle.values for _, angle in self._columns]).T
        return [self._with(offset) for offset in offsets]

    def _with(self, offset: FloatArray) -> AngleTable:
        """Return this table with other numbers, everything else shared."""
        table = copy(self)
        table.offset, table._columns = offset, []  # noqa: SLF001  our own kind
        table._constant = None if self._constant is None else offset.tolist()  # noqa: SLF001  our own kind
        return table

    def row(self, parameters: FloatArray) -> list[float]:
        """Return the angles of one parameter set, shape (parameters,)."""
        if self._constant is not None:
            return self._constant
        if self.formulas:
            return self.rows(parameters.reshape(1, -1))[0].tolist()  # type: ignore[no-any-return]
        angles = parameters.take(self.index)
        angles *= self.scale
        angles += self.offset
        return angles.tolist()  # type: ignore[no-any-return]

    def rows(self, parameters: FloatArray) -> FloatArray:
        """Return the angles of many sets: parameters of shape (sets, parameters) to angles of shape (sets, angles).

        Raises:
            InvalidTask: a formula has no finite value, such as the logarithm of a negative parameter.
        """
        import numpy as np

        if self._constant is not None:
            return np.tile(self.offset, (len(parameters), 1))
        angles = parameters.take(self.index, axis=1) if self.names else np.zeros((len(parameters), len(self.offset)))
        angles *= self.scale
        angles += self.offset
        for slot, formula in self.formulas:
            values = self._evaluate(formula, parameters)
            if not np.isfinite(values).all():
                bad = int(np.argmin(np.isfinite(values)))
                raise InvalidTask(f"the angle {formula} has no finite value for parameter set {bad}; give other parameters")
            angles[:, slot] = values
        return angles

    def pull_back(self, parameters: FloatArray, derivatives: FloatArray) -> FloatArray:
        """Return derivatives by parameters from derivatives by angles (the chain rule).

        Args:
            parameters: one set, shape (parameters,).
            derivatives: of each value by each angle, shape (values, angles).

        Returns:
            Shape (values, parameters).
        """
        import numpy as np

        found = np.zeros((len(self.names), len(derivatives)))
        if self.names:
            np.add.at(found, self.index, (derivatives * self.scale).T)
        for slot, formula in self.formulas:
            for column, name in enumerate(self.names):
                if name in formula.parameters():
                    stepped = parameters.astype(np.complex128).reshape(1, -1)
                    stepped[0, column] += 1j * STEP
                    slope = self._evaluate(formula, stepped).imag[0] / STEP
                    found[column] += derivatives[:, slot] * slope
        return found.T

    def _evaluate(self, formula: Expression, parameters: npt.NDArray[np.inexact]) -> npt.NDArray[np.inexact]:
        import numpy as np

        values = {name: parameters[:, column] for column, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            found: npt.NDArray[np.inexact] = formula.evaluate(values)
        return found

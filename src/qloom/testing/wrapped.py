"""What devices for tests share that stand round another device: its prepared circuits, seen through."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qloom.contracts import Prepared
    from qloom.results import Engine


class WrappedPrepared:
    """The facts of prepared circuits, from the device inside."""

    def __init__(self, inner: Prepared) -> None:
        self._inner = inner

    @property
    def digest(self) -> str:
        return self._inner.digest

    @property
    def engine(self) -> Engine:
        return self._inner.engine

    @property
    def parameters(self) -> tuple[str, ...]:
        return self._inner.parameters

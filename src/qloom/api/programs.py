"""`@qloom.program`: light to import, since every user's file does, in every process that runs it."""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from qloom.errors import Misuse
from qloom.programs.definition import ProgramDefinition, inside_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from qloom.api.jobs import Job


class Program(ProgramDefinition):
    """A program: call it to run it here and now, `submit` it to run it as a job.

    Made by `@qloom.program`; the function's first parameter is the `Context`, the others are the program's inputs.

    >>> import qloom
    >>> @qloom.program
    ... def coin(ctx: qloom.Context, shots: int = 10) -> int:
    ...     return sum(ctx.device.run(qloom.Circuit(1).h(0), shots=shots).counts.values())
    >>> coin(shots=5)
    5
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program in this process, without a journal: for a debugger and for tests.

        Raises:
            InvalidParameters: arguments missing, surplus, mistyped or NaN.
        """
        arguments = self.check_arguments(args, kwargs)
        return _loaded("qloom.app").application().call(self, arguments)

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Start the program as a job and return at once.

        Raises:
            InvalidParameters: arguments missing, surplus, mistyped or NaN; nothing was started.
            InvalidProgram: its source cannot be shipped; the variable or module is named.
            UnknownName: no such device, executor or stage.
        """
        if inside_job():
            raise Misuse(f"{self.name}.submit() was called inside a job; put what starts jobs under `if __name__ == '__main__':`")
        arguments = self.check_arguments(args, kwargs)
        folder = _loaded("qloom.app").application().submit(self, arguments)
        job: Job = _loaded("qloom.api.jobs").Job(folder)
        return job


@overload
def program(function: Callable[..., Any], /) -> Program: ...
@overload
def program(**options: Any) -> Callable[[Callable[..., Any]], Program]: ...
def program(function: Callable[..., Any] | None = None, /, **options: Any) -> Program | Callable[[Callable[..., Any]], Program]:
    """Make a program of a function whose first parameter is the context.

    Args:
        function: the function, where the decorator is used bare.
        options: as for `with_options`: `device`, `devices`, `executor`, `seed`, `resources`, `data_files`, ...

    Raises:
        InvalidProgram: no context parameter, `*args` or `**kwargs`.
        UnknownName: no such option.

    >>> import qloom
    >>> @qloom.program(seed=1)
    ... def toss(ctx: qloom.Context) -> dict[str, int]:
    ...     return ctx.device.run(qloom.Circuit(1).h(0), shots=100).counts
    >>> toss() == toss()
    True
    """
    if function is None:
        return partial(_make_program, options=options)
    return _make_program(function, options)


def _make_program(function: Callable[..., Any], options: dict[str, Any]) -> Program:
    made = Program(function)
    return made.with_options(**options) if options else made


def _loaded(module: str) -> Any:
    """Load what runs programs only when one is run: declaring one must not cost what running one does."""
    return importlib.import_module(module)

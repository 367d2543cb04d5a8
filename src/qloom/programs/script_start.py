"""What the process of a script does: `python script_start.py FOLDER ATTEMPT`, in the script's own interpreter.

Nothing but Python from 3.9 on is needed there, not even qloom: this file is run by its path and imports the standard library
alone. It finds the script as Braket's job container does, runs it, and writes down how it ended.
Source of that behaviour: https://github.com/amazon-braket/amazon-braket-containers, `braket_container.py`.
"""

from __future__ import annotations

import sys

# The folder of this file is no place that a script imports from: its neighbours would hide the script's own modules.
if sys.path and sys.path[0] == __file__.rpartition("/")[0]:
    del sys.path[0]

import importlib
import importlib.abc
import inspect
import json
import os
import platform
import runpy
import shutil
import threading
import traceback
from pathlib import Path

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType, TracebackType
    from typing import Any

FAILED, UNSAID = 1, 3
"""Exit codes; with `UNSAID` the end could not be written down. A script that calls `sys.exit(n)` exits with n."""
NO_DEVICE = "local:none/none"
HYBRID_JOB = "braket.jobs.hybrid_job"
LONGEST_HYPERPARAMETER = 2500
SHOWN_FRAMES = 40
SHOWN_CHARACTERS = 10_000
SHOWN_FILES = 10
SHOWN_CODE = 200
MOST_PACKAGES = 200
STRINGS_HINT = "hyperparameters are strings, as on Braket; convert with int() or float()"

problems: list[str] = []
"""What a careful reader of the job should know, though it did not end it."""


class RefusedError(Exception):
    """The script ran into something that is said without a traceback.

    Attributes:
        error_type: the name that the job records.
    """

    def __init__(self, error_type: str, text: str) -> None:
        self.error_type = error_type
        super().__init__(text)


# ---- running ---------------------------------------------------------------------------------------------------------


def main(folder: str, attempt: str) -> int:
    """Run the script of a job and return the exit code of its process."""
    source, own = Path(folder, "source"), Path(folder, "attempts", attempt)
    results = Path(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
    entry = os.environ["AMZN_BRAKET_SCRIPT_ENTRY_POINT"]
    sys.path.insert(0, str(source))
    sys.argv[:] = [entry]
    sys.meta_path.insert(0, HybridJobFinder(own))
    watch_threads()
    work = Path.cwd()
    shipped = show_source(source)
    code = 0
    try:
        value = run(entry)
        wait_for_threads()
        ending = ended(results, value, left_behind(work, shipped))
    except KeyboardInterrupt:
        raise
    except SystemExit as leaving:
        ending, code = exited(leaving, source, results, left_behind(work, shipped))
    except BaseException as error:  # noqa: BLE001  whatever the script raises is how the job ended, and is told
        ending = failure(error, source)
    ending["problems"] = problems
    ending["packages"] = loaded_packages(source)
    ending["platform"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if not record(own, ending):
        return UNSAID
    return code if ending["ended"] == "returned" or code else FAILED


def run(entry: str) -> Any:
    """Run `module` as `python -m` does, or call `module:function`, with the hyperparameters that it takes by name."""
    module_name, colon, name = entry.partition(":")
    if not colon:
        runpy.run_module(module_name, run_name="__main__", alter_sys=True)
        return None
    module = importlib.import_module(module_name)
    if not hasattr(module, name):
        raise RefusedError("UnknownName", f"entry point {entry}: {module_name} has nothing called {name!r}")
    function = getattr(module, name)
    if not callable(function):
        kind = type(function).__name__
        raise RefusedError("InvalidProgram", f"entry point {entry} is not callable, it is of type {kind}; name a function")
    value = function(**arguments_of(function))
    if inspect.iscoroutine(value):
        value.close()
        raise RefusedError(
            "InvalidProgram",
            f"entry point {entry} is an async function, which Braket calls and does not wait for; "
            "write a plain function that calls asyncio.run",
        )
    return value


def arguments_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the hyperparameters as arguments, where they fit the function's parameters; none where they do not.

    They are strings. A parameter that is annotated `int`, `float` or `str` gets that, as in Braket's container.
    """
    values = hyperparameters()
    try:
        signature = inspect.signature(function)
        signature.bind(**values)
    except (TypeError, ValueError):
        return {}
    found = {}
    for name, text in values.items():
        parameter = signature.parameters.get(name)
        kind = KINDS.get(getattr(parameter, "annotation", str), str)
        try:
            found[name] = kind(text)
        except ValueError:
            raise RefusedError(
                "InvalidParameters", f"hyperparameter {name} must be {kind.__name__}, as its parameter says, got {text!r}"
            ) from None
    return found


KINDS: dict[Any, Callable[[str], Any]] = {int: int, float: float, str: str, "int": int, "float": float, "str": str}


def hyperparameters() -> dict[str, str]:
    """Return the job's hyperparameters, every value a string."""
    found: dict[str, str] = json.loads(Path(os.environ["AMZN_BRAKET_HP_FILE"]).read_text(encoding="utf-8"))
    return found


def show_source(source: Path) -> set[str]:
    """Copy the script's files to where it starts, since Braket starts it in their folder; return their names."""
    paths = list(source.iterdir())
    for path in paths:
        if path.is_dir():
            shutil.copytree(path, path.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, path.name)
    return {path.name for path in paths}


def left_behind(work: Path, shipped: set[str]) -> list[str]:
    """Return what the script left in the folder where it started."""
    return sorted({path.name for path in work.iterdir()} - shipped)[:SHOWN_FILES]


def wait_for_threads() -> None:
    """Wait for the threads that the script left running, as Python does before it ends. Idle workers of a pool wait for that."""
    pools = sys.modules.get("concurrent.futures.thread")
    while True:
        idle = (threading.current_thread(), *getattr(pools, "_threads_queues", ()))
        left = [thread for thread in threading.enumerate() if not thread.daemon and thread not in idle]
        if not left:
            return
        left[0].join()


def watch_threads() -> None:
    """Remember what ends a thread, and show it as Python does: the job goes on, as on Braket."""
    shown = threading.excepthook

    def note(args: Any) -> None:
        shown(args)
        if args.exc_type is not SystemExit:
            problems.append(f"thread {args.thread.name if args.thread else 'unknown'!r} failed: {error_text(args.exc_value)}")

    threading.excepthook = note


# ---- how it ended ----------------------------------------------------------------------------------------------------


def ended(results: Path, value: Any, working: list[str]) -> dict[str, Any]:
    """Return the outcome of a script that came to its end: with a result, with other files, or without anything."""
    path = results / "results.json"
    if path.exists():
        problem = result_problem(path)
        return refused("NoResult", f"results/results.json {problem}") if problem else {"ended": "returned"}
    files = sorted(str(file.relative_to(results)) for file in results.rglob("*") if file.is_file())
    if files:
        shown = ", ".join(files[:SHOWN_FILES]) + (f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else "")
        problems.append(f"no result was saved; the script left these files in its results folder: {shown}")
        return {"ended": "returned", "files": files[:MOST_PACKAGES]}
    hints = "" if value is None else f"; its function returned a {type(value).__name__}, which Braket drops"
    if working:
        hints += f"; it left {', '.join(working)} in the folder where it started, where no result is looked for"
    return refused(
        "NoResult",
        "the script exited 0 without having saved a result; call braket.jobs.save_job_result(...), or write "
        f"results.json to the folder in AMZN_BRAKET_JOB_RESULTS_DIR{hints}",
    )


def result_problem(path: Path) -> str:
    """Make a saved result durable and return why it cannot count as one; empty where it can."""
    with path.open("rb") as file:
        content = file.read()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    try:
        document = json.loads(content)
    except ValueError as error:
        return f"is no JSON ({error}); the script was not done writing it, or wrote something else"
    if isinstance(document, dict) and "braketSchemaHeader" in document and not isinstance(document.get("dataDictionary"), dict):
        return "has Braket's header and no dataDictionary; write it with braket.jobs.save_job_result"
    return ""


def exited(leaving: SystemExit, source: Path, results: Path, working: list[str]) -> tuple[dict[str, Any], int]:
    """Return the outcome and the exit code of a script that called `sys.exit`."""
    if leaving.code in (None, 0):
        return ended(results, None, working), 0
    frames = user_frames(leaving, source)
    if isinstance(leaving.code, int):
        return raised(f"the script exited with code {leaving.code}", "SystemExit", frames), leaving.code & 0xFF or FAILED
    sys.stderr.write(f"{leaving.code}\n")
    return raised(f"the script exited: {leaving.code}"[:SHOWN_CHARACTERS], "SystemExit", frames), FAILED


def failure(error: BaseException, source: Path) -> dict[str, Any]:
    """Return the outcome of a script that raised, and show its traceback from its own first line on."""
    frames = user_frames(error, source)
    if isinstance(error, RefusedError):
        sys.stderr.write(f"{error}\n")
        return refused(error.error_type, str(error), frames)
    traceback.print_exception(type(error), error, user_traceback(error, source))
    hint = f" ({STRINGS_HINT})" if met_a_hyperparameter(error, source) else ""
    if hint:
        sys.stderr.write(f"{STRINGS_HINT}\n")
    return raised(error_text(error) + hint, type(error).__name__, frames)


def refused(error_type: str, error: str, frames: list[str] | None = None) -> dict[str, Any]:
    """Return the outcome of what is told without a traceback."""
    return {"ended": "refused", "error": error, "error_type": error_type, "frames": frames or []}


def raised(error: str, error_type: str, frames: list[str]) -> dict[str, Any]:
    """Return the outcome of a script that raised."""
    return {"ended": "raised", "error": error, "error_type": error_type, "frames": frames}


def error_text(error: BaseException | None) -> str:
    """Return `TypeName: message`."""
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  a script's own __str__ may raise anything
        message = f"(its message cannot be read: {type(broken).__name__})"
    return type(error).__name__ + (f": {message[:SHOWN_CHARACTERS]}" if message else "")


def own_name(filename: str, source: Path) -> str:
    """Return a file's name below the script's folder; empty for a file of somebody else."""
    root = os.path.join(os.path.realpath(source), "")  # noqa: PTH118  a prefix, ending in a separator
    path = os.path.realpath(filename)
    return path[len(root) :] if path.startswith(root) else ""


def user_frames(error: BaseException, source: Path) -> list[str]:
    """Return the frames in the script's own files, outermost first, as `file:line in function: code`."""
    found = [
        f"{name}:{frame.lineno} in {frame.name}: {(frame.line or '')[:SHOWN_CODE]}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (name := own_name(frame.filename, source))
    ]
    if isinstance(error, SyntaxError) and (name := own_name(error.filename or "", source)):
        found.append(f"{name}:{error.lineno} in <module>: {(error.text or '').strip()[:SHOWN_CODE]}")
    if len(found) > SHOWN_FRAMES:
        found[SHOWN_FRAMES // 2 : -SHOWN_FRAMES // 2] = [f"... {len(found) - SHOWN_FRAMES} frames left out ..."]
    return found


def user_traceback(error: BaseException, source: Path) -> TracebackType | None:
    """Return the traceback from the script's first frame on; the whole of it where no frame is the script's."""
    trace = error.__traceback__
    while trace is not None and not own_name(trace.tb_frame.f_code.co_filename, source):
        trace = trace.tb_next
    return trace or error.__traceback__


def met_a_hyperparameter(error: BaseException, source: Path) -> bool:
    """Whether a TypeError about strings came from a line of the script that had a hyperparameter at hand."""
    if not isinstance(error, TypeError) or "str" not in str(error):
        return False
    frame = None
    for found, _ in traceback.walk_tb(error.__traceback__):
        frame = found if own_name(found.f_code.co_filename, source) else frame
    values = hyperparameters()
    texts = set(values.values())
    if frame is None or not values:
        return False
    at_hand = [*frame.f_locals.values(), *(frame.f_globals.get(name) for name in frame.f_code.co_names)]
    return any(item == values or (isinstance(item, str) and item in texts) for item in map(_plain, at_hand))


def _plain(value: Any) -> Any:
    """Return text and dicts of text as they are: what else there is may compare in ways of its own."""
    return value if type(value) in (str, dict) else None


def loaded_packages(source: Path) -> dict[str, str]:
    """Return name -> version of the packages that the script had loaded and that say their version."""
    own = f"{source}{os.sep}"
    stdlib: Any = getattr(sys, "stdlib_module_names", ())  # from Python 3.10 on
    found = {}
    for name, module in list(sys.modules.items()):
        known = getattr(module, "__dict__", {})
        version = known.get("__version__")
        if "." in name or name in stdlib or name.startswith("_") or type(version) is not str:
            continue
        if not str(known.get("__file__")).startswith(own):
            found[name] = version[:64]
    found.update(sdk_version())
    return dict(sorted(found.items())[:MOST_PACKAGES])


def sync_folder(folder: Path) -> None:
    """Make what was written or renamed in a folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sdk_version() -> dict[str, str]:
    """Return the version of the Braket SDK where it is loaded: its package `braket` has none, others share that name."""
    version = getattr(sys.modules.get("braket._sdk"), "__version__", None)
    return {"amazon-braket-sdk": version} if isinstance(version, str) else {}


def record(own: Path, ending: dict[str, Any]) -> bool:
    """Write down how the script ended, in one step; on a full disk in the space that was set aside for that."""
    path, aside, space = own / "outcome.json", own / f".outcome.{os.getpid()}.tmp", own / "space"
    content = json.dumps(ending, indent=1)
    for last in (False, True):
        try:
            with aside.open("w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(own)
        except OSError as error:
            if not last and space.exists():
                space.unlink()
                continue
            sys.stderr.write(f"qloom: the script {ending['ended']}, but {path} cannot be written: {error}\n")
            return False
        return True
    return False


# ---- @hybrid_job -----------------------------------------------------------------------------------------------------


class HybridJobFinder(importlib.abc.MetaPathFinder):
    """Puts our decorator in place of `braket.jobs.hybrid_job`, once that is imported: the real one asks AWS, or Docker."""

    def __init__(self, own: Path) -> None:
        self.own = own

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find that module as the other finders do."""
        if name != HYBRID_JOB:
            return None
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            spec = None if finder is self or look is None else look(name, path, target)
            if spec is not None:
                spec.loader = HybridJobLoader(spec.loader, self.own)
                return spec
        return None


class HybridJobLoader(importlib.abc.Loader):
    """Loads the module as its own loader does, then replaces the decorator in it."""

    def __init__(self, loader: Any, own: Path) -> None:
        self.loader = loader
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: Any) -> Any:
        """Make the module as its own loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then replace the decorator."""
        self.loader.exec_module(module)
        module.hybrid_job = in_place(module.hybrid_job, self.own)  # type: ignore[attr-defined]


def in_place(original: Callable[..., Any], own: Path) -> Callable[..., Any]:
    """Return a decorator that takes what Braket's takes and whose functions run here, in the job that is running already."""
    import functools

    allowed = inspect.signature(original)

    @functools.wraps(original)
    def hybrid_job(*args: Any, **options: Any) -> Callable[..., Any]:
        given = allowed.bind(*args, **options).arguments

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def job_wrapper(*args: Any, **kwargs: Any) -> LocalJob:
                return run_hybrid_job(function, given, args, kwargs, own)

            return job_wrapper

        return decorate

    return hybrid_job


calls: list[str] = []
"""Names of the hybrid jobs that the script has run, in order."""


def run_hybrid_job(
    function: Callable[..., Any], options: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any], own: Path
) -> LocalJob:
    """Run a decorated function as the container runs it: in the results folder, its arguments logged as hyperparameters."""
    logged = logged_hyperparameters(function, args, kwargs)
    hp_file = own / "hyperparameters.json"
    hp_file.write_text(json.dumps(logged), encoding="utf-8")
    before, shown, tee = Path.cwd(), sys.stdout, Tee(sys.stdout)
    variables = {"AMZN_BRAKET_HP_FILE": str(hp_file)}
    if os.environ.get("AMZN_BRAKET_DEVICE_ARN", NO_DEVICE) == NO_DEVICE:  # `--device` says more than the source
        variables["AMZN_BRAKET_DEVICE_ARN"] = options.get("device") or NO_DEVICE
    saved = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    os.chdir(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"])
    links: list[Path] = []
    try:
        link_inputs(options.get("input_data"), links)
        sys.stdout = tee
        value = function(*args, **kwargs)
    finally:
        sys.stdout = shown
        for link in links:
            link.unlink(missing_ok=True)
        os.chdir(before)
        os.environ.update({name: text for name, text in saved.items() if text is not None})
    return LocalJob(function.__name__, save_result(function.__name__, value), tee.metrics)


def logged_hyperparameters(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
    """Return a call's arguments as Braket's SDK logs them: as text, without what its service refuses, cut at its limit."""
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            found[name] = value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            found.update(value)
    return {name: _loggable(str(value)) for name, value in found.items()}


def _loggable(text: str) -> str:
    text = text.translate(str.maketrans("\n$(&`)", " ?{+'}"))
    if len(text) <= LONGEST_HYPERPARAMETER:
        return text
    return f"{text[: LONGEST_HYPERPARAMETER - 23]}...{text[-20:]}"


def link_inputs(input_data: Any, links: list[Path]) -> None:
    """Show a hybrid job's inputs under the names that its decorator gives them, as Braket's container does."""
    channels = input_data if isinstance(input_data, dict) else {"input": input_data} if input_data else {}
    for channel, data in channels.items():
        folder = Path(os.environ["AMZN_BRAKET_INPUT_DIR"], channel)
        if not folder.is_dir():
            raise RefusedError(
                "InvalidSetting",
                f"@hybrid_job names input_data for channel {channel!r}; hand it over: --input-data {channel}=PATH",
            )
        path = Path(data) if isinstance(data, str) and not data.startswith("s3://") else None  # what is in S3 has no name here
        if path is None or path.is_absolute() or ".." in path.parts or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        file = folder / path.name
        path.symlink_to(file if file.exists() else folder)
        links.append(path.absolute())


def save_result(name: str, value: Any) -> dict[str, Any]:
    """Save what a hybrid job returned, as text, never as a pickle; several of them are merged, as Braket's SDK does it."""
    calls.append(name)
    if len(calls) == 2:
        problems.append("the script ran several hybrid jobs in place; results.json holds the results of all, later ones win")
    if value is None:
        return {}
    from braket.jobs import save_job_result
    from braket.jobs_data import PersistedJobData, PersistedJobDataFormat

    document = value if isinstance(value, dict) else {"result": value}
    try:
        PersistedJobData(dataDictionary=document, dataFormat=PersistedJobDataFormat.PLAINTEXT).json()
    except (TypeError, ValueError, RecursionError) as error:
        place = next(not_plain(value, f"{name}()"), f"{name}()")
        raise RefusedError(
            "NoResult", f"the result of a hybrid job has to be plain JSON, since pickles are not kept, but {place}: {error}"
        ) from None
    save_job_result(value, data_format=PersistedJobDataFormat.PLAINTEXT)
    return document


def not_plain(value: Any, where: str, depth: int = 20) -> Iterator[str]:
    """Yield the places in a value that JSON has no form for."""
    if isinstance(value, dict) and depth:
        for key, item in value.items():
            yield from not_plain(item, f"{where}[{key!r}]", depth - 1)
    elif isinstance(value, (list, tuple)) and depth:
        for index, item in enumerate(value):
            yield from not_plain(item, f"{where}[{index}]", depth - 1)
    elif not isinstance(value, (str, int, float, bool, type(None))):
        yield f"{where} is a {type(value).__module__}.{type(value).__qualname__}"


class Tee:
    """Standard output that remembers the lines with metrics."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.metrics: list[str] = []
        self.line = ""

    def write(self, text: str) -> int:
        """Pass text on."""
        *lines, self.line = (self.line + text).split("\n")
        self.metrics += [line for line in lines if "Metrics - " in line]
        written: int = self.stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class LocalJob:
    """A hybrid job that ran in place and has ended; it answers what Braket's `LocalQuantumJob` answers."""

    def __init__(self, function: str, result: dict[str, Any], lines: list[str]) -> None:
        self.name = os.environ.get("AMZN_BRAKET_JOB_NAME", "")
        self.arn = f"local:job/{self.name}"
        self._function = function
        self._result = result
        self._lines = lines

    def state(self, use_cached_value: bool = False) -> str:  # noqa: FBT001, FBT002  Braket's signature
        """Return `COMPLETED`: had it failed, its exception would have ended the script."""
        return "COMPLETED"

    def result(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return what the function returned, as Braket's SDK does: a value that is no dict stands under `result`."""
        return self._result

    def metrics(self, *args: Any, **kwargs: Any) -> dict[str, list[Any]]:
        """Return the metrics that it logged, as the table that Braket's SDK makes of them."""
        from braket.jobs.metrics_data.definitions import MetricStatistic, MetricType
        from braket.jobs.metrics_data.log_metrics_parser import LogMetricsParser

        parser = LogMetricsParser()
        for line in self._lines:
            parser.parse_log_message("", line)
        kind = args[0] if args else kwargs.get("metric_type", MetricType.TIMESTAMP)
        statistic = args[1] if len(args) > 1 else kwargs.get("statistic", MetricStatistic.MAX)
        table: dict[str, list[Any]] = parser.get_parsed_metrics(kind, statistic)
        return table

    def logs(self, *_: Any, **__: Any) -> None:
        """Do nothing: what it printed is in the job's log."""

    def download_result(self, *_: Any, **__: Any) -> None:
        """Do nothing: the result is here."""

    def metadata(self, *_: Any, **__: Any) -> None:
        """Do nothing: as for Braket's local jobs, there is none."""

    def cancel(self) -> None:
        """Do nothing: it has ended."""

    def __repr__(self) -> str:
        return f"LocalJob({self._function!r}, {self.state()})"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The parts of the documentation that are made from the code, each time it is built, so that they cannot go stale.

A page says where they go with a line such as `<!-- generated: commands -->`.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from qloom.cli import app as command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
BAR_OUTSIDE_CODE = re.compile(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")
KINDS = {"breaking": "Breaking", "added": "Added", "changed": "Changed", "fixed": "Fixed"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx what to call."""
    app.connect("source-read", fill_marks)
    app.connect("autodoc-process-docstring", markdown_to_rst)
    app.connect("autodoc-skip-member", skip_named_fields)
    app.connect("missing-reference", link_to_public_name)
    return {"parallel_read_safe": True}


def skip_named_fields(_app: Sphinx, _what: str, _name: str, member: object, *_rest: object) -> bool | None:
    """Leave out the fields of a named tuple as members: its docstring tells them, under `Attributes`."""
    return True if type(member).__name__ == "_tuplegetter" else None


def fill_marks(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Put what is generated where a page asks for it."""
    for mark in MARK.finditer(source[0]):
        source[0] = source[0].replace(mark[0], GENERATED[mark[1]]())


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, as one types it, with typer's object for it."""

    def below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        nested = getattr(command, "commands", None)
        if nested is None:
            yield words, command
        for name, one in (nested or {}).items():
            if not one.hidden:
                yield from below(f"{words} {name}", one)

    yield from below("qloom", get_command(command_line))


def examples() -> dict[str, list[str]]:
    """Return the examples of each command, as one types it."""
    text = (DOCS / "reference" / "cli_examples.toml").read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)
    return found


def commands_page() -> str:
    """Return the reference of the command line as Markdown."""
    shown = examples()
    return "\n".join(_command(words, command, shown.get(words, [])) for words, command in commands())


def _command(words: str, command: Any, shown: list[str]) -> str:
    context = command.context_class(command, info_name=words)
    rows = [(one, *one.get_help_record(context)) for one in command.params if not one.hidden]
    usage = [word.strip("{}") for word in command.collect_usage_pieces(context)]
    parts = [f"## {words}", " ".join((command.help or "").split()), f"```text\n{' '.join([words, *usage])}\n```"]
    parts += [f"`{_written(one.param_type_name, name)}`\n: {_told(one, says)}" for one, name, says in rows]
    if shown:
        parts.append("```shell\n" + "\n".join(shown) + "\n```")
    return "\n\n".join(parts) + "\n"


def _written(kind: str, name: str) -> str:
    """Return how a parameter is written: an argument by its name, an option with the kind of its value.

    >>> [_written("argument", "ID <str>"), _written("option", "--seed <int range>"), _written("option", "--device <list[str]>")]
    ['ID', '--seed INT', '--device TEXT']
    """
    words, _, value = name.partition(" <")
    if kind == "argument" or not value:
        return words
    inner = value.removesuffix(">").removeprefix("list[").removesuffix("]").removesuffix(" range")
    return f"{words} {'TEXT' if inner == 'str' else inner.upper()}"


def _told(parameter: Any, says: str) -> str:
    """Return the help of a parameter, brackets in code, with what --help leaves out."""
    again = " May be repeated." if parameter.multiple and "repeated" not in says else ""
    return re.sub(r" +(\[[^]]*\])$", r" `\1`", says) + again


def parse_example(line: str) -> None:
    """Read one example as the command line would, without running it.

    Raises:
        Exception: typer's usage error, where the example is no longer right.
    """
    typed = shlex.split(line, comments=True)
    found = {tuple(words.split()): command for words, command in commands()}
    words = max((words for words in found if tuple(typed[: len(words)]) == words), key=len)
    found[words].make_context(" ".join(words), typed[len(words) :])


def changes_page() -> str:
    """Return what has changed and is not released yet, by kind, as Markdown."""
    found: dict[str, list[str]] = {}
    for path in sorted((DOCS.parent / "changelog.d").glob("*.*.md")):
        found.setdefault(path.name.split(".")[-2], []).append(" ".join(path.read_text(encoding="utf-8").split()))
    return "\n\n".join(
        f"### {title}\n\n" + "\n".join(f"- {text}" for text in found[kind]) for kind, title in KINDS.items() if kind in found
    )


def markdown_to_rst(_app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Make of a docstring's Markdown what autodoc understands: fenced blocks, and bars that stand for nothing but bars."""
    inside = False
    for position, line in enumerate(lines):
        if line.strip().startswith("```"):
            inside = not inside
            lines[position] = ".. code-block:: text\n" if inside else ""
        elif inside:
            lines[position] = "   " + line
        elif ">>>" not in line:
            lines[position] = BAR_OUTSIDE_CODE.sub(r"\|", line)
    lines[:] = "\n".join(lines).split("\n")


def link_to_public_name(app: Sphinx, env: Any, node: Any, contnode: nodes.Element) -> nodes.Element | None:
    """Link a type in a signature to where it is documented: `qloom.circuits.circuit.Circuit` to `qloom.Circuit`."""
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    name = "." + node["reftarget"].rpartition(".")[2]
    found = sorted((target for target in domain.objects if target.endswith(name)), key=len)
    if not found or found[0] == node["reftarget"]:
        return None
    link: nodes.Element | None = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)
    return link


GENERATED: dict[str, Callable[[], str]] = {"commands": commands_page, "changes": changes_page}

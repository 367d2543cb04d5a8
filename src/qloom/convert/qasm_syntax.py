"""OpenQASM text to the syntax tree of the package `openqasm3`, with errors that say where. Loaded only when it is needed."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn

from openqasm3 import ast
from openqasm3.parser import (
    CommonTokenStream,
    ErrorListener,
    InputStream,
    QASM3ParsingError,
    QASMNodeVisitor,
    qasm3Lexer,
    qasm3Parser,
    span,
)

from qloom.convert.limits import MAX_DIGITS, MAX_QUBITS
from qloom.errors import InvalidCircuit

_VERSIONS = {"2.0": 2, "3": 3, "3.0": 3, "3.1": 3}
_PLACE = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)
_MISSING = re.compile(r"missing ('.*?') at")
# What OpenQASM 2 has as words of its own; every other keyword is a free name there.
_KEYWORDS_2 = {"OPENQASM", "include", "qreg", "creg", "gate", "measure", "reset", "barrier", "if"}
_WORD = re.compile(r"[A-Za-z]\w*")
_OPAQUE = re.compile(r"opaque ([^\W\d]\w*)(?: \((?: \w+(?: , \w+)*)? \))? \w+(?: , \w+)*")
_HIDDEN = 1
"""The channel of tokens that the parser does not see."""


class Parsed(NamedTuple):
    """A text's tree, and what of it is no part of the tree.

    Attributes:
        program: the tree.
        version: of the language, 2 or 3; 3 where the text does not say.
        physical: the physical qubits, name -> number, `$3` -> 3.
        opaque: gates without a definition, of version 2 -> the line of their declaration.
    """

    program: Any
    version: int
    physical: dict[str, int]
    opaque: dict[str, int]


def parse(text: str) -> Parsed:
    """Return what a text holds.

    Raises:
        InvalidCircuit: text that is no OpenQASM, with line and column.
    """
    lexer = qasm3Lexer(InputStream(text))
    stream = CommonTokenStream(lexer)
    parser = qasm3Parser(stream)
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(_Refusal())
    try:
        stream.fill()
        if not any(token.channel == 0 and token.text != "<EOF>" for token in stream.tokens):
            raise InvalidCircuit("the text holds no statement", line=1, column=1)
        _check_numbers(stream.tokens)
        version = _version(stream.tokens)
        opaque = _as_version_2(stream.tokens) if version == 2 else {}
        physical = _physical(stream.tokens)
        return Parsed(_Visitor().visitProgram(parser.program()), version, physical, opaque)
    except QASM3ParsingError as error:
        found = _PLACE.match(str(error))
        line, column, message = (int(found[1]), int(found[2]), found[3]) if found else (1, 0, str(error))
        raise InvalidCircuit(message, line=line, column=column + 1) from error
    except RecursionError as error:
        raise InvalidCircuit("the text is nested too deeply to be read", line=1, column=1) from error


class _Refusal(ErrorListener):
    """Turns the first error that the lexer or the parser meets into ours."""

    def syntaxError(  # noqa: N802  antlr4's name
        self,
        recognizer: object,
        offending_symbol: Any,
        line: int,
        column: int,
        message: str,
        error: object,
    ) -> NoReturn:
        if offending_symbol is None:
            said = message.removeprefix("token recognition error at: ") + " is no part of OpenQASM"
        else:
            what = "the end of the text" if offending_symbol.text == "<EOF>" else repr(offending_symbol.text)
            missing = _MISSING.match(message)
            said = f"{missing[1]} is missing before {what}" if missing else f"{what} cannot stand here"
        raise InvalidCircuit(said, line=line, column=column + 1)


class _Visitor(QASMNodeVisitor):
    """Lets pragmas stand inside a box: Braket writes noise there. The reader refuses them elsewhere."""

    @span  # type: ignore[untyped-decorator]
    def visitPragma(self, ctx: Any) -> Any:  # noqa: N802  the base class's name
        content = ctx.RemainingLineContent()
        return ast.Pragma(command=content.getText() if content else "")


def _check_numbers(tokens: list[Any]) -> None:
    for token in tokens:
        if len(token.text) > MAX_DIGITS and (token.text[0].isdigit() or token.text[0] in "$."):
            raise InvalidCircuit(
                f"a number of {len(token.text)} digits is too long; the limit is {MAX_DIGITS}",
                line=token.line,
                column=token.column + 1,
            )


def _physical(tokens: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for token in tokens:
        if token.type == qasm3Lexer.HardwareQubit:
            found[token.text] = int(token.text[1:])
            if found[token.text] >= MAX_QUBITS:
                raise InvalidCircuit(
                    f"{token.text} is beyond the limit of {MAX_QUBITS} qubits", line=token.line, column=token.column + 1
                )
    return found


def _version(tokens: list[Any]) -> int:
    for token in tokens:
        if token.type == qasm3Lexer.VersionSpecifier:
            if token.text not in _VERSIONS:
                raise InvalidCircuit(
                    f"OpenQASM {token.text} is not known here; 2.0, 3.0 and 3.1 are", line=token.line, column=token.column + 1
                )
            return _VERSIONS[token.text]
    return 3


def _as_version_2(tokens: list[Any]) -> dict[str, int]:
    """Let version 2's tokens mean what they mean there: `^` is the power, most keywords of version 3 are names.

    Declarations of opaque gates are hidden from the parser, which knows none: they are returned, gate -> line.
    """
    opaque: dict[str, int] = {}
    seen = [token for token in tokens if token.channel == 0]
    skipped_to = 0
    for position, token in enumerate(seen):
        if token.type == qasm3Lexer.CARET:
            token.type, token.text = qasm3Lexer.DOUBLE_ASTERISK, "**"
        elif token.text == "opaque" and position >= skipped_to:
            skipped_to = _skip_opaque(seen, position, opaque)
        elif _WORD.fullmatch(token.text) and token.text not in _KEYWORDS_2:
            token.type = qasm3Lexer.Identifier
    return opaque


def _skip_opaque(tokens: list[Any], start: int, opaque: dict[str, int]) -> int:
    """Hide `opaque NAME(a, b) x, y;` and note the name; return the position behind it."""
    end = next((position for position in range(start, len(tokens)) if tokens[position].text == ";"), None)
    words = "" if end is None else " ".join(token.text for token in tokens[start:end])
    found = _OPAQUE.fullmatch(words)
    if end is None or found is None:
        raise InvalidCircuit(
            "an opaque gate is declared so: `opaque magic(a, b) x, y;`", line=tokens[start].line, column=tokens[start].column + 1
        )
    if found[1] in opaque:
        raise InvalidCircuit(f"{found[1]!r} is declared already", line=tokens[start].line, column=tokens[start].column + 1)
    opaque[found[1]] = tokens[start].line
    for token in tokens[start : end + 1]:
        token.channel = _HIDDEN
    return end + 1

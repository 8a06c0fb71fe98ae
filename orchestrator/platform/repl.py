"""The language of Renode platform descriptions (``.repl``): text in, syntax tree out.

The grammar is Renode's own, accepted in full: `docs/writing-a-platform.md` lists it, and what of it has a meaning
here. Nothing is looked up: a name that does not exist is found by :mod:`orchestrator.platform.resolve`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedToken
from lark.lexer import Lexer as LarkLexer

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import PlatformError
from orchestrator.base.kept import own_folder
from orchestrator.platform.lexer import SourceText, lex
from orchestrator.platform.model import Source
from orchestrator.platform.syntax import (
    EMPTY,
    Attribute,
    Description,
    Dictionary,
    Empty,
    Entry,
    Enumeration,
    Inline,
    IrqAttribute,
    IrqDestination,
    ListValue,
    Literal,
    Property,
    Range,
    Reference,
    RegistrationEntry,
    Statements,
    Using,
    Value,
)

__all__ = ["parse_repl"]

GRAMMAR = r"""
description: usings entries
usings: (using SEMICOLON*)*
using: USING STRING [NAME STRING]
entries: (entry (SEMICOLON entry)* SEMICOLON?)?
entry: [LOCAL] NAME COLON [type] [registrations] [alias] [block]
?alias: AS STRING
?type: NAME | DOTTED
registrations: AT NONE -> unregistered
    | AT registration -> one_registration
    | AT LBRACE registration (SEMICOLON registration)* SEMICOLON? RBRACE -> registration_list
registration: NAME [_plain]
block: LBRACE (attribute (SEMICOLON attribute)* SEMICOLON?)? RBRACE
?attribute: parameter | irq | statements
parameter: NAME COLON (value | none | empty)
statements: (PREINIT | INIT | RESET) [NAME] COLON LBRACE statement (SEMICOLON statement)* RBRACE
?statement: STATEMENT
irq: [outputs] ARROW (NONE | destination (PIPE? destination)*)
outputs: output | LSQB output (COMMA output)* RSQB
?output: NAME | span
destination: NAME [local_index] AT inputs
?local_index: HASH number
inputs: span | LSQB span (COMMA span)* RSQB
span: number [MINUS number]
?value: _plain | dictionary
_plain: _scalar | inline | listing
_scalar: string | extent | signed | enumeration | truth | reference
string: STRING
extent: LESS number COMMA [PLUS] number MORE
signed: [MINUS] (number | real)
number: HEX | INT
real: FLOAT
enumeration: DOTTED | SHORT
truth: TRUE | FALSE
reference: NAME
none: NONE
empty: EMPTY
inline: NEW type [block]
listing: LSQB [(value | empty) (COMMA (value | empty))* COMMA?] RSQB
dictionary: LBRACE [pair (SEMICOLON pair)* SEMICOLON?] RBRACE
pair: _scalar COLON value

%declare USING NEW AS PREINIT INIT RESET LOCAL TRUE FALSE NONE EMPTY
%declare NAME DOTTED SHORT HEX INT FLOAT STRING STATEMENT
%declare ARROW LBRACE RBRACE LSQB RSQB LESS MORE SEMICOLON COLON AT PIPE COMMA PLUS MINUS HASH
"""
SPELLED = {
    "ARROW": "'->'",
    "LBRACE": "'{' or a deeper indent",
    "RBRACE": "'}' or a shallower indent",
    "LSQB": "'['",
    "RSQB": "']'",
    "LESS": "'<'",
    "MORE": "'>'",
    "SEMICOLON": "';' or a new line",
    "COLON": "':'",
    "AT": "'@'",
    "PIPE": "'|'",
    "COMMA": "','",
    "PLUS": "'+'",
    "MINUS": "'-'",
    "HASH": "'#'",
    "NAME": "a name",
    "DOTTED": "a dotted name",
    "SHORT": "'.Name'",
    "HEX": "a number",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a string",
    "STATEMENT": "a statement",
    "$END": "the end of the file",
}


NO_COMBINING = "to wire several outputs to one input, write a line for each (Renode has no 'A | B -> ...')"


class _Token(Token):
    """lark's token, which knows its place in a file."""

    source: Source


class _Lexer(LarkLexer):
    """lark's door to :mod:`orchestrator.platform.lexer`."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, data: Any) -> Iterator[Token]:  # type: ignore[override]  # lark types only its newer interface
        source: SourceText = data
        for each in lex(source):
            token = _Token(each.type, each.text, None, each.line, each.column)
            token.source = Source(source.file, each.line, each.column)
            yield token


def _token(items: list[Any], *types: str) -> _Token | None:
    return next((item for item in items if isinstance(item, _Token) and item.type in types), None)


def _first(items: list[Any], *types: str) -> _Token:
    token = _token(items, *types)
    assert token is not None, types
    return token


def _of(kind: Any, items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


VALUES = (Literal, Empty, Reference, Enumeration, Range, Inline, ListValue, Dictionary)


class _Builder(Transformer[_Token, Description]):
    """One method for each rule: children in, node of the syntax tree out."""

    def description(self, items: list[Any]) -> Description:
        return Description("", tuple(items[0]), tuple(items[1]))

    def usings(self, items: list[Any]) -> list[Using]:
        return _of(Using, items)

    def using(self, items: list[Any]) -> Using:
        _, path, prefixed, prefix = items
        if prefixed is not None and prefixed != "prefixed":
            raise _error(prefixed, "unexpected name", expected="prefixed", found=str(prefixed))
        return Using(str(path), str(prefix or ""), items[0].source)

    def entries(self, items: list[Any]) -> list[Entry]:
        return _of(Entry, items)

    def entry(self, items: list[Any]) -> Entry:
        local, name, _, type_, registrations, alias, block = items
        return Entry(
            str(name),
            None if type_ is None else str(type_),
            registrations,
            None if alias is None else alias,
            block or (),
            local is not None,
            name.source,
        )

    def alias(self, items: list[Any]) -> str:
        return str(items[1])

    def unregistered(self, _items: list[Any]) -> tuple[RegistrationEntry, ...]:
        return ()

    def one_registration(self, items: list[Any]) -> tuple[RegistrationEntry, ...]:
        return (items[1],)

    def registration_list(self, items: list[Any]) -> tuple[RegistrationEntry, ...]:
        return tuple(_of(RegistrationEntry, items))

    def registration(self, items: list[Any]) -> RegistrationEntry:
        name, point = items[0], items[1] if len(items) > 1 else None
        return RegistrationEntry(Reference(str(name), name.source), point)

    def block(self, items: list[Any]) -> tuple[Attribute, ...]:
        return tuple(_of((Property, IrqAttribute, Statements), items))

    def parameter(self, items: list[Any]) -> Property:
        return Property(str(items[0]), items[2], items[0].source)

    def statements(self, items: list[Any]) -> Statements:
        keyword, suffix = items[0], items[1]
        if suffix is not None and suffix != "add":
            raise _error(suffix, "unexpected name", expected="add", found=str(suffix))
        texts = tuple((str(item), item.source) for item in items[2:] if item.type == "STATEMENT" and item)
        return Statements(str(keyword), suffix is not None, texts, keyword.source)

    def irq(self, items: list[Any]) -> IrqAttribute:
        written = items[0] if isinstance(items[0], _Outputs) else _Outputs(("",), _first(items, "ARROW").source)
        outputs = written.names
        destinations = tuple(_of(IrqDestination, items))
        for each in destinations:
            if len(each.inputs) != len(outputs):
                raise PlatformError(
                    f"{each.target.name}: inputs do not match the outputs",
                    file=each.target.source.file,
                    line=each.target.source.line,
                    column=each.target.source.column,
                    expected=len(outputs),
                    found=len(each.inputs),
                )
        return IrqAttribute(outputs, destinations, written.source)

    def outputs(self, items: list[Any]) -> _Outputs:
        names: list[str] = []
        for item in items:
            if isinstance(item, _Span):
                names += [str(number) for number in item.numbers]
            elif item.type == "NAME":
                names.append(str(item))
        return _Outputs(tuple(names), items[0].source)

    def destination(self, items: list[Any]) -> IrqDestination:
        name, local, _, inputs = items
        return IrqDestination(Reference(str(name), name.source), local, inputs)

    def local_index(self, items: list[Any]) -> int:
        return int(items[1])

    def inputs(self, items: list[Any]) -> tuple[int, ...]:
        return tuple(number for item in _of(_Span, items) for number in item.numbers)

    def span(self, items: list[Any]) -> _Span:
        first, last = items[0], items[0] if items[2] is None else items[2]
        if abs(last - first) > 4096:
            raise _error(items[1], "a range of interrupts too long to be meant", expected="up to 4096", found=int(last))
        numbers = range(first, last + 1) if last >= first else range(first, last - 1, -1)
        return _Span(numbers, first.source)

    def number(self, items: list[Any]) -> int:
        text = items[0].replace("_", "")
        return _Number(int(text, 16 if items[0].type == "HEX" else 10), items[0].source)

    def real(self, items: list[Any]) -> Any:
        return _Float(items[0].replace("_", ""), items[0].source)

    def signed(self, items: list[Any]) -> Literal:
        minus, number = items
        value = int(number) if isinstance(number, _Number) else float(number)
        return Literal(-value if minus is not None else value, minus.source if minus is not None else number.source)

    def string(self, items: list[Any]) -> Literal:
        return Literal(str(items[0]), items[0].source)

    def truth(self, items: list[Any]) -> Literal:
        return Literal(items[0].type == "TRUE", items[0].source)

    def none(self, items: list[Any]) -> Literal:
        return Literal(None, items[0].source)

    def empty(self, _items: list[Any]) -> Empty:
        return EMPTY

    def reference(self, items: list[Any]) -> Reference:
        return Reference(str(items[0]), items[0].source)

    def enumeration(self, items: list[Any]) -> Enumeration:
        return Enumeration(str(items[0]), items[0].source)

    def extent(self, items: list[Any]) -> Range:
        less, start, _, plus, end, _ = items
        limit = start + end if plus is not None else int(end)
        if limit < start:
            raise _error(less, "a range that ends before it starts", found=f"<{int(start):#x}, {int(end):#x}>")
        return Range(int(start), limit, less.source)

    def inline(self, items: list[Any]) -> Inline:
        return Inline(str(items[1]), items[2] or (), items[0].source)

    def listing(self, items: list[Any]) -> ListValue:
        return ListValue(tuple(_of(VALUES, items)), items[0].source)

    def dictionary(self, items: list[Any]) -> Dictionary:
        return Dictionary(tuple(_of(tuple, items)), items[0].source)

    def pair(self, items: list[Any]) -> tuple[Value, Value]:
        return items[0], items[2]


@dataclass(frozen=True, slots=True)
class _Span:
    numbers: range
    source: Source


@dataclass(frozen=True, slots=True)
class _Outputs:
    names: tuple[str, ...]
    source: Source


class _Number(int):
    """An integer that knows where it stands, until a :class:`Literal` takes both."""

    source: Source

    def __new__(cls, value: int, source: Source) -> _Number:
        number = super().__new__(cls, value)
        number.source = source
        return number


class _Float(float):
    source: Source

    def __new__(cls, text: str, source: Source) -> _Float:
        number = super().__new__(cls, text)
        number.source = source
        return number


def _error(token: _Token, what: str, **sides: object) -> PlatformError:
    at = token.source
    return PlatformError(what, file=at.file, line=at.line, column=at.column, **cast("Any", sides))


def _tables() -> str | bool:
    """Where lark keeps the tables of the grammar between runs: building them takes longer than all else in a start.

    The file carries a digest of grammar, lark and Python; a stale or damaged one is built anew. It is a pickle, which
    is code to whoever reads it, and so in a folder that nobody but this user can enter. False: nowhere.
    """
    folder = own_folder()
    if folder is None:
        return False
    file = folder / "repl-grammar"
    try:
        if os.path.lexists(file) and not _is_own(file):
            file.unlink()
    except OSError:
        return False
    return str(file)


def _is_own(file: Path) -> bool:
    status = file.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


@cache
def _parser() -> Lark:
    return Lark(
        GRAMMAR,
        parser="lalr",
        lexer=_Lexer,
        start="description",
        transformer=_Builder(),
        maybe_placeholders=True,
        cache=_tables(),
    )


def parse_repl(text: str, file: str) -> Description:
    """The syntax tree of a description; :class:`PlatformError` with file, line, column and what may stand there."""
    try:
        tree: object = _parser().parse(cast("str", SourceText(text, file)))
    except UnexpectedToken as error:
        raise _unexpected(cast("_Token", error.token), error.accepts or error.expected, text, file) from None
    description = cast("Description", tree)
    return Description(file, description.usings, description.entries)


def _unexpected(token: _Token, expected: set[str], text: str, file: str) -> PlatformError:
    if token.type == "$END":
        found = "the end of the file"
        source = Source(file, text.count("\n") + 1, len(text) - text.rfind("\n"))
    else:
        found, source = repr(str(token)) if token else SPELLED[token.type], token.source
    spelled = sorted({SPELLED.get(terminal, terminal.lower()) for terminal in expected})
    return PlatformError(
        "syntax error",
        file=file,
        line=source.line,
        column=source.column,
        expected=" | ".join(spelled),
        found=found,
        advice=NO_COMBINING if token.type == "PIPE" else None,
    )

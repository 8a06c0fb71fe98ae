"""Syntax trees of descriptions, kept between runs: the grammar is loaded only where a text is new.

Parsing depends on a text and its name alone, and the parser's import takes longer than parsing (``base/kept``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator import __version__
from orchestrator.base.kept import kept, state_of
from orchestrator.platform import syntax
from orchestrator.platform.model import Source

__all__ = ["description_of"]

_NODES: tuple[type[Any], ...] = (
    Source,
    syntax.Literal,
    syntax.Empty,
    syntax.Reference,
    syntax.Enumeration,
    syntax.Range,
    syntax.Inline,
    syntax.ListValue,
    syntax.Dictionary,
    syntax.Property,
    syntax.IrqDestination,
    syntax.IrqAttribute,
    syntax.Statements,
    syntax.RegistrationEntry,
    syntax.Entry,
    syntax.Using,
    syntax.Description,
)
_NUMBERS = {node: number for number, node in enumerate(_NODES)}
_SCALARS = frozenset((int, float, str, bool, type(None)))


def description_of(text: str, file: str) -> syntax.Description:
    """:func:`~orchestrator.platform.repl.parse_repl`, or what it said of the same text under the same name before."""

    def parse() -> Any:
        from orchestrator.platform.repl import parse_repl  # noqa: PLC0415  # lark costs more to import than all else

        return _plain(parse_repl(text, file))

    here = Path(__file__)
    parser = state_of(here, *(here.with_name(f"{name}.py") for name in ("repl", "lexer", "syntax", "model")))
    tree: syntax.Description = _node(kept("tree", (__version__, parser, file, text), parse))
    return tree


def _plain(value: Any) -> Any:
    """A node as a tuple that begins with its number, and a tuple of nodes as a list."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is tuple:
        return [_plain(each) for each in value]
    return (_NUMBERS[kind], *(_plain(getattr(value, name)) for name in kind.__match_args__))


def _node(plain: Any) -> Any:
    if type(plain) is tuple:
        return _NODES[plain[0]](*map(_node, plain[1:]))
    return tuple(map(_node, plain)) if type(plain) is list else plain

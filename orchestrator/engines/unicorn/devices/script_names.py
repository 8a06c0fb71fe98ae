"""Which names of a peripheral script are of one access only: bound in it before they are read, so no state.

Two accesses to a device that differ in such names alone leave it the same.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable

__all__ = ["passing_names"]

_LOOKS_AT_ALL = frozenset({"dir", "eval", "exec", "globals", "locals", "vars"})


def passing_names(script: str, name: str, tree: ast.Module | None = None) -> frozenset[str]:
    """Names of the script's own scope that no statement reads before the same run has bound them.

    ``tree`` is the script's, where it has been parsed already.
    """
    reader = _Reader()
    reader.block((tree or ast.parse(script, name)).body, frozenset())
    reader.read_early |= _read_in_functions(symtable.symtable(script, name, "exec"))
    if reader.read & _LOOKS_AT_ALL:
        return frozenset()
    return frozenset(reader.bound - reader.read_early)


def _read_in_functions(table: symtable.SymbolTable) -> set[str]:
    """Names of the script's scope that functions, classes and comprehensions in it use, whenever they run."""
    found: set[str] = set()
    for child in table.get_children():
        found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()} | _read_in_functions(child)
    return found


class _Reader:
    """Goes through statements in the order in which they run. What may not run binds nothing for what comes after."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.read: set[str] = set()
        self.read_early: set[str] = set()

    def block(self, statements: Iterable[ast.stmt], known: frozenset[str]) -> frozenset[str]:
        """The names that are bound after these, whichever way was taken."""
        for each in statements:
            known = self._statement(each, known)
        return known

    def _statement(self, node: ast.stmt, known: frozenset[str]) -> frozenset[str]:
        match node:
            case ast.If(test, body, orelse):
                self._use(test, known)
                return self.block(body, known) & self.block(orelse, known)
            case ast.For(target, iterable, body, orelse):
                self._use(iterable, known)
                self.block(body, known | self._bind(target, known))
                self.block(orelse, known)
                return known
            case ast.While(test, body, orelse):
                self._use(test, known)
                self.block(body, known)
                self.block(orelse, known)
                return known
            case ast.Assign(targets, value):
                self._use(value, known)
                return known.union(*(self._bind(each, known) for each in targets))
            case ast.AugAssign(ast.Name(name), _, value):
                self._use(value, known)
                self._name(name, known)
                return known | {name}
            case ast.FunctionDef(args=arguments, decorator_list=decorators):  # its body: _read_in_functions
                for each in (arguments, *decorators):
                    self._use(each, known)
                return known
            case _:
                self._use(node, known)
                return known

    def _bind(self, target: ast.expr, known: frozenset[str]) -> frozenset[str]:
        self._use(target, known)
        names = {each.id for each in ast.walk(target) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        self.bound |= names
        return frozenset(names)

    def _use(self, node: ast.AST, known: frozenset[str]) -> None:
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Store):
                self._name(each.id, known)

    def _name(self, name: str, known: frozenset[str]) -> None:
        self.read.add(name)
        if name not in known:
            self.read_early.add(name)

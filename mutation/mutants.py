"""A module's syntax tree with one small fault in it; each has a number that is the same in every run.

Left alone is what no result depends on: texts of messages, annotations, ``__all__``, assertions, branches for the type
checker.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants", "mutated"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_LEFT_ALONE = (ast.Raise, ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom, ast.AnnAssign)


@dataclass(frozen=True, slots=True)
class Mutant:
    """The fault of this number in a module."""

    module: str
    number: int
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class _Fault:
    node: ast.AST
    what: str
    do: Callable[[ast.AST], ast.AST]  # the node or what stands for it


def mutants(module: str, text: str) -> list[Mutant]:
    """All of a module's, in the order of its text."""
    found = _faults(ast.parse(text))
    return [Mutant(module, n, getattr(each.node, "lineno", 0), each.what) for n, each in enumerate(found)]


def mutated(text: str, number: int) -> ast.Module:
    """The module with the fault of this number."""
    tree = ast.parse(text)
    fault = list(_faults(tree))[number]
    _Replace(fault.node, fault.do(fault.node)).visit(tree)  # never the module itself
    return ast.fix_missing_locations(tree)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old = old
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._old:
            return ast.copy_location(self._new, node)
        return self.generic_visit(node)


def _faults(tree: ast.AST) -> Iterator[_Fault]:
    for node in _walk(tree):
        yield from _of(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that a result may depend on, parents first."""
    yield node
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                yield from _walk(child)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, _LEFT_ALONE):
        return True
    if isinstance(node, ast.Assign):
        return any(isinstance(each, ast.Name) and each.id == "__all__" for each in node.targets)
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _of(node: ast.AST) -> Iterator[_Fault]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARISONS:
            other = _COMPARISONS[type(op)]
            yield _Fault(node, f"{type(op).__name__} -> {other.__name__}", lambda each: _with(each, ops=[other()]))
        case ast.BoolOp(op=op):
            swapped: type[ast.boolop] = ast.Or if isinstance(op, ast.And) else ast.And
            yield _Fault(node, f"{type(op).__name__} -> {swapped.__name__}", lambda each: _with(each, op=swapped()))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _Fault(node, "not left out", lambda _: operand)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            instead = _OPERATORS[type(op)]
            yield _Fault(node, f"{type(op).__name__} -> {instead.__name__}", lambda each: _with(each, op=instead()))
        case ast.Constant(value=bool(value)):
            yield _Fault(node, f"{value} -> {not value}", lambda _: ast.Constant(not value))
        case ast.Constant(value=int(number)):
            yield _Fault(node, f"{number} -> {number + 1}", lambda _: ast.Constant(number + 1))
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(
            test, (ast.Compare, ast.BoolOp, ast.UnaryOp)
        ):
            yield _Fault(node, "condition turned round", lambda each: _with(each, test=ast.UnaryOp(ast.Not(), test)))
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield _Fault(node, "statement left out", lambda _: ast.Pass())
        case ast.Continue():
            yield _Fault(node, "continue -> break", lambda _: ast.Break())
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _Fault(node, "None returned", lambda each: _with(each, value=ast.Constant(None)))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of one node with other fields; its children are the same."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new

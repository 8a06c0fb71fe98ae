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


_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mutant:
    """The fault of this number in a module.

    ``function`` is the first line of the innermost function that it is in, decorators included, as code objects have
    it; 0 where the fault comes true as the module is loaded, or where a function runs once and its result is kept.
    """

    module: str
    number: int
    line: int
    what: str
    function: int
    is_condition: bool  # what decides, not what is said or computed
    rule: str  # the id of the rule whose function it is in; empty: none


@dataclass(frozen=True, slots=True)
class _Fault:
    node: ast.AST
    what: str
    do: Callable[[ast.AST], ast.AST]  # the node or what stands for it
    is_condition: bool = False


def mutants(module: str, text: str) -> list[Mutant]:
    """All of a module's, in the order of its text."""
    return [
        Mutant(module, n, getattr(each.node, "lineno", 0), each.what, _first_line(function), each.is_condition, rule_id)
        for n, (each, function, rule_id) in enumerate(_faults(ast.parse(text)))
    ]


def mutated(text: str, number: int) -> ast.Module:
    """The module with the fault of this number."""
    tree = ast.parse(text)
    fault = list(_faults(tree))[number][0]
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


def _faults(tree: ast.AST) -> Iterator[tuple[_Fault, _Function | None, str]]:
    """Each with the innermost function around it and the id of the rule that it belongs to."""
    for node, function, rule_id in _walk(tree, None, ""):
        for each in _of(node):
            yield each, function, rule_id


def _walk(node: ast.AST, function: _Function | None, rule_id: str) -> Iterator[tuple[ast.AST, _Function | None, str]]:
    """Every node that a result may depend on, parents first."""
    inside = node if isinstance(node, _Function) else function
    rule_inside = rule_id or _rule_id(node)
    yield node, inside, rule_inside
    for name, field in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        around = (function, rule_id) if name == "args" else (inside, rule_inside)  # defaults are not of the function
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_left_alone(child):
                yield from _walk(child, *around)


def _rule_id(node: ast.AST) -> str:
    """Of a function that ``@rule("ID", ...)`` registers."""
    for each in node.decorator_list if isinstance(node, _Function) else []:
        match each:
            case ast.Call(func=ast.Name(id="rule"), args=[ast.Constant(value=str(id_))]):
                return id_
    return ""


def _first_line(function: _Function | None) -> int:
    if function is None or any("cache" in ast.unparse(each) for each in function.decorator_list):
        return 0
    return min(each.lineno for each in (function, *function.decorator_list))


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, _LEFT_ALONE):
        return True
    if isinstance(node, ast.Assign):
        return any(isinstance(each, ast.Name) and each.id == "__all__" for each in node.targets)
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _of(node: ast.AST) -> Iterator[_Fault]:
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                if type(op) in _COMPARISONS:
                    yield _compared_otherwise(node, i, _COMPARISONS[type(op)])
        case ast.BoolOp(op=op):
            swapped: type[ast.boolop] = ast.Or if isinstance(op, ast.And) else ast.And
            what = f"{type(op).__name__} -> {swapped.__name__}"
            yield _Fault(node, what, lambda each: _with(each, op=swapped()), is_condition=True)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _Fault(node, "not left out", lambda _: operand, is_condition=True)
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
            what = "condition turned round"
            yield _Fault(node, what, lambda each: _with(each, test=ast.UnaryOp(ast.Not(), test)), is_condition=True)
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield _Fault(node, "statement left out", lambda _: ast.Pass())
        case ast.Continue():
            yield _Fault(node, "continue -> break", lambda _: ast.Break())
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _Fault(node, "None returned", lambda each: _with(each, value=ast.Constant(None)))
        case ast.FunctionDef(body=body) if any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in _own(node)):
            what = "nothing yielded"
            yield _Fault(node, what, lambda each: _with(each, body=[ast.Return(None), *body]), is_condition=True)


def _compared_otherwise(node: ast.Compare, place: int, instead: type[ast.cmpop]) -> _Fault:
    ops = [*node.ops]
    ops[place] = instead()
    which = f" (comparison {place + 1})" if place else ""
    what = f"{type(node.ops[place]).__name__} -> {instead.__name__}{which}"
    return _Fault(node, what, lambda each: _with(each, ops=ops), is_condition=True)


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (_Function, ast.Lambda)):
            yield child
            yield from _own(child)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of one node with other fields; its children are the same."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new

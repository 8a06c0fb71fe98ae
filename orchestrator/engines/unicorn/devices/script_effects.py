"""Whether a run of a peripheral script has changed anything: its code says so itself, before it does.

A script is told apart as a whole first: it is understood only where all that it is written with is in the lists below.
Then there is nothing in it whose mere use changes it (no iterator, generator, module, class or file; no method but the
listed), and what may change more than the run itself is to be seen in its statements: a name that a later run may read,
an element, an attribute, a method that changes its object, what reaches the board or reads of it what others change.
Before each of those, the code binds ``CHANGED`` to True.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

__all__ = ["CHANGED", "tell_changes"]

CHANGED = "__changed__"
"""A name of the script's scope: bound to True where a run may have changed something."""

_API = frozenset({"emulationManager", "print", "request", "self", "size"})
_ITERATORS = frozenset({"enumerate", "reversed", "zip"})  # used up by being read: only where nothing keeps them
_ONLY_CALLED = _ITERATORS | {"print"}
_READERS = frozenset({"all", "any", "dict", "frozenset", "list", "max", "min", "set", "sorted", "sum", "tuple"})
_BUILTINS = _READERS | _ITERATORS
_BUILTINS |= {"abs", "bool", "chr", "divmod", "float", "hex", "int", "isinstance", "len", "ord", "pow", "range", "str"}
_RESERVED = _API | _BUILTINS | {CHANGED, "type"}

_READ = frozenset({"CurrentEmulation", "InDeepSleep", "Instance", "IsInit", "IsRead", "IsSet", "IsUser", "IsWrite"})
_READ |= {"Length", "Machines", "Offset", "SystemBus", "Type", "Value"}
_READ |= {"GetCPUs", "GetMachine", "TryGetCurrentCPU"}
_READ |= {"bit_length", "copy", "count", "get", "index", "items", "keys", "values"}
_SEEN_ELSEWHERE = frozenset({"InitVectorTableOffset", "IsHalted", "VectorTableOffset"})  # and changed there
_CHANGING = frozenset({"DebugLog", "ErrorLog", "InfoLog", "NoisyLog", "OnGPIO", "SetEventFlag", "WarningLog"})
_CHANGING |= {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse"}
_CHANGING |= {"setdefault", "sort", "update"}

_NODES = (
    *(ast.Module, ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.For, ast.While, ast.Pass, ast.Break, ast.Continue),
    *(ast.Return, ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Global, ast.Nonlocal, ast.Delete),
    *(ast.Assert, ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Call, ast.keyword, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Dict, ast.Set),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.JoinedStr, ast.FormattedValue),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)


def tell_changes(tree: ast.Module, passing: frozenset[str]) -> bool:
    """Have a script's code bind ``CHANGED``; False, and the tree as it was, where it is not understood.

    ``passing`` are its names that are of one run only (``script_names``).
    """
    if not _is_understood(tree):
        return False
    _Marker(passing).module(tree)
    ast.fix_missing_locations(tree)
    return True


def _is_understood(tree: ast.Module) -> bool:
    nodes = [*ast.walk(tree)]
    bound = {name for node in nodes for name in _bound(node)}
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    read_up = {id(each) for node in nodes for each in _read_up(node)}
    known = bound | _API | _BUILTINS
    return bound.isdisjoint(_RESERVED) and all(
        isinstance(node, _NODES) and _is_understood_node(node, known, called, read_up) for node in nodes
    )


def _bound(node: ast.AST) -> Iterable[str]:
    """Names that a node binds, or takes away."""
    match node:
        case ast.Name(name, ast.Store() | ast.Del()) | ast.FunctionDef(name=name) | ast.arg(name):
            return (name,)
        case ast.Global(names) | ast.Nonlocal(names):
            return names
    return ()


def _read_up(node: ast.AST) -> Iterator[ast.expr]:
    """What is read to its end, or left for good, where it stands."""
    match node:
        case ast.For(iter=iterable) | ast.comprehension(iter=iterable):
            yield iterable
        case ast.Call(ast.Name(name), arguments) if name in _READERS | _ITERATORS:
            yield from arguments


def _is_understood_node(node: ast.AST, known: set[str], called: set[int], read_up: set[int]) -> bool:
    match node:
        case ast.Name(name, ast.Load()):
            return name in known and (name not in _ONLY_CALLED or id(node) in called)
        case ast.Attribute(attr=name):
            return name in _READ or name in _SEEN_ELSEWHERE or (name in _CHANGING and id(node) in called)
        case ast.Call(ast.Name(name)) if name in _ITERATORS:
            return id(node) in read_up
        case ast.GeneratorExp():
            return id(node) in read_up
        case ast.Lambda():
            return not _changes_by_expression(node)
        case ast.FunctionDef(decorator_list=decorators, returns=returned):
            return not decorators and returned is None
    return True


def _changes_by_expression(node: ast.AST) -> bool:
    """What is no assignment."""
    for each in ast.walk(node):
        match each:
            case ast.Attribute(attr=name) if name in _CHANGING or name in _SEEN_ELSEWHERE:
                return True
            case ast.Name("print"):
                return True
    return False


class _Marker:
    """Puts a statement before each that may change something."""

    def __init__(self, passing: frozenset[str]) -> None:
        self._passing = passing
        self._outer: frozenset[str] | None = None  # names of other scopes that this function binds; None: no function
        self._has_marked = False

    def module(self, tree: ast.Module) -> None:
        tree.body = self._block(tree.body)

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [each for statement in statements for each in (*self._before(statement), self._inside(statement))]

    def _inside(self, statement: ast.stmt) -> ast.stmt:
        match statement:
            case ast.FunctionDef():
                self._function(statement)
            case ast.If() | ast.For() | ast.While():
                statement.body, statement.orelse = self._block(statement.body), self._block(statement.orelse)
        return statement

    def _function(self, function: ast.FunctionDef) -> None:
        outside = self._outer, self._has_marked
        self._outer, self._has_marked = frozenset(_names_of_others(function.body)), False
        function.body = self._block(function.body)
        if self._has_marked:
            function.body.insert(0, ast.copy_location(ast.Global([CHANGED]), function.body[0]))
        self._outer, self._has_marked = outside

    def _before(self, statement: ast.stmt) -> Iterator[ast.stmt]:
        if any(self._changes(each) for each in _own_parts(statement)):
            yield self._mark(statement)
            return
        match statement:
            case ast.FunctionDef(name) if self._is_state(name):
                yield self._mark(statement)
            case ast.AugAssign(ast.Name(name)):  # of a list, it changes the list
                text = f"if type({name}) is not int:\n    pass"
                (check,) = ast.parse(text).body
                assert isinstance(check, ast.If)
                check.body = [self._mark(statement)]
                for each in ast.walk(check):
                    ast.copy_location(each, statement)
                yield check

    def _mark(self, where: ast.stmt) -> ast.stmt:
        self._has_marked = True
        mark = ast.Assign([ast.Name(CHANGED, ast.Store())], ast.Constant(value=True))
        for each in (mark, mark.targets[0], mark.value):
            ast.copy_location(each, where)
        return mark

    def _is_state(self, name: str) -> bool:
        return name not in self._passing if self._outer is None else name in self._outer

    def _changes(self, part: ast.AST) -> bool:
        if _changes_by_expression(part):
            return True
        nodes = [*ast.walk(part)]
        of_comprehensions = {
            id(each) for node in nodes if isinstance(node, ast.comprehension) for each in ast.walk(node.target)
        }
        for node in nodes:
            match node:
                case ast.Name(name, ast.Store()):
                    if id(node) not in of_comprehensions and self._is_state(name):
                        return True
                case ast.Attribute(ast.Name("request"), "Value", ast.Store()):
                    pass
                case ast.Name(_, ast.Del()) | ast.Attribute(_, _, ast.Store() | ast.Del()):
                    return True
                case ast.Subscript(_, _, ast.Store() | ast.Del()):
                    return True
        return False


def _own_parts(statement: ast.stmt) -> tuple[ast.AST, ...]:
    """A statement without the statements inside it."""
    match statement:
        case ast.If(test) | ast.While(test):
            return (test,)
        case ast.For(target, iterable):
            return target, iterable
        case ast.FunctionDef(args=arguments):
            return (arguments,)
    return (statement,)


def _names_of_others(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that a function declares as the script's, or of the function around it."""
    for each in statements:
        match each:
            case ast.Global(names) | ast.Nonlocal(names):
                yield from names
            case ast.If(_, body, orelse) | ast.For(body=body, orelse=orelse) | ast.While(_, body, orelse):
                yield from _names_of_others((*body, *orelse))

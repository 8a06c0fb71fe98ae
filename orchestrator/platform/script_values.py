"""What a name of a peripheral script may stand for: its syntax tree in, expressions and answers about them out.

A script is one scope that lives as long as the board, so names are told by their spelling alone and the order of
assignments does not count: what a name was ever given, it may hold. Of a container every element counts as any.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

__all__ = ["Values", "constant", "element"]

_PASSING = (
    "dict",
    "frozenset",
    "iter",
    "list",
    "reversed",
    "set",
    "sorted",
    "tuple",
)  # elements of what they are given
_GIVERS = ("get", "items", "pop", "setdefault", "values")  # methods that give elements
_TAKERS = {"append": 0, "add": 0, "insert": 1, "setdefault": 1}  # methods that take one, and in which argument


def element(container: ast.expr, index: int | None = None) -> ast.expr:
    """An expression for one element of a container; None: any of them."""
    return ast.copy_location(ast.Subscript(container, ast.Constant(index), ast.Load()), container)


def constant(node: ast.expr | None) -> object:
    """The value of a literal; None for everything else."""
    return node.value if isinstance(node, ast.Constant) else None


class Values:
    """Sources of names, elements of containers, results of functions."""

    def __init__(self, tree: ast.Module) -> None:
        self.sources: dict[str, list[ast.expr]] = defaultdict(list)
        self.stored: dict[str, list[ast.expr]] = defaultdict(list)  # by ``name[...] = x`` and ``name.append(x)``
        self.returned: dict[str, list[ast.expr]] = defaultdict(list)
        self.parameters: dict[str, list[str]] = {}  # of functions, in order
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                self._function(node)
        for node in ast.walk(tree):
            self._collect(node)
        self._negative: dict[str, ast.expr | None] = {}  # of names, ``name[]``, ``function()`` and ``function()[]``
        while self._learn():
            pass

    def _function(self, node: ast.FunctionDef) -> None:
        names = [each.arg for each in node.args.args]
        self.parameters[node.name] = names
        defaults = node.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            self.sources[name].append(default)
        for each in ast.walk(node):
            if isinstance(each, ast.Return) and each.value is not None:
                self.returned[node.name].append(each.value)

    def _collect(self, node: ast.AST) -> None:
        match node:
            case ast.Assign():
                for target in node.targets:
                    self._give(target, node.value)
            case ast.AugAssign():
                before = ast.copy_location(ast.parse(ast.unparse(node.target), mode="eval").body, node)
                self._give(node.target, ast.copy_location(ast.BinOp(before, node.op, node.value), node))
            case ast.For() | ast.comprehension():
                self._give(node.target, element(node.iter))
            case ast.Call(func=ast.Name(id=name)) if name in self.parameters:
                for parameter, value in zip(self.parameters[name], node.args, strict=False):
                    self.sources[parameter].append(value)
                for keyword in node.keywords:
                    if keyword.arg:
                        self.sources[keyword.arg].append(keyword.value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _TAKERS:
                self.stored[name] += node.args[_TAKERS[method] :][:1]

    def _give(self, target: ast.expr, value: ast.expr) -> None:
        match target:
            case ast.Name():
                self.sources[target.id].append(value)
            case ast.Subscript(value=ast.Name(id=name)):
                self.stored[name].append(value)
            case ast.Tuple() | ast.List():
                same = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
                for index, each in enumerate(target.elts):
                    inner = value.elts[index] if same and isinstance(value, ast.Tuple | ast.List) else None
                    self._give(each, inner or element(value, index))

    # questions

    def negative(self, node: ast.expr) -> ast.expr | None:
        """The ``~`` or ``-`` that may make this negative; None where it cannot, or where nothing is known of it."""
        match node:
            case ast.UnaryOp(op=ast.Invert()):
                return node
            case ast.UnaryOp(op=ast.USub()):
                return None if constant(node.operand) == 0 else node
            case ast.BinOp(op=ast.Sub()):
                return None if _stays_positive(node) else node
            case ast.BinOp(op=ast.BitAnd()):
                return self.negative(node.left) and self.negative(node.right)
            case ast.BinOp(op=ast.LShift() | ast.RShift()):
                return self.negative(node.left)
            case ast.BinOp(op=ast.Mod()):
                return self.negative(node.right)
            case ast.BinOp():
                return self.negative(node.left) or self.negative(node.right)
            case ast.IfExp():
                return self.negative(node.body) or self.negative(node.orelse)
            case ast.BoolOp():
                return _first(map(self.negative, node.values))
            case ast.Name(id=name):
                return self._negative.get(name)
            case ast.Subscript():
                return self.holds_negative(node.value)
            case ast.Call(func=ast.Name(id="max")):
                found = [self.negative(each) for each in node.args]
                return found[0] if found and all(found) else None
            case ast.Call(func=ast.Name(id="min" | "int")):
                return _first(map(self.negative, node.args))
            case ast.Call(func=ast.Name(id="sum")):
                return _first(map(self.holds_negative, node.args))
            case ast.Call(func=ast.Name(id=name)):
                return self._negative.get(f"{name}()")
            case ast.Call(func=ast.Attribute(value=container, attr=method)) if method in _GIVERS:
                return self.holds_negative(container) or _first(map(self.negative, node.args[1:]))
        return None

    def holds_negative(self, node: ast.expr) -> ast.expr | None:
        """As :meth:`negative`, of the numbers in a container, however deep."""
        match node:
            case ast.List() | ast.Tuple() | ast.Set():
                return self._either(node.elts)
            case ast.Dict():
                return self._either(node.values)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._either([node.elt])
            case ast.DictComp():
                return self._either([node.value])
            case ast.BinOp(op=ast.Mult() | ast.Add()):
                return self.holds_negative(node.left) or self.holds_negative(node.right)
            case ast.IfExp():
                return self.holds_negative(node.body) or self.holds_negative(node.orelse)
            case ast.Name(id=name):
                return self._negative.get(f"{name}[]")
            case ast.Subscript():
                return self.holds_negative(node.value)
            case ast.Call(func=ast.Name(id="range")) if len(node.args) > 1:
                return self.negative(node.args[0])
            case ast.Call(func=ast.Name(id=name)) if name in _PASSING:
                return _first(map(self.holds_negative, node.args))
            case ast.Call(func=ast.Name(id=name)):
                return self._negative.get(f"{name}()[]")
            case ast.Call(func=ast.Attribute(value=container, attr=method)) if method in _GIVERS:
                return self.holds_negative(container)
        return None

    def _either(self, nodes: Iterable[ast.expr]) -> ast.expr | None:
        return _first(self.negative(each) or self.holds_negative(each) for each in nodes)

    def _learn(self) -> bool:
        """One round over all names and functions; whether anything new came out of it."""
        before = sum(1 for each in self._negative.values() if each)
        for name in {*self.sources, *self.stored}:
            sources, stored = self.sources[name], self.stored[name]
            self._negative[name] = _first(map(self.negative, sources))
            self._negative[f"{name}[]"] = _first(map(self.holds_negative, sources)) or self._either(stored)
        for name, returned in self.returned.items():
            self._negative[f"{name}()"] = _first(map(self.negative, returned))
            self._negative[f"{name}()[]"] = _first(map(self.holds_negative, returned))
        return sum(1 for each in self._negative.values() if each) > before

    def is_dict(self, node: ast.expr) -> bool:
        """Whether this is known to be a dictionary."""
        return any(
            isinstance(each, ast.Dict | ast.DictComp)
            or (isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "dict")
            for each in self._origins(node, set())
        )

    def _origins(self, node: ast.expr, seen: set[str]) -> Iterator[ast.expr]:
        """Where a value was made, as far back as names and elements go."""
        match node:
            case ast.Name(id=name):
                if name not in seen:
                    seen.add(name)
                    for source in self.sources[name]:
                        yield from self._origins(source, seen)
            case ast.Subscript():
                for each in self._elements(node.value, seen):
                    yield from self._origins(each, seen)
            case _:
                yield node

    def _elements(self, container: ast.expr, seen: set[str]) -> Iterator[ast.expr]:
        if isinstance(container, ast.Name) and f"{container.id}[]" not in seen:
            seen.add(f"{container.id}[]")
            yield from self.stored[container.id]
        for origin in self._origins(container, seen):
            match origin:
                case ast.List() | ast.Tuple() | ast.Set():
                    yield from origin.elts
                case ast.Dict():
                    yield from origin.values
                case ast.ListComp():
                    yield origin.elt
                case ast.DictComp():
                    yield origin.value
                case ast.BinOp(op=ast.Mult() | ast.Add()):
                    yield from self._elements(origin.left, seen)
                    yield from self._elements(origin.right, seen)

    def is_nonzero(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> bool:
        """Whether this can be divided by: a number other than 0, or a name for such numbers only."""
        match node:
            case ast.Constant():
                return node.value not in (0, None)
            case ast.UnaryOp(op=ast.USub()):
                return self.is_nonzero(node.operand, seen)
            case ast.BinOp(op=ast.LShift() | ast.Mult() | ast.BitOr()):
                return self.is_nonzero(node.left, seen) and (
                    not isinstance(node.op, ast.Mult) or self.is_nonzero(node.right, seen)
                )
            case ast.Name(id=name) if name not in seen and self.sources[name]:
                return all(self.is_nonzero(each, seen | {name}) for each in self.sources[name])
            case ast.Attribute(value=ast.Name(id="request"), attr="Length"):
                return True
        return False


def _first(found: Iterable[ast.expr | None]) -> ast.expr | None:
    return next((each for each in found if each is not None), None)


def _stays_positive(node: ast.BinOp) -> bool:
    """``a - a % n`` and ``(m << n) - k`` with k up to m: idioms that never go below zero."""
    match node.right:
        case ast.BinOp(op=ast.Mod(), left=same):
            return ast.unparse(same) == ast.unparse(node.left)
        case ast.Constant(value=int(low)):
            left = (
                node.left.left
                if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.LShift)
                else node.left
            )
            high = constant(left)
            return isinstance(high, int) and high >= low
    return False

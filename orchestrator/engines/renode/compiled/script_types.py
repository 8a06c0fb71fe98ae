"""What each expression of a peripheral script is, by inference: so that it can be compiled where it is one thing only.

A script is a program in a small part of Python (docs/writing-a-peripheral.md). Its types are numbers, truth, text,
parts of the machine, sequences and dictionaries of one type, and tuples. :class:`UntypedError` is raised for a script
that needs more, at the node where that shows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from orchestrator.base.dataclass import dataclass

__all__ = ["Function", "Script", "Type", "UntypedError", "infer"]

_METHODS_OF_PARTS = {"OnGPIO": "none", "SetEventFlag": "none"}
_VALUES_OF_PARTS = {"IsHalted": "bool", "InitVectorTableOffset": "int", "VectorTableOffset": "int"}
REQUEST = ("Offset", "Length", "Value")
SECTIONS = {"IsInit": "init", "IsRead": "read", "IsWrite": "write"}


class UntypedError(Exception):
    """This script is not in the part of Python that can be compiled."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', 0)}: {what}")


class UnknownYetError(UntypedError):
    """It may be in it, as far as is known by now."""


class Type:
    """One type; ``kind`` "" is not known yet, and may turn out to be the same as another one."""

    def __init__(self, kind: str = "", parts: Sequence[Type] = ()) -> None:
        self._kind = kind
        self._parts = tuple(parts)
        self._same: Type | None = None

    def found(self) -> Type:
        found = self
        while found._same is not None:
            found = found._same
        return found

    @property
    def kind(self) -> str:
        return self.found()._kind

    @property
    def parts(self) -> tuple[Type, ...]:
        return self.found()._parts

    def unify(self, other: Type) -> bool:
        """Let both be one; False where they differ."""
        a, b = self.found(), other.found()
        if a is b:
            return True
        if not a._kind or not b._kind:
            unknown, known = (a, b) if not a._kind else (b, a)
            unknown._same = known
            return True
        if a._kind != b._kind or len(a._parts) != len(b._parts):
            return False
        return all(x.unify(y) for x, y in zip(a._parts, b._parts, strict=True))


@dataclass(slots=True)
class Function:
    """One that a script defines."""

    node: ast.FunctionDef
    parameters: dict[str, Type]
    result: Type
    names: dict[str, Type]  # its own, parameters too


@dataclass(slots=True)
class Script:
    """A script that can be compiled."""

    sections: dict[str, list[ast.stmt]]  # init, read, write
    shared: dict[str, Type]  # names that live as long as the device
    locals: dict[str, dict[str, Type]]  # by section
    functions: dict[str, Function]
    types: dict[int, Type]  # by id of an expression


def _assigned(nodes: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that are bound by these statements, those in functions apart."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            continue
        stack: list[ast.AST] = [node]
        while stack:
            each = stack.pop()
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                yield each.id
            if not isinstance(each, (ast.FunctionDef, ast.GeneratorExp)):
                stack.extend(ast.iter_child_nodes(each))


def _sections(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    found: dict[str, list[ast.stmt]] = {"init": [], "read": [], "write": []}
    rest = tree.body
    while rest:
        match rest:
            case [ast.If(test=ast.Attribute(value=ast.Name(id="request"), attr=attr), body=body, orelse=orelse)]:
                if attr not in SECTIONS or found[SECTIONS[attr]]:
                    raise UntypedError(rest[0], "a section of its own")
                found[SECTIONS[attr]] = body
                rest = orelse
            case _:
                raise UntypedError(rest[0], "a statement outside of the sections")
    return found


def infer(text: str) -> Script:
    """The types of a script; :class:`UntypedError` where it has not one for everything."""
    sections = _sections(ast.parse(text))
    functions = {}
    for statement in sections["init"]:
        if isinstance(statement, ast.FunctionDef):
            arguments = statement.args
            if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.defaults:
                raise UntypedError(statement, "arguments of another kind")
            parameters = {each.arg: Type() for each in arguments.args}
            names = parameters | {name: Type() for name in _assigned(statement.body) if name not in parameters}
            functions[statement.name] = Function(statement, parameters, Type(), names)
    for section in ("read", "write"):
        if any(isinstance(each, ast.FunctionDef) for body in sections[section] for each in ast.walk(body)):
            raise UntypedError(sections[section][0], "a function outside of IsInit")
    used = {
        each.id
        for function in functions.values()
        for each in ast.walk(function.node)
        if isinstance(each, ast.Name) and each.id not in function.names
    }
    shared = {name: Type() for name in _assigned(sections["init"])}
    local: dict[str, dict[str, Type]] = {"init": {}}
    for section in ("read", "write"):
        bound = set(_assigned(sections[section]))
        shared |= {name: Type() for name in sorted(bound & used) if name not in shared}
        local[section] = {name: Type() for name in sorted(bound - shared.keys())}
    script = Script(sections, shared, local, functions, {})
    _Inference(script).run()
    return script


class _Inference:
    """A case for each kind of node, which is why it is long: what is one type in one place is made one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._int, self._bool, self._text = Type("int"), Type("bool"), Type("text")
        self._part, self._none = Type("part"), Type("none")
        self._names: list[dict[str, Type]] = []
        self._function: Function | None = None

    def run(self) -> None:
        for section, body in self._script.sections.items():
            self._names = [self._script.shared, self._script.locals[section]]
            self._block([each for each in body if not isinstance(each, ast.FunctionDef)])
        waiting = list(self._script.functions.values())
        while waiting:
            rest = [function for function in waiting if not self._settles(function)]
            if len(rest) == len(waiting):
                self._body(rest[0])
            waiting = rest

    def _settles(self, function: Function) -> bool:
        """False: what it is given is known from another function's calls only, which were not looked at yet."""
        try:
            self._body(function)
        except UnknownYetError:
            return False
        return True

    def _body(self, function: Function) -> None:
        self._names, self._function = [self._script.shared, function.names], function
        self._block(function.node.body)
        if not any(isinstance(each, ast.Return) and each.value is not None for each in ast.walk(function.node)):
            self._same(function.node, function.result, self._none)

    def _same(self, node: ast.AST, a: Type, b: Type) -> Type:
        if not a.unify(b):
            raise UntypedError(node, f"{a.kind} and {b.kind} in one place")
        return a

    def _name(self, node: ast.AST, name: str) -> Type:
        for names in reversed(self._names):
            if name in names:
                return names[name]
        raise UntypedError(node, f"the name {name}")

    # statements

    def _block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=[target], value=value):
                self._assign(target, value)
            case ast.AugAssign(target=target, op=op, value=value):
                self._same(node, self._target(target), self._arithmetic(node, op, self._load(target), self._of(value)))
            case ast.If(test=test, body=body, orelse=orelse):
                self._condition(test)
                self._block(body)
                self._block(orelse)
            case ast.While(test=test, body=body, orelse=[]):
                self._condition(test)
                self._block(body)
            case ast.For(target=target, iter=iterated, body=body, orelse=[]):
                self._bind(target, self._element(iterated))
                self._block(body)
            case ast.Expr(value=ast.Call() as call):
                self._of(call)
            case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Break() | ast.Continue():
                pass
            case ast.Return(value=value) if self._function is not None:
                result = self._none if value is None else self._of(value)
                self._same(node, self._function.result, result)
            case _:
                raise UntypedError(node, type(node).__name__)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(elts=[found, cpu]), ast.Call(func=ast.Attribute(attr="TryGetCurrentCPU")):
                self._same(target, self._of(found), self._bool)
                self._same(target, self._of(cpu), self._part)
            case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                for each, given in zip(targets, values, strict=True):
                    self._bind(each, self._of(given))
            case _:
                self._bind(target, self._of(value))

    def _bind(self, target: ast.expr, given: Type) -> None:
        if not isinstance(target, ast.Tuple):
            self._same(target, self._target(target), given)
            return
        if not given.kind:
            raise UnknownYetError(target, "something unknown taken apart")
        for index, each in enumerate(target.elts):
            self._bind(each, self._at(target, given, index))

    def _at(self, node: ast.AST, given: Type, index: int | None) -> Type:
        """The type of an element: of a tuple that at an index that is known."""
        if given.kind == "list":
            return given.parts[0]
        if given.kind == "tuple" and index is not None and 0 <= index < len(given.parts):
            return given.parts[index]
        raise (UntypedError if given.kind else UnknownYetError)(
            node, f"an element of {given.kind or 'something unknown'}"
        )

    def _target(self, target: ast.expr) -> Type:
        match target:
            case ast.Name() | ast.Subscript():
                return self._of(target)
            case ast.Attribute(value=ast.Name(id="request"), attr="Value"):
                return self._mark(target, self._int)
            case ast.Attribute(value=value, attr=attr) if attr in _VALUES_OF_PARTS:
                self._same(target, self._of(value), self._part)
                return self._mark(target, Type(_VALUES_OF_PARTS[attr]))
        raise UntypedError(target, "what is assigned to")

    def _load(self, target: ast.expr) -> Type:
        return self._of(target)

    def _condition(self, node: ast.expr) -> None:
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self._condition(value)
                self._mark(node, self._bool)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self._condition(operand)
                self._mark(node, self._bool)
            case _:
                self._of(node)

    # expressions

    def _mark(self, node: ast.expr, kind: Type) -> Type:
        self._script.types[id(node)] = kind
        return kind

    def _of(self, node: ast.expr) -> Type:
        return self._mark(node, self._expression(node))

    def _expression(self, node: ast.expr) -> Type:
        match node:
            case ast.Constant(value=bool()):
                return self._bool
            case ast.Constant(value=int(number)) if number < 1 << 63:
                return self._int
            case ast.Constant(value=None):
                return self._int  # nothing: a number that no register has
            case ast.Constant(value=str()):
                return self._text
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.Attribute(value=ast.Name(id="request"), attr=attr) if attr in REQUEST:
                return self._int
            case ast.Attribute(value=ast.Attribute(value=value, attr="InDeepSleep"), attr="IsSet"):
                self._same(node, self._of(value), self._part)
                return self._bool
            case ast.Attribute(value=value, attr=attr) if attr in _VALUES_OF_PARTS:
                self._same(node, self._of(value), self._part)
                return Type(_VALUES_OF_PARTS[attr])
            case ast.BinOp(left=ast.List(elts=[element]) as first, op=ast.Mult(), right=count):
                self._same(node, self._of(count), self._int)
                return self._mark(first, Type("list", [self._of(element)]))
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(node, op, self._of(left), self._of(right))
            case ast.UnaryOp(op=ast.USub() | ast.Invert(), operand=operand):
                return self._same(node, self._of(operand), self._int)
            case ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
                return self._truth(node)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                self._comparison(node, left, ops, comparators)
                return self._bool
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self._condition(test)
                return self._same(node, self._of(body), self._of(orelse))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return self._sequence(node, elements)
            case ast.Dict(keys=keys, values=values):
                of_keys, of_values = Type(), Type()
                for k, v in zip(keys, values, strict=True):
                    if k is None:
                        raise UntypedError(node, "**")
                    self._same(node, of_keys, self._of(k))
                    self._same(node, of_values, self._of(v))
                return Type("dict", [of_keys, of_values])
            case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="GetMachine")), slice=path):
                self._same(node, self._of(path), self._text)
                return self._part
            case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="TryGetCurrentCPU")), slice=index):
                if not isinstance(index, ast.Constant) or index.value != 0:
                    raise UntypedError(node, "which core it is, by itself")
                return self._bool
            case ast.Subscript(value=value, slice=index):
                return self._subscript(node, self._of(value), index)
            case ast.Call():
                return self._call(node)
        raise UntypedError(node, type(node).__name__)

    def _truth(self, node: ast.expr) -> Type:
        """As a value: only what is true or false already."""
        self._condition(node)
        for each in ast.walk(node):
            if isinstance(each, ast.BoolOp):
                for value in each.values:
                    self._same(node, self._script.types[id(value)], self._bool)
        return self._bool

    def _arithmetic(self, node: ast.AST, op: ast.operator, left: Type, right: Type) -> Type:
        if isinstance(op, (ast.Div, ast.Pow, ast.MatMult)):
            raise UntypedError(node, type(op).__name__)
        self._same(node, left, self._int)
        return self._same(node, right, self._int)

    def _comparison(
        self, node: ast.expr, left: ast.expr, ops: Sequence[ast.cmpop], comparators: Sequence[ast.expr]
    ) -> None:
        before = self._of(left)
        for op, right in zip(ops, comparators, strict=True):
            given = self._of(right)
            if not isinstance(op, (ast.In, ast.NotIn)):
                self._same(node, before, given)
            elif given.kind in ("list", "dict"):
                self._same(node, before, given.parts[0])
            else:
                raise (UntypedError if given.kind else UnknownYetError)(
                    node, f"a search in {given.kind or 'something unknown'}"
                )
            before = given

    def _sequence(self, node: ast.expr, elements: Sequence[ast.expr]) -> Type:
        """A list of one type where all are alike, else a tuple."""
        types = [self._of(each) for each in elements]
        alike = len({each.kind for each in types}) == 1 or isinstance(node, ast.List) or not types
        if alike and not (types and types[0].kind == "tuple" and len({len(each.parts) for each in types}) > 1):
            element = Type()
            for each in types:
                self._same(node, element, each)
            return Type("list", [element])
        return Type("tuple", types)

    def _subscript(self, node: ast.expr, value: Type, index: ast.expr) -> Type:
        if value.kind == "dict":
            self._same(node, value.parts[0], self._of(index))
            return value.parts[1]
        self._same(node, self._of(index), self._int)
        known = index.value if isinstance(index, ast.Constant) and isinstance(index.value, int) else None
        return self._at(node, value, known)

    def _element(self, iterated: ast.expr) -> Type:
        """What a loop goes through."""
        match iterated:
            case ast.Call(func=ast.Name(id="range"), args=arguments):
                for each in arguments:
                    self._same(each, self._of(each), self._int)
                return self._int
        given = self._of(iterated)
        if given.kind not in ("list", "dict"):
            raise (UntypedError if given.kind else UnknownYetError)(
                iterated, f"a loop through {given.kind or 'something unknown'}"
            )
        return given.parts[0]

    def _call(self, node: ast.Call) -> Type:
        if node.keywords:
            raise UntypedError(node, "an argument by name")
        match node:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in self._script.functions:
                function = self._script.functions[name]
                if len(arguments) != len(function.parameters):
                    raise UntypedError(node, "another number of arguments")
                for wanted, each in zip(function.parameters.values(), arguments, strict=True):
                    self._same(node, wanted, self._of(each))
                return function.result
            case ast.Call(func=ast.Name(id="dict"), args=[ast.GeneratorExp(elt=ast.Tuple(elts=[key, value])) as given]):
                with self._generator(given):
                    return Type("dict", [self._of(key), self._of(value)])
            case ast.Call(func=ast.Name(id="sum" | "any" | "all" as name), args=[ast.GeneratorExp(elt=elt) as given]):
                with self._generator(given):
                    if name == "sum":
                        return self._same(node, self._of(elt), self._int)
                    self._condition(elt)
                    return self._bool
            case ast.Call(func=ast.Name(id="list"), args=[given]):
                return Type("list", [self._element(given)])
            case ast.Call(func=ast.Name(id="len"), args=[given]):
                self._of(given)
                return self._int
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr), args=[text, *arguments]) if (
                attr.endswith("Log")
            ):
                self._same(node, self._of(text), self._text)
                for each in arguments:
                    self._of(each)
                return self._none
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[key, default]):
                words = self._of(value)
                if words.kind != "dict":
                    raise UntypedError(node, "get")
                self._same(node, words.parts[0], self._of(key))
                return self._same(node, words.parts[1], self._of(default))
            case ast.Call(func=ast.Attribute(value=value, attr=attr), args=arguments) if attr in _METHODS_OF_PARTS:
                self._same(node, self._of(value), self._part)
                for each in arguments:
                    self._of(each)
                return Type(_METHODS_OF_PARTS[attr])
        raise UntypedError(node, f"a call of {ast.unparse(node.func)}")

    def _generator(self, node: ast.GeneratorExp) -> _Scope:
        match node.generators:
            case [ast.comprehension(target=ast.Name(id=name), iter=iterated, ifs=[])]:
                element = self._element(iterated)
                return _Scope(self._names, {name: element})
        raise UntypedError(node, "a generator of another kind")


class _Scope:
    """Names of a generator expression, as long as it is looked at."""

    def __init__(self, names: list[dict[str, Type]], more: dict[str, Type]) -> None:
        self._names = names
        self._more = more

    def __enter__(self) -> None:
        self._names.append(self._more)

    def __exit__(self, *_: object) -> None:
        self._names.pop()

"""A peripheral script as a class in C#: text in, text out.

Renode compiles it when a board is loaded. An access then costs what one to a model of Renode's own costs, where
IronPython needs some ten microseconds. The script stays the one source of what the device does. Numbers have 64 bits
here and wrap, so that a script has the same results as long as it masks what is wider than a register.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.engines.renode.compiled.script_types import Function, Script, Type, UntypedError, infer

__all__ = ["NAMESPACE", "SUPPORT", "class_name", "compile_script"]

NAMESPACE = "Antmicro.Renode.Peripherals.Rptwin"
_NOTHING = "Nothing"
_OPERATORS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
_FUNCTIONS = {ast.LShift: "Shl", ast.RShift: "Shr", ast.FloorDiv: "Div", ast.Mod: "Mod"}
_COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_COMPARISONS |= {ast.Is: "==", ast.IsNot: "!="}
_REQUEST = {"Offset": "offset", "Length": "length", "Value": "value"}
_PARTS = {"IsHalted": "ICPU", "InitVectorTableOffset": "CortexM", "VectorTableOffset": "CortexM"}
_LOGS = {"NoisyLog", "DebugLog", "InfoLog", "WarningLog", "ErrorLog"}

SUPPORT = Path(__file__).with_name("Script.cs")  # what each class stands on


def class_name(stem: str, text: str) -> str:
    """A name of its own for each script."""
    letters = "".join(each if each.isascii() and each.isalnum() else "_" for each in stem)
    return f"{letters.title().replace('_', '')}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def compile_script(stem: str, text: str) -> str:
    """The class of a script; :class:`UntypedError` for one that IronPython has to run."""
    script = infer(text)
    return "\n".join(_Writer(script, class_name(stem, text)).lines())


def _type(kind: Type) -> str:
    match kind.kind:
        case "bool":
            return "bool"
        case "text":
            return "string"
        case "part":
            return "IPeripheral"
        case "none":
            return "void"
        case "list":
            return f"{_type(kind.parts[0])}[]"
        case "dict":
            return f"Dictionary<{_type(kind.parts[0])}, {_type(kind.parts[1])}>"
        case "tuple":
            return f"({', '.join(map(_type, kind.parts))})"
    return "long"


def _text(value: str) -> str:
    if any(not each.isprintable() or each in '"\\' for each in value):
        raise UntypedError(ast.Constant(value), "text that C# would need to quote")
    return f'"{value}"'


class _Writer:
    """A case for each kind of node, which is why it is long: statements to lines, expressions to text."""

    def __init__(self, script: Script, name: str) -> None:
        self._script = script
        self._class = name
        self._own: dict[str, Type] = {}
        self._given: list[str] = []  # names of generators
        self._count = 0

    def lines(self) -> Iterator[str]:
        yield f"namespace {NAMESPACE}"
        yield "{"
        yield f"public class {self._class} : Script"
        yield "{"
        parameters = "IMachine machine, int size, bool initable = false, string script = null, string filename = null"
        yield f"public {self._class}({parameters})"
        yield "    : base(machine, size, filename)"
        yield "{"
        yield "}"
        for section, body in self._script.sections.items():
            self._own = self._script.locals[section]
            yield f"protected override void {section.title()}()"
            yield "{"
            yield from self._declarations(self._own)
            yield from self._block([each for each in body if not isinstance(each, ast.FunctionDef)])
            yield "}"
        for function in self._script.functions.values():
            yield from self._function(function)
        for name, kind in self._script.shared.items():
            yield f"private {_type(kind)} s_{name};"
        yield "}"
        yield "}"

    def _declarations(self, names: dict[str, Type]) -> Iterator[str]:
        for name, kind in names.items():
            yield f"{_type(kind)} l_{name} = default;"

    def _function(self, function: Function) -> Iterator[str]:
        self._own = function.names
        parameters = ", ".join(f"{_type(kind)} l_{name}" for name, kind in function.parameters.items())
        yield f"private {_type(function.result)} F_{function.node.name}({parameters})"
        yield "{"
        own = {name: kind for name, kind in function.names.items() if name not in function.parameters}
        yield from self._declarations(own)
        yield from self._block(function.node.body)
        if function.result.kind != "none" and not isinstance(function.node.body[-1], ast.Return):
            if function.result.kind != "int":
                raise UntypedError(function.node, "an end without a result")
            yield f"return {_NOTHING};"
        yield "}"

    # statements

    def _block(self, body: Sequence[ast.stmt]) -> Iterator[str]:
        for statement in body:
            yield from self._statement(statement)

    def _braced(self, body: Sequence[ast.stmt]) -> Iterator[str]:
        yield "{"
        yield from self._block(body)
        yield "}"

    def _statement(self, node: ast.stmt) -> Iterator[str]:
        if not isinstance(node, (ast.Pass, ast.Break, ast.Continue)):
            yield f"line = {node.lineno};"
        match node:
            case ast.Assign(targets=[target], value=value):
                yield from self._assign(target, value)
            case ast.AugAssign(target=target, op=op, value=value):
                yield from self._store(target, self._binary(op, self._of(target), self._of(value)))
            case ast.If(test=test, body=body, orelse=orelse):
                yield f"if({self._truth(test)})"
                yield from self._braced(body)
                if orelse:
                    yield "else"
                    yield from self._braced(orelse)
            case ast.While(test=test, body=body):
                yield f"while({self._truth(test)})"
                yield from self._braced(body)
            case ast.For(target=target, iter=iterated, body=body):
                each = self._new()
                yield f"foreach(var {each} in {self._iterated(iterated)})"
                yield "{"
                yield from self._bind(target, each, self._element(iterated))
                yield from self._block(body)
                yield "}"
            case ast.Expr(value=ast.Call() as call):
                yield f"{self._of(call)};"
            case ast.Break():
                yield "break;"
            case ast.Continue():
                yield "continue;"
            case ast.Return(value=None):
                yield "return;"
            case ast.Return(value=value):
                assert value is not None
                yield f"return {self._of(value)};"

    def _assign(self, target: ast.expr, value: ast.expr) -> Iterator[str]:
        match target, value:
            case ast.Tuple(elts=[found, cpu]), ast.Call(func=ast.Attribute(attr="TryGetCurrentCPU")):
                current = self._new()
                yield from self._store(found, f"TryGetCurrentCPU(out var {current})")
                yield from self._store(cpu, current)
            case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
                names = [self._new() for _ in values]
                for name, given in zip(names, values, strict=True):
                    yield f"var {name} = {self._of(given)};"
                for name, each, given in zip(names, targets, values, strict=True):
                    yield from self._bind(each, name, self._kind(given))
            case ast.Tuple(), _:
                name = self._new()
                yield f"var {name} = {self._of(value)};"
                yield from self._bind(target, name, self._kind(value))
            case _:
                yield from self._store(target, self._of(value))

    def _bind(self, target: ast.expr, given: str, kind: Type) -> Iterator[str]:
        if not isinstance(target, ast.Tuple):
            yield from self._store(target, given)
            return
        for index, each in enumerate(target.elts):
            if kind.kind == "list":
                yield from self._bind(each, f"{given}[{index}]", kind.parts[0])
            else:
                yield from self._bind(each, f"{given}.Item{index + 1}", kind.parts[index])

    def _store(self, target: ast.expr, given: str) -> Iterator[str]:
        match target:
            case ast.Name(id=name):
                yield f"{self._name(name)} = {given};"
            case ast.Subscript(value=value, slice=index) if self._kind(value).kind == "dict":
                yield f"{self._of(value)}[{self._of(index)}] = {given};"
            case ast.Subscript(value=value, slice=index) if self._kind(value).kind == "list":
                yield f"{self._of(value)}[{self._index(value, index)}] = {given};"
            case ast.Attribute(value=ast.Name(id="request")):
                yield f"value = {given};"
            case ast.Attribute(value=value, attr=attr) if attr in _PARTS:
                cast = "(uint)" if attr.endswith("Offset") else ""
                yield f"(({_PARTS[attr]}){self._of(value)}).{attr} = {cast}({given});"
            case _:
                raise UntypedError(target, "what is assigned to")

    # expressions

    def _new(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _kind(self, node: ast.expr) -> Type:
        return self._script.types[id(node)]

    def _name(self, name: str) -> str:
        if name in self._given:
            return f"g_{name}"
        return f"l_{name}" if name in self._own else f"s_{name}"

    def _truth(self, node: ast.expr) -> str:
        """As a condition."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return f"({(' && ' if isinstance(op, ast.And) else ' || ').join(map(self._truth, values))})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"!({self._truth(operand)})"
        given = self._of(node)
        match self._kind(node).kind:
            case "bool":
                return given
            case "int" | "":
                return f"({given} != 0)"
        raise UntypedError(node, f"{self._kind(node).kind} as a condition")

    def _of(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool(value)):
                return "true" if value else "false"
            case ast.Constant(value=int(value)):
                return f"{value}L"
            case ast.Constant(value=None):
                return _NOTHING
            case ast.Constant(value=str(value)):
                return _text(value)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Attribute(value=ast.Name(id="request"), attr=attr):
                return _REQUEST[attr]
            case ast.Attribute(value=ast.Attribute(value=value, attr="InDeepSleep"), attr="IsSet"):
                return f"((NVIC){self._of(value)}).InDeepSleep.IsSet"
            case ast.Attribute(value=value, attr=attr):
                got = f"(({_PARTS[attr]}){self._of(value)}).{attr}"
                return f"(long)({got} ?? 0)" if attr == "InitVectorTableOffset" else got
            case ast.BinOp(left=ast.List(elts=[element]), op=ast.Mult(), right=count):
                kind, size = _type(self._kind(element)), self._of(count)
                return f"Enumerable.Range(0, (int)({size})).Select(_ => ({kind})({self._of(element)})).ToArray()"
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._of(left), self._of(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-({self._of(operand)}))"
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return f"(~({self._of(operand)}))"
            case ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
                return self._truth(node)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(left, ops, comparators)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"({self._truth(test)} ? {self._of(body)} : {self._of(orelse)})"
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                members = ", ".join(map(self._of, elements))
                if self._kind(node).kind == "tuple":
                    return f"({members})"
                return f"new {_type(self._kind(node))} {{ {members} }}"
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                words = ", ".join(f"{{ {self._of(k)}, {self._of(v)} }}" for k, v in pairs if k is not None)
                return f"new {_type(self._kind(node))} {{ {words} }}"
            case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="GetMachine")), slice=path):
                return f"Part({self._of(path)})"
            case ast.Subscript(value=ast.Call(func=ast.Attribute(attr="TryGetCurrentCPU"))):
                return "TryGetCurrentCPU(out _)"
            case ast.Subscript(value=value, slice=index):
                return self._subscript(value, index)
            case ast.Call():
                return self._call(node)
        raise UntypedError(node, type(node).__name__)

    def _binary(self, op: ast.operator, left: str, right: str) -> str:
        if type(op) in _OPERATORS:
            return f"({left} {_OPERATORS[type(op)]} {right})"
        return f"{_FUNCTIONS[type(op)]}({left}, {right})"

    def _comparison(self, left: ast.expr, ops: Sequence[ast.cmpop], comparators: Sequence[ast.expr]) -> str:
        found = []
        for index, (op, right) in enumerate(zip(ops, comparators, strict=True)):
            before = left if not index else comparators[index - 1]
            if index and any(isinstance(each, ast.Call) for each in ast.walk(before)):
                raise UntypedError(before, "the middle of a comparison")
            found.append(self._compared(before, op, right))
        return f"({' && '.join(found)})"

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
        if isinstance(op, (ast.In, ast.NotIn)):
            inside = self._inside(left, right)
            return f"!{inside}" if isinstance(op, ast.NotIn) else inside
        if self._kind(left).kind in ("list", "dict", "tuple"):
            raise UntypedError(left, "two containers compared")
        return f"{self._of(left)} {_COMPARISONS[type(op)]} {self._of(right)}"

    def _inside(self, left: ast.expr, right: ast.expr) -> str:
        if self._kind(right).kind == "dict":
            return f"{self._of(right)}.ContainsKey({self._of(left)})"
        if isinstance(right, ast.Tuple) and isinstance(left, ast.Name):
            return f"({' || '.join(f'{self._of(left)} == {self._of(each)}' for each in right.elts)})"
        return f"Has({self._of(right)}, {self._of(left)})"

    def _index(self, value: ast.expr, index: ast.expr) -> str:
        if isinstance(index, ast.Constant):
            return self._of(index)
        if any(isinstance(each, ast.Call) for each in ast.walk(value)):
            raise UntypedError(value, "an element of a result")
        return f"Ix({self._of(index)}, {self._of(value)}.Length)"

    def _subscript(self, value: ast.expr, index: ast.expr) -> str:
        kind = self._kind(value).kind
        if kind == "tuple":
            assert isinstance(index, ast.Constant)
            assert isinstance(index.value, int)
            return f"{self._of(value)}.Item{index.value + 1}"
        if kind == "dict" or isinstance(index, ast.Constant):
            return f"{self._of(value)}[{self._of(index)}]"
        return f"At({self._of(value)}, {self._of(index)})"

    def _iterated(self, node: ast.expr) -> str:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[end]):
                return f"Range(0L, {self._of(end)})"
            case ast.Call(func=ast.Name(id="range"), args=arguments):
                return f"Range({', '.join(map(self._of, arguments))})"
        return f"{self._of(node)}.Keys" if self._kind(node).kind == "dict" else self._of(node)

    def _element(self, iterated: ast.expr) -> Type:
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Name) and iterated.func.id == "range":
            return Type("int")
        return self._kind(iterated).parts[0]

    def _call(self, node: ast.Call) -> str:
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[ast.GeneratorExp(elt=ast.Tuple(elts=[key, value])) as given]):
                source, name = self._generated(given)
                made = f"g_{name} => {self._of(key)}, g_{name} => {self._of(value)}"
                self._given.pop()
                return f"{source}.ToDictionary({made})"
            case ast.Call(func=ast.Name(id="sum" | "any" | "all" as what), args=[ast.GeneratorExp(elt=elt) as given]):
                source, name = self._generated(given)
                made = f"g_{name} => {self._of(elt) if what == 'sum' else self._truth(elt)}"
                self._given.pop()
                return f"{source}.{what.title()}({made})"
            case ast.Call(func=ast.Name(id="list"), args=[given]):
                return f"{self._iterated(given)}.ToArray()"
            case ast.Call(func=ast.Name(id="len"), args=[given]):
                return f"(long){self._of(given)}.{'Count' if self._kind(given).kind == 'dict' else 'Length'}"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return f"F_{name}({', '.join(map(self._of, arguments))})"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr), args=arguments) if attr in _LOGS:
                return f"this.{attr}({', '.join(map(self._of, arguments))})"
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[key, default]):
                return f"Get({self._of(value)}, {self._of(key)}, {self._of(default)})"
            case ast.Call(func=ast.Attribute(value=value, attr="OnGPIO"), args=[number, level]):
                part = self._of(value)
                return f"((IGPIOReceiver){part}).OnGPIO((int)({self._of(number)}), {self._truth(level)})"
            case ast.Call(func=ast.Attribute(value=value, attr="SetEventFlag"), args=[level]):
                return f"((CortexM){self._of(value)}).SetEventFlag({self._truth(level)})"
        raise UntypedError(node, f"a call of {ast.unparse(node.func)}")

    def _generated(self, node: ast.GeneratorExp) -> tuple[str, str]:
        """What a generator goes through, and the name of its element, which is known from here on."""
        generator = node.generators[0]
        assert isinstance(generator.target, ast.Name)
        source = self._iterated(generator.iter)
        self._given.append(generator.target.id)
        return source, generator.target.id

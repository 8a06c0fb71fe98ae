"""Whether a peripheral script runs in Renode's IronPython 2.7 as it runs here: its text in, :class:`Problem` out.

A script that Renode cannot compile stops a platform from loading; one that raises while a core runs ends Renode's
process. What is refused: text that cannot stand in a description; syntax, names and modules that one of the two Pythons
lacks; what is not of the API of docs/writing-a-peripheral.md; values that Renode cannot convert; exceptions.

Of exceptions this finds: ``raise`` and ``assert`` outside of ``try``; a key of a dictionary that no ``in`` or ``==``
has tested (constants, loop variables, sums of tested names, and arguments that every caller has tested, are fine); a
divisor that may be 0; a log line with more holes than values. It does not follow indices of lists.

Run as ``python -m orchestrator.platform.script_lint FOLDER...`` it reads every ``.py`` there; 1 for a problem.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.files import read_text
from orchestrator.base.words import counted
from orchestrator.platform.script_api import (
    API,
    BUILTINS,
    CALLED,
    FRONT_API,
    FRONT_NAMES,
    FRONTS,
    GIVEN,
    METHODS,
    MODULES,
    NEWER_NODES,
    WRITABLE,
)
from orchestrator.platform.script_values import Values, constant

__all__ = ["Problem", "lint_script", "main"]

HOLE = re.compile(r"\{\{|\}\}|\{(\d+)(?::[XxDd]\d*)?\}|([{}])")


TOO_DEEP = "an expression that is nested too deeply"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that Renode or CPython would not take; line and column are 1-based."""

    file: str
    line: int
    column: int
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}; {self.advice}"


_WIDEST = 64  # bits
_MOST_DIGITS = 6  # of the number of a value in a log line


def lint_script(text: str, file: str) -> tuple[Problem, ...]:
    """Everything wrong with a script, by line; ``file`` is its path, and its name in messages."""
    problems = list(_text_problems(text, file))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CPython's own opinions are printed to nobody who asked
            tree = ast.parse(text)
            compile(tree, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        advice = "write self.InfoLog(text)" if "print" in (error.msg or "") else "write what Python 2.7 and 3 both read"
        problems.append(Problem(file, error.lineno or 1, error.offset or 1, f"syntax error: {error.msg}", advice))
    except ValueError as error:  # a null character
        problems.append(Problem(file, 1, 1, f"unreadable: {error}", "remove it"))
    except (RecursionError, MemoryError):  # CPython's parser says either of what is nested deeply
        problems.append(Problem(file, 1, 1, TOO_DEEP, "write it in several statements"))
    else:
        problems += _number_problems(text, file)
        wide = list(_wide_numbers(tree, file))
        if wide:  # CPython itself refuses to say what some of them are
            return tuple(sorted({*problems, *wide}, key=_place))
        is_front = FRONTS in Path(file).parts[:-1]
        try:
            problems += (_Linter(tree, file, FRONT_API, FRONT_NAMES) if is_front else _Linter(tree, file)).run()
        except RecursionError:
            problems.append(Problem(file, 1, 1, TOO_DEEP, "write it in several statements"))
    return tuple(sorted(set(problems), key=_place))


def _place(problem: Problem) -> tuple[int, int, str]:
    return problem.line, problem.column, problem.what


def _wide_numbers(tree: ast.AST, file: str) -> Iterator[Problem]:
    """Numbers that no register holds: what C# makes of a script has 64 bits."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value.bit_length() > _WIDEST:
            what = f"a number of more than {_WIDEST} bits"
            yield Problem(file, node.lineno, node.col_offset + 1, what, "registers have 32")


def _text_problems(text: str, file: str) -> Iterator[Problem]:
    inside = "Renode reads scripts inside ''' quotes, where it cannot stand"
    for number, line in enumerate(text.split("\n"), 1):
        for wrong, what in (("\\", "a backslash"), ("'''", "'''")):
            if wrong in line:
                yield Problem(file, number, line.index(wrong) + 1, what, inside)
        strange = next((column for column, letter in enumerate(line, 1) if not letter.isascii()), None)
        if strange:
            yield Problem(file, number, strange, "a character outside ASCII", "Python 2.7 reads none without a coding")
    if not text.endswith("\n"):
        lines = text.split("\n")
        yield Problem(file, len(lines), len(lines[-1]) + 1, "the last line does not end", "end it with a newline")


def _number_problems(text: str, file: str) -> Iterator[Problem]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NUMBER and "_" in token.string:
            yield Problem(file, token.start[0], token.start[1] + 1, f"{token.string}", "write it without _")


@dataclass(frozen=True, slots=True)
class _Use:
    """An expression, and what is known of values where it stands."""

    node: ast.expr
    guards: frozenset[str]


class _Linter(ast.NodeVisitor):
    def __init__(
        self,
        tree: ast.Module,
        file: str,
        api: dict[str, frozenset[str]] = API,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.file = file
        self.api = api
        self.problems: list[Problem] = []
        self.values = Values(tree)
        self.known = GIVEN | BUILTINS | names | _bound(tree)
        self.hidden: frozenset[str] = frozenset()  # names of the API that a function has as parameters
        self.guards: frozenset[str] = frozenset()  # expressions that were tested, and loop variables
        self.is_caught = False  # inside the body of a try with handlers
        self.arguments: dict[str, list[list[_Use]]] = {name: [] for name in self.values.parameters}  # of each call
        self.looked_up: list[tuple[ast.Subscript, frozenset[str]]] = []
        self.tree = tree

    def run(self) -> list[Problem]:
        self.visit(self.tree)
        for node, guards in self.looked_up:  # when every call of every function is known
            if not self.is_tested(node.slice, guards):
                key, container = ast.unparse(node.slice), ast.unparse(node.value)
                what = f"a key that may be missing: {container}[{key}]"
                self.say(node, what, f"test `{key} in {container}`, or use .get()")
        return self.problems

    def say(self, node: ast.expr | ast.stmt | ast.arg | ast.excepthandler, what: str, advice: str) -> None:
        self.problems.append(Problem(self.file, node.lineno, node.col_offset + 1, what, advice))

    @contextmanager
    def knowing(self, guards: frozenset[str]) -> Iterator[None]:
        before, self.guards = self.guards, self.guards | guards
        yield
        self.guards = before

    # syntax

    def visit(self, node: ast.AST) -> None:
        newer = NEWER_NODES.get(type(node))
        if newer is not None and isinstance(node, ast.expr | ast.stmt):
            self.say(node, f"{newer[0]}, which Python 2.7 does not have", newer[1])
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        given = node.args
        for each in (*given.posonlyargs, *given.kwonlyargs):
            self.say(each, f"{each.arg}: an argument by position or by name only", "write an ordinary argument")
        everyone = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        for each in everyone:
            if each.annotation is not None:
                self.say(each, f"{each.arg}: an annotation, which Python 2.7 does not have", "leave it out")
        if node.returns is not None:
            self.say(node.returns, "an annotation, which Python 2.7 does not have", "leave it out")
        before = self.hidden, self.is_caught, self.guards
        self.hidden = self.hidden | {each.arg for each in everyone}
        self.is_caught, self.guards = False, frozenset(_parameter(node.name, each.arg) for each in given.args)
        for default in (*given.defaults, *filter(None, given.kw_defaults), *node.decorator_list):
            self.visit(default)
        self.block(node.body)
        self.hidden, self.is_caught, self.guards = before

    def visit_Lambda(self, node: ast.Lambda) -> None:
        before, self.hidden = self.hidden, self.hidden | {each.arg for each in node.args.args}
        self.generic_visit(node)
        self.hidden = before

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for keyword in node.keywords:
            self.say(keyword.value, "a keyword of a class, which Python 2.7 does not have", "leave it out")
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imported(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imported(node, "." * node.level + (node.module or ""))

    def imported(self, node: ast.stmt, name: str) -> None:
        if name not in MODULES:
            self.say(node, f"module {name}, which Renode does not have", f"only {', '.join(sorted(MODULES))} are there")

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.cause is not None:
            self.say(node, "raise ... from, which Python 2.7 does not have", "leave the cause out")
        if not self.is_caught:
            self.say(node, "an exception that gets out ends Renode", "log it, and do what the hardware would")
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        if not self.is_caught:
            self.say(node, "an assertion that fails ends Renode", "log it, and do what the hardware would")
        self.generic_visit(node)

    # what is known where

    def visit_Module(self, node: ast.Module) -> None:
        self.block(node.body)

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements in turn; ``if k not in d: return`` is a test for all that follow."""
        before = self.guards
        for statement in body:
            self.visit(statement)
            if isinstance(statement, ast.If) and _leaves(statement.body):
                self.guards |= _tested(statement.test, holds=False)
        self.guards = before

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        with self.knowing(_tested(node.test, holds=True)):
            self.block(node.body)
        with self.knowing(_tested(node.test, holds=False)):
            self.block(node.orelse)

    visit_While = visit_If  # noqa: N815  # named by ast

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        with self.knowing(_tested(node.test, holds=True)):
            self.visit(node.body)
        with self.knowing(_tested(node.test, holds=False)):
            self.visit(node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        before = self.guards
        for each in node.values:
            self.visit(each)
            self.guards |= _tested(each, holds=isinstance(node.op, ast.And))
        self.guards = before

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        with self.knowing(_names(node.target)):
            self.block(node.body)
        self.block(node.orelse)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        before = self.guards
        for generator in node.generators:
            self.visit(generator.iter)
            self.guards |= _names(generator.target)
            for test in generator.ifs:
                self.visit(test)
                self.guards |= _tested(test, holds=True)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self.guards = before

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp  # noqa: N815  # named by ast

    def visit_Try(self, node: ast.Try) -> None:
        before, self.is_caught = self.is_caught, self.is_caught or bool(node.handlers)
        self.block(node.body)
        self.is_caught = before
        for handler in node.handlers:
            self.block(handler.body)
        self.block(node.orelse)
        self.block(node.finalbody)

    # names and the API

    def kind(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> str | None:
        """Which part of the API an expression is: a key of ``API``, "call" for what TryGetCurrentCPU gives, or None."""
        match node:
            case ast.Name(id="self" | "request" as name) if name not in self.hidden:
                return name
            case ast.Name(id=name) if name not in seen and name not in GIVEN:
                kinds = (self.kind(each, seen | {name}) for each in self.values.sources[name])
                return next((kind for kind in kinds if kind), None)
            case ast.Call(func=ast.Attribute(value=owner, attr="GetMachine")):
                return "machine" if self.kind(owner, seen) == "self" else None
            case ast.Call(func=ast.Attribute(value=owner, attr="TryGetCurrentCPU")):
                return "call" if self.kind(owner, seen) == "bus" else None
            case ast.Attribute(value=owner, attr="SystemBus"):
                return "bus" if self.kind(owner, seen) == "machine" else None
            case ast.Attribute(value=owner, attr="InDeepSleep"):
                return "pin" if self.kind(owner, seen) == "part" else None
            case ast.Subscript(value=owner):
                kind = self.kind(owner, seen)
                if kind == "machine" or (kind == "call" and constant(node.slice) == 1):
                    return "part"
        return None

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "print":
            self.say(node, "print", "write self.InfoLog(text)")
        elif node.id not in self.known:
            self.say(node, f"no name {node.id}", "define it, or use what Python 2.7 and 3 both have")
        elif node.id in GIVEN and node.id not in self.hidden and not isinstance(node.ctx, ast.Load):
            self.say(node, f"{node.id} is Renode's", "choose another name")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        kind = self.kind(node.value)
        if kind in self.api:
            if node.attr not in self.api[kind]:
                what = f"no {CALLED[kind]}.{node.attr} in both engines"
                self.say(node, what, f"it has {', '.join(sorted(self.api[kind]))}")
            elif not isinstance(node.ctx, ast.Load) and f"{kind}.{node.attr}" not in WRITABLE:
                self.say(node, f"{CALLED[kind]}.{node.attr} cannot be set", "leave it")
        elif node.attr in METHODS:
            self.say(node, f".{node.attr}, which one of the Pythons does not have", f"write {METHODS[node.attr]}")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        kind = self.kind(node.value)
        if kind in ("self", "request", "bus"):
            self.say(node, f"no {CALLED[kind]}[...]", "write self.GetMachine()['sysbus.NAME']")
        elif kind == "machine":
            path = constant(node.slice)
            if isinstance(path, str) and not path.startswith("sysbus."):
                self.say(node, f"no {path!r} in the machine", "a core or its NVIC is 'sysbus.NAME'")
        elif not isinstance(node.ctx, ast.Store):
            self.look_up(node)

    def look_up(self, node: ast.Subscript) -> None:
        if not self.is_caught and self.values.is_dict(node.value):
            self.looked_up.append((node, self.guards))

    def is_tested(self, key: ast.expr, guards: frozenset[str], seen: frozenset[str] = frozenset()) -> bool:
        """Whether a key is known to be one, as far as the module's docstring says."""
        if isinstance(key, ast.Constant) or ast.unparse(key) in guards:
            return True
        if isinstance(key, ast.BinOp):
            return self.is_tested(key.left, guards, seen) and self.is_tested(key.right, guards, seen)
        if not isinstance(key, ast.Name) or key.id in seen:
            return False
        seen |= {key.id}
        for name, parameters in self.values.parameters.items():
            if key.id in parameters and _parameter(name, key.id) in guards:
                calls, index = self.arguments[name], parameters.index(key.id)
                return bool(calls) and all(
                    index < len(given) and self.is_tested(given[index].node, given[index].guards, seen)
                    for given in calls
                )
        sources = self.values.sources[key.id]
        return bool(sources) and all(self.is_tested(each, guards, seen) for each in sources)

    # values

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self.assigned(target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        self.operated(node, node.op, None, node.value)
        self.assigned(node.target, ast.copy_location(ast.BinOp(node.target, node.op, node.value), node))
        if isinstance(node.target, ast.Subscript):
            self.look_up(node.target)

    def assigned(self, target: ast.expr, value: ast.expr) -> None:
        is_value = isinstance(target, ast.Attribute) and target.attr == "Value"
        if is_value and isinstance(target, ast.Attribute) and self.kind(target.value) == "request":
            culprit = self.values.negative(value)
            if culprit is not None:
                what = f"request.Value may be negative: {ast.unparse(culprit)} in line {culprit.lineno}"
                self.say(value, what, "mask it: (x) & 0xFFFFFFFF")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.generic_visit(node)
        self.operated(node, node.op, node.left, node.right)

    def operated(
        self, node: ast.BinOp | ast.AugAssign, operator: ast.operator, left: ast.expr | None, right: ast.expr
    ) -> None:
        if isinstance(operator, ast.Div):
            self.say(node, "/, which divides whole numbers differently in the two Pythons", "write //")
        divides = isinstance(operator, ast.FloorDiv | ast.Mod | ast.Div) and not isinstance(constant(left), str)
        is_safe = self.is_caught or self.values.is_nonzero(right) or _nonzero(right) in self.guards
        if divides and not is_safe:
            self.say(node, f"a division by {ast.unparse(right)}, which may be 0", "test it, or divide by a number")

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        match node.func:
            case ast.Name(id=name) if name in self.arguments:
                self.arguments[name].append([_Use(each, self.guards) for each in node.args])
            case ast.Name(id="isinstance") if len(node.args) == 2 and _mentions_int(node.args[1]):
                self.say(node, "isinstance(x, int), which is false for request.Value in Renode", "leave it out")
            case ast.Name(id="super") if not node.args:
                self.say(node, "super(), which Python 2.7 does not have", "write super(Class, self)")
            case ast.Attribute(value=owner, attr=method) if method.endswith("Log") and self.kind(owner) == "self":
                self.logged(node)

    def logged(self, node: ast.Call) -> None:
        """A log line is a .NET format: a hole without a value, or a single brace, is an exception."""
        text = constant(node.args[0]) if node.args else None
        if not isinstance(text, str) or self.is_caught:
            return
        for match in HOLE.finditer(text):
            if match[2] or (match[1] and (len(match[1]) > _MOST_DIGITS or int(match[1]) >= len(node.args) - 1)):
                advice = "write {{ or }} for a brace, {0} for the first value after the text"
                self.say(node, f"a log line with {match[0]!r} and {len(node.args) - 1} values", advice)


def _parameter(function: str, name: str) -> str:
    """The guard that stands for "what callers pass" inside a function."""
    return f"{function}({name})"


def _nonzero(node: ast.expr) -> str:
    """The guard that stands for "was seen not to be 0"."""
    return f"{ast.unparse(node)} != 0"


def _tested(test: ast.expr, *, holds: bool) -> frozenset[str]:
    """Expressions of which a test that holds, or does not, tells that they are keys, or not 0."""
    match test:
        case ast.UnaryOp(op=ast.Not()):
            return _tested(test.operand, holds=not holds)
        case ast.BoolOp():
            each = [_tested(value, holds=holds) for value in test.values]
            together = isinstance(test.op, ast.And) == holds
            return frozenset().union(*each) if together else frozenset.intersection(*each)
        case (
            ast.Compare(left=left, ops=[ast.In() | ast.Eq()]) | ast.Compare(left=left, ops=[ast.NotIn() | ast.NotEq()])
        ):
            positive = isinstance(test.ops[0], ast.In | ast.Eq)
            if constant(test.comparators[0]) == 0:
                return frozenset({_nonzero(left)} if positive != holds else {ast.unparse(left)})
            return frozenset({ast.unparse(left)} if positive == holds else ())
        case ast.Compare(left=left, ops=[ast.Gt()], comparators=[ast.Constant(value=0)]):
            return frozenset({_nonzero(left)} if holds else ())
        case ast.Name() | ast.Attribute():
            return frozenset({_nonzero(test)} if holds else ())
    return frozenset()


def _names(target: ast.expr) -> frozenset[str]:
    return frozenset(each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Continue | ast.Break | ast.Raise)


def _mentions_int(node: ast.expr) -> bool:
    return bool(_names(node) & {"int", "long"})


def _bound(tree: ast.Module) -> frozenset[str]:
    """Every name that the script itself makes, in whatever scope."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.arg():
                names.add(node.arg)
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.ExceptHandler(name=str(name)):
                names.add(name)
            case ast.alias():
                names.add((node.asname or node.name).partition(".")[0])
    return frozenset(names)


def _lint_file(path: Path) -> tuple[Problem, ...]:
    try:
        return lint_script(read_text(path), str(path))
    except OSError as error:
        return (Problem(str(path), 1, 1, f"cannot be read ({error.strerror})", "name a file"),)
    except UnicodeDecodeError as error:
        return (Problem(str(path), 1, 1, f"not UTF-8 (byte {error.start})", "save it as ASCII"),)


def main(folders: Sequence[str]) -> int:
    """Print what is wrong with the scripts, files or in folders, and how many were read; 1 when anything is."""
    given = [Path(each) for each in folders]
    scripts = sorted({path for each in given for path in (each.rglob("*.py") if each.is_dir() else [each])})
    problems = [each for path in scripts for each in _lint_file(path)]
    for each in problems:
        print(each)
    print(f"{counted(len(scripts), 'peripheral script')}, {counted(len(problems), 'problem')}")
    return 1 if problems or not scripts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

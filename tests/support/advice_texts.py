"""Every advice that the checks can give, out of their source, and what was said of firmware.

An advice is a pattern: what stands in braces of an f-string is anything. Both arms of a conditional are advices.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import orchestrator.checks
from orchestrator.checks.catalogue import catalogue
from support.golden_texts import FOLDER

__all__ = ["FIRMWARE", "Advice", "advices", "advices_in", "outdated", "said_of_firmware", "unsaid"]

FIRMWARE = (
    "every-advice.txt",
    "every-rule.txt",
    "reported.txt",
    "variants-*.txt",
    "coherence-report.txt",
    "order.txt",
)  # of pairs of images, run
_CHECKS = Path(orchestrator.checks.__file__).parent
_FORMATS = _CHECKS.parent / "formats"  # whose errors a rule passes on
_ANYTHING = "\0"


@dataclass(frozen=True, order=True)
class Advice:
    """Where it stands, and its text; braces are for what is filled in."""

    where: str
    text: str

    def matches(self, said: str) -> bool:
        return re.fullmatch(".*".join(re.escape(part) for part in self.text.split("{}")), said) is not None

    @property
    def weight(self) -> int:
        """How many letters of it are given: of two that match, the longer one was said."""
        return len(self.text.replace("{}", ""))


class _Module:
    """One file of the checks."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)
        self._rules = [each for node in ast.walk(self.tree) if isinstance(node, ast.Dict) for each in _rules_of(node)]

    def advices(self) -> Iterator[Advice]:
        for scope, expression in self._expressions():
            for text in self._texts(expression, scope):
                yield Advice(self.name, text.replace(_ANYTHING, "{}"))

    def advices_of_errors(self, rules: frozenset[str]) -> Iterator[Advice]:
        """What an error says that breaks one of these rules."""
        for scope, node in _nodes(self.tree, self.tree):
            given = {each.arg: each.value for each in node.keywords} if isinstance(node, ast.Call) else {}
            named = given.get("rule")
            if "advice" in given and isinstance(named, ast.Constant) and named.value in rules:
                yield from (Advice(self.name, text) for text in self._texts(given["advice"], scope))

    def _expressions(self) -> Iterator[tuple[ast.AST, ast.expr]]:
        """Each expression for an advice, with the function that it stands in, or the module."""
        for scope, node in _nodes(self.tree, self.tree):
            match node:
                case ast.keyword(arg="advice", value=value):
                    yield scope, value
                case ast.Call(func=ast.Name(id="Violation"), args=[_, _, _, value, *_]):
                    yield scope, value
                case ast.Tuple(elts=[_, _, value]) if node in self._rules:
                    yield scope, value

    def _texts(self, node: ast.expr, scope: ast.AST) -> list[str]:
        """All texts that an expression has; a name is what is assigned to it, a call what its function returns."""
        match node:
            case ast.Constant(value=str() as text):
                return [text] if text else []
            case ast.JoinedStr(values=values):
                return ["".join(each) for each in product(*(self._texts(each, scope) for each in values))]
            case ast.FormattedValue(value=value):
                return self._texts(value, scope) if isinstance(value, ast.IfExp) else [_ANYTHING]
            case ast.BinOp(left=left, right=right):
                pair = (self._texts(each, scope) or [""] for each in (left, right))
                return ["".join(each) for each in product(*pair)]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self._texts(body, scope), *(self._texts(orelse, scope) or [""])]
            case ast.Attribute(attr="advice") | ast.Call(args=[ast.Attribute(attr="advice")]):
                return []  # of a violation or an error, passed on
            case ast.BoolOp(values=values):
                return [text for each in values for text in self._texts(each, scope)]
            case ast.Name(id=name):
                found = self._of_name(name, scope)
                if not found and not self._rules and not self._imports(name):
                    raise self._unknown(node)
                return found
            case ast.Call(func=ast.Name(id=name)):
                made = (each for each in self.tree.body if isinstance(each, ast.FunctionDef) and each.name == name)
                found = ((own, each) for own in made for each in ast.walk(own) if isinstance(each, ast.Return))
                texts = [text for own, each in found if each.value for text in self._texts(each.value, own)]
                if texts:
                    return texts
        raise self._unknown(node)

    def _unknown(self, node: ast.expr) -> TypeError:
        return TypeError(f"{self.name}:{node.lineno}: which advices can {ast.unparse(node)} be?")

    def _imports(self, name: str) -> bool:
        imports = (each for each in ast.walk(self.tree) if isinstance(each, ast.ImportFrom))
        return any(each.name == name for every in imports for each in every.names)

    def _of_name(self, name: str, scope: ast.AST) -> list[str]:
        """What is assigned to it; nothing where it is of a rule that a table makes, or another file's."""
        found: list[str] = []
        for each in ast.walk(scope):
            if isinstance(each, ast.Assign) and any(isinstance(at, ast.Name) and at.id == name for at in each.targets):
                found += self._texts(each.value, scope)
        if found or scope is self.tree:
            return found
        return self._of_name(name, self.tree)


def _rules_of(table: ast.Dict) -> Iterator[ast.Tuple]:
    """Description, source and advice of each rule that a table makes."""
    for key, value in zip(table.keys, table.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.Tuple) and len(value.elts) == 3:
            yield value


def _nodes(node: ast.AST, scope: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    for each in ast.iter_child_nodes(node):
        yield scope, each
        yield from _nodes(each, each if isinstance(each, ast.FunctionDef) else scope)


def advices_in(source: str, name: str = "") -> list[Advice]:
    """Those of one file of the checks; :class:`TypeError` where it does not say which they are."""
    return sorted(set(_Module(name, source).advices()))


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*.py"):
        yield path.relative_to(folder.parent).as_posix(), path.read_text(encoding="utf-8")


@functools.cache
def advices() -> tuple[Advice, ...]:
    """All that the checks can give."""
    rules = frozenset(each.id for each in catalogue())
    found = {each for name, source in _files(_CHECKS) for each in advices_in(source, name)}
    passed_on = {each for file in _files(_FORMATS) for each in _Module(*file).advices_of_errors(rules)}
    return tuple(sorted(found | passed_on))


def said_of_firmware() -> set[str]:
    """Each advice that a golden text of firmware has, but for what follows from another finding."""
    texts = (path.read_text(encoding="utf-8") for name in FIRMWARE for path in FOLDER.glob(name))
    findings = (each for text in texts for each in re.split(r"\n(?=\S|\n)", text) if "\n  because of " not in each)
    return {said for each in findings for said in re.findall(r"^  advice (.*)$", each, re.MULTILINE)}


def unsaid(said: Iterable[str]) -> list[Advice]:
    """The advices that nobody was given."""
    given = (max(found, key=lambda each: each.weight) for text in said if (found := _matching(text)))
    texts = {each.text for each in given}
    return [each for each in advices() if each.text not in texts]


def outdated(said: Iterable[str]) -> list[str]:
    """What was said and no rule says."""
    return [text for text in said if not _matching(text)]


def _matching(said: str) -> list[Advice]:
    return [each for each in advices() if each.matches(said)]

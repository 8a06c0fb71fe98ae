"""A peripheral script's text in; out comes the code that is executed at each access, and what of it is no state.

All depends on the text alone: boards of one process share it, and it is kept between runs (``base/kept``).
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from orchestrator import __version__
from orchestrator.base.errors import EngineError
from orchestrator.base.kept import kept, state_of
from orchestrator.engines.unicorn.devices.script_effects import tell_changes
from orchestrator.engines.unicorn.devices.script_names import passing_names

__all__ = ["ROUND", "Code", "code_of"]

ROUND = "__loop__"
"""What the code calls at each round of a loop; its value is true."""


class Code(NamedTuple):
    """What is executed; ``passing`` are the script's ``passing_names``."""

    code: CodeType
    passing: frozenset[str]
    tells_changes: bool  # as script_effects has it: it says whether it has changed anything


@lru_cache(maxsize=128)
def code_of(script: str, name: str) -> Code:
    """The code of a script, its loops counted by ``ROUND``.

    :class:`EngineError` where Python does not take the text, with ``name`` as the name of its file.
    """
    here = Path(__file__)
    compiler = state_of(here, here.with_name("script_names.py"), here.with_name("script_effects.py"))
    return Code(*kept("code", (__version__, compiler, name, script), lambda: _compiled(script, name)))


def _compiled(script: str, name: str) -> tuple[CodeType, frozenset[str], bool]:
    try:
        tree = ast.parse(script, name)
        passing = passing_names(script, name, tree)
        tells_changes = tell_changes(tree, passing)
        return compile(_CountedLoops().visit(tree), name, "exec", dont_inherit=True), passing, tells_changes
    except SyntaxError as error:
        raise EngineError(f"syntax error in a script: {error.msg}", where=f"{name}:{error.lineno}") from None
    except ValueError as error:  # a null character
        raise EngineError(f"unreadable script: {error}", where=name) from None
    except (RecursionError, MemoryError):  # CPython's parser says either of what is nested deeply
        raise EngineError("a script that is nested too deeply", where=name) from None


class _CountedLoops(ast.NodeTransformer):
    """Has each round of a loop counted, so that one without end is an error; what is no loop is left as it is."""

    @staticmethod
    def _call(where: ast.AST) -> ast.expr:
        call = ast.Call(ast.Name(ROUND, ast.Load()), [], [])
        for node in (call, call.func):
            ast.copy_location(node, where)
        return call

    def _counted(self, node: ast.While | ast.For) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, ast.copy_location(ast.Expr(self._call(node)), node))
        return node

    visit_While = visit_For = _counted  # noqa: N815  # ast's names

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """Its conditions are asked in each round."""
        self.generic_visit(node)
        node.ifs.insert(0, self._call(node.iter))
        return node

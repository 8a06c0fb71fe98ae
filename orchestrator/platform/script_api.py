"""What a peripheral script may use: the API of docs/writing-a-peripheral.md, and what both of its Pythons have.

One is IronPython 2.7 inside Renode, the other the CPython that runs rptwin.
"""

from __future__ import annotations

import ast

__all__ = [
    "API",
    "BUILTINS",
    "CALLED",
    "FRONTS",
    "FRONT_API",
    "FRONT_NAMES",
    "GIVEN",
    "METHODS",
    "MODULES",
    "NEWER_NODES",
    "WRITABLE",
]

API = {
    "self": frozenset({"GetMachine", "NoisyLog", "DebugLog", "InfoLog", "WarningLog", "ErrorLog"}),
    "request": frozenset(
        {"Absolute", "Counter", "IsInit", "IsRead", "IsUser", "IsWrite", "Length", "Offset", "Type", "Value"}
    ),
    "machine": frozenset({"SystemBus"}),
    "bus": frozenset({"GetCPUs", "TryGetCurrentCPU"}),
    # a core or its NVIC; VectorTableOffset, which a reset overwrites in Renode, is not for setting
    "part": frozenset(
        {"InDeepSleep", "InitVectorTableOffset", "IsHalted", "OnGPIO", "SetEventFlag", "VectorTableOffset"}
    ),
    "pin": frozenset({"IsSet"}),  # an output of an NVIC
}
CALLED = {
    "self": "self",
    "request": "request",
    "machine": "self.GetMachine()",
    "bus": "self.GetMachine().SystemBus",
    "part": "self.GetMachine()['sysbus.NAME']",
    "pin": "self.GetMachine()['sysbus.NVIC'].InDeepSleep",
}
GIVEN = frozenset({"request", "self", "size"})
WRITABLE = frozenset({"request.Value", "part.IsHalted", "part.InitVectorTableOffset", "part.EventTriggered"})
# What a script in front of a model of Renode's has as well: Renode alone runs it (docs/writing-a-peripheral.md).
FRONT_API = API | {
    "bus": API["bus"] | {"ReadBytes", "WriteByte"},
    "part": API["part"] | {"EventTriggered", "ReadDoubleWord", "WriteDoubleWord"},
}
FRONT_NAMES = frozenset({"CORE", "LINES", "MODEL", "RAM", "globals"})
FRONTS = "renode"  # the folder in which such scripts stand
BUILTINS = frozenset(  # of both Pythons
    """
    False True None abs all any bin bool bytearray callable chr classmethod delattr dict divmod enumerate filter float
    frozenset getattr hasattr hash hex id int isinstance issubclass iter len list map max min next object oct ord pow
    property range repr reversed round set setattr slice sorted staticmethod str sum super tuple type zip
    ArithmeticError AttributeError Exception IndexError KeyError LookupError NameError OverflowError RuntimeError
    StopIteration TypeError ValueError ZeroDivisionError
    """.split()  # noqa: SIM905  # as a list it takes a page
)
MODULES = frozenset({"array", "binascii", "itertools", "math", "operator", "re"})  # compiled into both
NEWER_NODES = {  # syntax that Python 2.7 does not have
    ast.JoinedStr: ("an f-string", "write 'text {0}'.format(x)"),
    ast.AnnAssign: ("an annotation", "leave it out"),
    ast.Nonlocal: ("nonlocal", "keep the value in a list or dictionary"),
    ast.NamedExpr: (":=", "assign in a line of its own"),
    ast.Starred: ("a starred expression", "name each"),
    ast.YieldFrom: ("yield from", "yield in a loop"),
    ast.AsyncFunctionDef: ("async", "leave it out"),
    ast.Await: ("await", "leave it out"),
    ast.MatMult: ("@", "write it out"),
    ast.Match: ("match", "write if and elif"),
}
METHODS = {  # of one Python only
    "bit_count": "bin(x).count('1')",
    "casefold": "lower()",
    "from_bytes": "a sum of shifted bytes",
    "has_key": "in",
    "iteritems": "items()",
    "iterkeys": "keys()",
    "itervalues": "values()",
    "removeprefix": "a slice",
    "removesuffix": "a slice",
    "to_bytes": "shifts and masks",
}

"""A board: the cores of a platform with their firmware, run in virtual time, observed and judged.

In: a platform, ELF files and options. Out: :class:`Board`, its consoles, and how a run ended.
"""

from orchestrator.board.board import Attendant, Board, BoardSnapshot, Until
from orchestrator.board.console_lines import ConsoleLine, LineReader, in_order, merged_lines
from orchestrator.board.consoles import BoardConsole, Consoles
from orchestrator.board.ends import QUIET_NS, End, EndReason, Progress
from orchestrator.board.images import VectorTable, choose_vector_table, parse_release
from orchestrator.board.options import BoardOptions
from orchestrator.board.pair import BoardPair
from orchestrator.board.until import parse_until

__all__ = [
    "QUIET_NS",
    "Attendant",
    "Board",
    "BoardConsole",
    "BoardOptions",
    "BoardPair",
    "BoardSnapshot",
    "ConsoleLine",
    "Consoles",
    "End",
    "EndReason",
    "LineReader",
    "Progress",
    "Until",
    "VectorTable",
    "choose_vector_table",
    "in_order",
    "merged_lines",
    "parse_release",
    "parse_until",
]

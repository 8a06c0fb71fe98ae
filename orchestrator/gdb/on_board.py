"""gdb on a board that somebody runs: from the command line, or in a test."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.board import Board
from orchestrator.gdb.server import GdbServer

__all__ = ["serve_gdb"]


def serve_gdb(board: Board, port: int, say: Callable[[str], None]) -> GdbServer:
    """Serve gdb on every core that runs firmware, from this port on (0: any free ones), while the board is run.

    A line for each core says where; who wants to see the first instruction waits with ``wait_for_client``, and closes
    the server in the end. CapabilityError where the engine serves no debugger, UsageError for a port that is taken.
    """
    cores = {name: board.platform.core(name).name for name in board.vector_tables}
    server = GdbServer(
        board.engine, cores.values(), port, end_run=board.stop, is_ending=lambda: board.is_stopping, say=say
    )
    for name, core in cores.items():
        say(f"gdb: {name if name == core else f'{name} ({core})'}: target remote localhost:{server.ports[core]}")
    board.attend(server)
    return server

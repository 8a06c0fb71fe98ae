"""A server for gdb: in comes its remote protocol, one port for each core; out go calls of the engine contract.

"Remote Protocol" below is the appendix "GDB Remote Serial Protocol" of Debugging with GDB.
"""

from orchestrator.gdb.on_board import serve_gdb
from orchestrator.gdb.server import GdbServer

__all__ = ["GdbServer", "serve_gdb"]

"""Memory of a board: the bytes that are stored (``store``), and what each core sees of them (``mapping``).

Between the two is the place of a data cache: a mapping may show a core other bytes than are stored, and nothing else
has to know. Devices and watches reach what is stored; a core, its exception frames and its debugger what it sees.
"""

from orchestrator.engines.unicorn.memory.mapping import BoardMemory, CoreMemory, Mapping, MemoryView
from orchestrator.engines.unicorn.memory.store import Store

__all__ = ["BoardMemory", "CoreMemory", "Mapping", "MemoryView", "Store"]

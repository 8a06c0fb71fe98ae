"""Bytes in, frozen dataclasses out: ELF images, resource tables, virtqueues, RPMsg, address environments.

Nothing here knows an emulator: the same code reads a file, a hex dump and a running board.
"""

__all__: list[str] = []

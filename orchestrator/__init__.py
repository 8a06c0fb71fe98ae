"""rptwin: a twin of a dual-core microcontroller on a developer's machine.

In: the ELF files of both cores and a platform description. Out: what came up, what did not, and where the fault is.
Importing this package loads no emulator.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"

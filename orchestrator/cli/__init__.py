"""The command line. In: what a person types. Out: a report, and exit code 0 (good), 1 (findings) or 2 (could not run).

Each command's module is imported when the command is used, and each of them imports the board, rich and the
emulator only inside the command, so that ``rptwin --help`` costs no more than click.
"""

from orchestrator.cli.root import main

__all__ = ["main"]

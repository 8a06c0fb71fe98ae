"""The ``rptwin`` command itself: finds its subcommands and lets no exception out.

Whatever goes wrong ends as one line on stderr and exit code 2; only ``--debug`` shows a traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import click

from orchestrator import __version__
from orchestrator.base.errors import RptwinError
from orchestrator.base.interrupts import was_raised
from orchestrator.cli.errors import COULD_NOT_RUN, complain, give_up_stdout, terminable

__all__ = ["main"]

_COMMANDS = {
    "run": "Boot both cores, check RPTUN, give the verdict.",
    "demo": "The same on the pair of images that comes with rptwin.",
    "inspect": "What ELF files promise, without booting them.",
    "console": "Boot both cores and talk to their consoles.",
    "ping": "Boot a lone remote and measure its echo.",
    "send": "Boot a lone remote and send it messages.",
    "explore": "Try other schedules of the cores, and find the one that breaks a pair.",
    "judge": "A board that rptwin did not boot: by gdb, memory dumps or debugfs.",
    "bridge": "Hand a vdev to another process: DPDK, QEMU, or one of your own.",
    "platforms": "The chips that rptwin knows.",
    "checks": "Every rule, and which document demands it.",
    "record": "Write down what a pair did, to compare engines or releases.",
    "compare": "Say the first difference of two recordings.",
    "new-platform": "A platform of your own to start from, with firmware to try it.",
    "export-renode": "A platform as files for plain Renode.",
    "lint": "What Renode or rptwin would not take of peripheral scripts.",
    "dissector": "Where Wireshark's dissector for captures is.",
    "completion": "Let a shell complete commands, options and their values.",
    "doctor": "What is on this machine, and how to get what is not.",
}

_HELP = """Boot the firmware of both cores of a microcontroller, watch RPTUN come up, and be told what is wrong.

\b
Examples:
  rptwin demo                          see it work, with images of its own
  rptwin run main.elf remote.elf       boot your pair, and judge it
  rptwin run --remote remote.elf       boot a lone remote: Python plays the main core
  rptwin inspect remote.elf            read a resource table, boot nothing
  rptwin console main.elf remote.elf   type into the firmware's shells

Settings that stay the same go into rptwin.toml. Exit codes: 0 good, 1 findings, 2 could not run, or
was ended before it was over (a signal, --wall-time), with the report on what was seen.
"""


class _Root(click.Group):
    """Imports a subcommand when it is asked for, and turns every exception into a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module("orchestrator.cli.commands")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no such command: expected {' | '.join(_COMMANDS)}, found {args[0]}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def main(self, args: Sequence[str] | None = None, *positional: Any, **named: Any) -> NoReturn:
        """What click calls, and tests do; leaves by SystemExit in any case."""
        arguments = list(sys.argv[1:] if args is None else args)
        sys.exit(self._guarded(arguments, positional, named | {"standalone_mode": False}))

    def make_context(self, *positional: Any, **named: Any) -> click.Context:
        with _kept_from_click():
            return super().make_context(*positional, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with _kept_from_click():
            return super().invoke(ctx)

    def _guarded(self, arguments: list[str], positional: tuple[Any, ...], named: dict[str, Any]) -> int:
        debug = "--debug" in arguments
        try:
            with terminable():
                code = super().main(arguments, *positional, **named)
                sys.stdout.flush()
                if was_raised():  # and swallowed on its way
                    raise KeyboardInterrupt
        except Exception as error:
            if was_raised():  # what an import made of it
                complain("interrupted")
            else:
                _explain(error, debug=debug)
        except KeyboardInterrupt:
            complain("interrupted")
        else:
            return code if isinstance(code, int) else 0
        return COULD_NOT_RUN


class _SystemError(Exception):
    """An OSError that click is not to see: of one that says EPIPE, whoever's, it makes exit code 1."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def _kept_from_click() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _SystemError(error) from error


def _explain(error: Exception, *, debug: bool) -> None:
    """One line on stderr; a person at a terminal gets no traceback but with ``--debug``."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # since click 8.2
        _say(error.ctx.get_help())
        return
    if isinstance(error, click.ClickException):
        complain(error.format_message())
        if isinstance(error, click.UsageError) and error.ctx is not None:
            _say(f"Try '{error.ctx.command_path} --help'.")
        return
    if debug:
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exception(error)
    if isinstance(error, _SystemError):
        error = error.error
    if isinstance(error, click.Abort):
        complain("interrupted")
    elif isinstance(error, RptwinError):
        complain(error)
    elif isinstance(error, MemoryError):
        complain("out of memory: a smaller --console-size or --timeout needs less")
    elif isinstance(error, OSError):
        give_up_stdout()
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
    else:  # the last line of defence
        hint = "" if debug else "; `rptwin --debug ...` shows where, please report it"
        complain(f"internal error: {type(error).__name__}: {error}{hint}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True)


@click.group(
    cls=_Root,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="rptwin", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback where something inside rptwin fails.")
def main(debug: bool) -> None:
    """Read by the guard around every command."""

"""The subcommands as a person types them; what each does stands in the module that it imports when it is used.

The deferred imports keep ``--help``, completion and a mistyped option free of the board, rich and the emulator.
"""
# ruff: noqa: PLC0415  # see above

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.cli.completion import SHELLS, offer_files, offer_platforms, offer_rules, offer_uarts
from orchestrator.cli.options import (
    BOARD_OPTIONS,
    DEMO_OPTIONS,
    STATIC_OPTIONS,
    config_option,
    image_arguments,
    lone_image_options,
    read_board_settings,
    read_settings,
    setting_options,
    trust_option,
)
from orchestrator.config import TRACES

__all__ = [
    "bridge",
    "checks",
    "compare",
    "completion",
    "console",
    "demo",
    "dissector",
    "doctor",
    "export_renode",
    "inspect",
    "judge",
    "lint",
    "new_platform",
    "ping",
    "platforms",
    "record",
    "run",
    "send",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def _verbosity(command: Command) -> Command:
    command = click.option("-q", "--quiet", is_flag=True, help="Only the verdict and the findings.")(command)
    return click.option("-v", "--verbose", is_flag=True, help="Consoles and the board's events as well.")(command)


@click.command()
@image_arguments
@lone_image_options
@setting_options("firmware", *BOARD_OPTIONS)
@click.option(
    "--gdb",
    "gdb_port",
    type=int,
    metavar="PORT",
    help="Wait for gdb at this port of this machine (main; the remote's is the next one; 0: any free ones).",
)
@click.option(
    "--uart",
    "uarts",
    metavar="NAME=pty|tcp:[HOST:]PORT",
    shell_complete=offer_uarts,
    multiple=True,
    help="Let another program hold the other end of a console: main, remote, or the name of a UART. Waits at power-on "
    "until somebody has come; port 0 is a free one. Repeatable.",
)
@click.option("--watch", is_flag=True, help="Run again whenever an image, the platform or a settings file changes.")
@click.option(
    "--pairs",
    metavar="FILE",
    shell_complete=offer_files,
    help="Run every pair of this file (docs/many-pairs.md), with these options; the exit code is the worst one's.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Pairs at a time.  [default: all processors]",
)
@config_option
@trust_option
@_verbosity
def run(
    config_path: str | None,
    gdb_port: int | None,
    uarts: tuple[str, ...],
    watch: bool,
    pairs: str | None,
    jobs: int | None,
    verbose: bool,
    quiet: bool,
    **typed: object,
) -> int:
    """Boot MAIN.elf and REMOTE.elf, watch RPTUN come up, and give the verdict.

    The verdict comes from memory and from what the cores did, never from what they print. The run ends when RPTUN is
    up and shared memory has been quiet for 50 ms of virtual time (--quiet-for), at --until, or at --timeout.

    With one image alone Python plays the other core, over the same memory and mailbox: the host of a lone remote, or
    the remote of a lone main, which needs to be told where main looks for the resource table. On a chip with further
    pairs of cores, --firmware boots those too; each pair has its verdict, and the exit code is the worst one's.

    \b
    Examples:
      rptwin run --remote remote.elf
      rptwin run --main main.elf --table remote:0x10040000
      rptwin run main.elf remote.elf
      rptwin run --table remote:g_shmem+8 --profile nuttx main.elf remote.elf
      rptwin run --until 'main:ping done' --timeout '20 s' main.elf remote.elf
      rptwin run --vtor main=0x24000000 --json out.json --junit out.xml main.elf remote.elf
      rptwin run --gdb 3333 main.elf remote.elf
      rptwin run --uart main=pty --uart remote=tcp:4001 main.elf remote.elf
      rptwin run --pairs pairs.toml -j 4 --junit out.xml
    """
    from orchestrator.engines.early import prepare_engine

    if watch:
        return _watch(config_path, pairs, typed)
    if pairs is not None or jobs is not None:
        return _run_pairs(
            pairs,
            jobs,
            typed | {"--gdb": gdb_port, "--config": config_path, "--uart": uarts},
            verbose=verbose,
            quiet=quiet,
        )
    settings = read_board_settings(config_path, typed)
    prepare_engine(settings.engine)
    from orchestrator.cli.run import Verbosity, run_and_report

    return run_and_report(settings, Verbosity.of(verbose=verbose, quiet=quiet), gdb_port, uarts=uarts)


def _watch(config_path: str | None, pairs: str | None, typed: dict[str, object]) -> int:
    import sys

    from orchestrator.cli.watching import files_of, run_whenever
    from orchestrator.config import find_config
    from orchestrator.pairs import load_pairs

    def files() -> tuple[Path, ...]:
        if pairs is not None:
            return files_of([each.settings for each in load_pairs(pairs)], pairs)
        config = find_config(config_path)
        others = [config] if config is not None else []
        return files_of([read_board_settings(config_path, typed)], *others)

    def say(text: str) -> None:
        click.echo(text, err=True)

    return run_whenever([each for each in sys.argv[1:] if each != "--watch"], files, say)


def _run_pairs(file: str | None, jobs: int | None, typed: dict[str, object], *, verbose: bool, quiet: bool) -> int:
    import os

    from orchestrator.base.errors import UsageError
    from orchestrator.cli.options import refuse_overwriting_of
    from orchestrator.pairs import load_pairs

    if file is None:
        raise UsageError("nothing to run side by side", where="--jobs", expected="--pairs FILE")
    single = {"MAIN": "main", "REMOTE": "remote", "--main": "lone_main", "--remote": "lone_remote"}
    single |= {"--firmware": "firmware", "--gdb": "--gdb", "--config": "--config", "--uart": "--uart"}
    for name, key in single.items():
        if typed.pop(key, None) not in (None, ()):
            raise UsageError("is of one pair", where=name, expected="options that hold for every pair of --pairs")
    pairs = load_pairs(file, typed)
    settings = pairs[0].settings
    for each in pairs:
        refuse_overwriting_of(each.settings, file)
    from orchestrator.cli.pairs import run_pairs
    from orchestrator.cli.run import Verbosity

    jobs = jobs or len(os.sched_getaffinity(0))
    return run_pairs(pairs, settings, jobs, Verbosity.of(verbose=verbose, quiet=quiet))


@click.command()
@setting_options(*DEMO_OPTIONS)
@_verbosity
def demo(verbose: bool, quiet: bool, **typed: object) -> int:
    """Boot the pair of images that comes with rptwin, and report on it as `rptwin run` does.

    The pair is bare-metal C for the default platform: main sends pings over RPMsg, the remote echoes them.
    """
    from orchestrator.cli.run import Verbosity, demo_settings, run_and_report

    return run_and_report(demo_settings(typed), Verbosity.of(verbose=verbose, quiet=quiet))


@click.command()
@click.argument("first", metavar="[ELF]", required=False)
@click.argument("second", metavar="[ELF]", required=False)
@click.option(
    "--role",
    type=click.Choice(["main", "remote"]),
    help="Which core the first ELF is for. Default: told from where it is loaded and whether it has a table.",
)
@setting_options(*STATIC_OPTIONS)
@config_option
def inspect(first: str | None, second: str | None, role: str | None, config_path: str | None, **typed: object) -> int:
    """Say what ELF files promise, booting nothing: resource table as a tree, memory map, findings.

    Without an ELF the images are those of rptwin.toml.

    \b
    Examples:
      rptwin inspect remote.elf
      rptwin inspect main.elf remote.elf
      rptwin inspect --profile linux --role remote remote.elf
    """
    from orchestrator.cli.inspect import inspect_images

    return inspect_images(read_settings(config_path, typed), first, second, role)


@click.command()
@image_arguments
@lone_image_options
@setting_options("firmware", *BOARD_OPTIONS)
@config_option
@trust_option
def console(config_path: str | None, **typed: object) -> int:
    """Boot both cores and talk to their consoles; each line shows the console that it comes from.

    What you type goes to the main core's console. Ctrl-T, or a line `:NAME` (`:remote`, `:NAME-OF-A-UART`), switches to
    another one; Ctrl-C, or `:quit`, ends. Lines from a pipe are sent one by one, each when all consoles have fallen
    silent; the session ends with them.

    \b
    Examples:
      rptwin console main.elf remote.elf
      printf 'ping 3 64\\n:remote\\nstatus\\n' | rptwin console main.elf remote.elf
    """
    from orchestrator.cli.console import converse

    return converse(read_board_settings(config_path, typed))


_TALK_OPTIONS = tuple(
    key for key in BOARD_OPTIONS if key not in ("json", "junit", "sarif", "html", "annotations", "until")
)


@click.command()
@click.option("--remote", metavar="ELF", help="Firmware of the remote core.")
@click.option("--name", metavar="NAME", help="Endpoint that the remote announces. Default: the first.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=10, show_default=True, help="Messages to send.")
@click.option("--size", type=click.IntRange(0, 65_519), default=64, show_default=True, help="Bytes of each.")
@setting_options(*_TALK_OPTIONS)
@config_option
@trust_option
def ping(config_path: str | None, name: str | None, count: int, size: int, **typed: object) -> int:
    """Boot a lone REMOTE.elf under the Python host, send messages to its echo endpoint, and check what comes back.

    Times are virtual, to a resolution of --quantum: from sending a message to taking its answer. Exit code 1
    when an answer is wrong or missing within 100 ms.

    \b
    Examples:
      rptwin ping --remote remote.elf
      rptwin ping --remote remote.elf --name rptwin-echo --count 1000 --size 496
    """
    from orchestrator.cli.ping import ping_remote

    return ping_remote(read_settings(config_path, typed), name, count, size)


@click.command()
@click.argument("messages", metavar="TEXT...", nargs=-1, required=True)
@click.option("--remote", metavar="ELF", help="Firmware of the remote core.")
@click.option("--name", metavar="NAME", help="Endpoint that the remote announces. Default: the first.")
@click.option("--hex", "is_hex", is_flag=True, help="TEXT is bytes in hexadecimal, and so are the answers.")
@setting_options(*_TALK_OPTIONS)
@config_option
@trust_option
def send(config_path: str | None, messages: tuple[str, ...], name: str | None, is_hex: bool, **typed: object) -> int:
    """Boot a lone REMOTE.elf under the Python host, send it each TEXT as one message, and print what comes back.

    \b
    Examples:
      rptwin send --remote remote.elf hello
      rptwin send --remote remote.elf --name rptwin-echo --hex '01 02 ff'
    """
    from orchestrator.cli.ping import send_to_remote

    return send_to_remote(read_settings(config_path, typed), name, messages, is_hex=is_hex)


@click.command()
@image_arguments
@setting_options("firmware", *BOARD_OPTIONS)
@click.option("--vdev", type=click.IntRange(0, 255), required=True, metavar="INDEX", help="Which vdev of the table.")
@click.option("--socket", "path", required=True, metavar="PATH", help="Where a vhost-user back-end listens.")
@click.option(
    "--time",
    "time_",
    type=click.Choice(["waits", "goes-on"]),
    default="waits",
    show_default=True,
    help="Virtual time while the back-end has a request: stands still, at most a second; or goes on.",
)
@click.option(
    "--if-lost",
    type=click.Choice(["end", "go-on", "reconnect"]),
    default="end",
    show_default=True,
    help="When the back-end hangs up: end the run (exit code 2), go on without it, or wait until it is there again.",
)
@click.option("--poll", "polls", is_flag=True, help="Both sides look at the rings all the time, without eventfds.")
@config_option
@_verbosity
def bridge(
    config_path: str | None,
    vdev: int,
    path: str,
    time_: str,
    if_lost: str,
    polls: bool,
    verbose: bool,
    quiet: bool,
    **typed: object,
) -> int:
    """Boot MAIN.elf and REMOTE.elf with the device of one vdev in another process, over vhost-user.

    The vrings stand where the resource table has them, in memory that the back-end maps; the emulated core's driver
    exchanges buffers with it, and the verdict is as of `rptwin run`. The firmware on the device's side leaves that
    vdev alone. A run with another process does not repeat.

    \b
    Examples:
      rptwin bridge --vdev 1 --socket /tmp/net.sock main.elf remote.elf
      rptwin bridge --vdev 1 --socket /tmp/disk.sock --until 'remote:copied' --timeout '10 s' main.elf remote.elf
    """
    settings = read_board_settings(config_path, typed)
    from orchestrator.cli.run import Verbosity, run_and_report
    from orchestrator.vhost_user import BridgeOptions, IfLost

    options = BridgeOptions(vdev, path, waits=time_ == "waits", if_lost=IfLost(if_lost), polls=polls)
    return run_and_report(settings, Verbosity.of(verbose=verbose, quiet=quiet), bridge=options)


_READING_OPTIONS = ("table", "vrings", "map", "profile", "nuttx-config", "json", "junit", "sarif", "annotations")


@click.command()
@click.option(
    "--gdb",
    metavar="[CORE=]HOST:PORT",
    multiple=True,
    help="A gdb server (OpenOCD, J-Link, pyOCD, QEMU, Renode) at a core: main=HOST:PORT, remote=HOST:PORT. Repeatable.",
)
@click.option(
    "--memory",
    "dumps",
    metavar="[CORE=]FILE@ADDRESS",
    multiple=True,
    help="A dump of memory, and the address of its first byte as main (or CORE) has it. Repeatable.",
)
@click.option(
    "--debugfs",
    metavar="DIR|FILE",
    shell_complete=offer_files,
    help="What a Linux host shows in debugfs: remoteproc0/, with `resource_table` and `carveout_memories`.",
)
@click.option(
    "--twice",
    metavar="DURATION",
    help="Look again after so long, and say what moved; 0 s: look once.  [default: 1 s with --gdb, else 0 s]",
)
@click.option(
    "--patience", metavar="DURATION", default="5 s", show_default=True, help="How long a gdb server may take to answer."
)
@click.option(
    "--platform",
    metavar="NAME|FILE.repl",
    help="The chip. Default: none, addresses are as given.",
    shell_complete=offer_platforms,
)
@click.option("--main", metavar="ELF", help="Firmware that main runs, for symbols, source lines and more rules.")
@click.option("--remote", metavar="ELF", help="Firmware that the remote runs: its .resource_table says where that is.")
@setting_options(*_READING_OPTIONS)
@config_option
@_verbosity
def judge(
    gdb: tuple[str, ...],
    dumps: tuple[str, ...],
    debugfs: str | None,
    twice: str | None,
    patience: str,
    config_path: str | None,
    verbose: bool,
    quiet: bool,
    **typed: object,
) -> int:
    """Judge a board that rptwin did not boot, by what stands in its memory; the board is read and never written.

    The table is where --table says, else where an ELF has it, else it is looked for. From there vrings, indices and
    buffers are read and judged by the rules of `rptwin run`; those that need a watched run are named. Memory of a core
    that is not given is the other one's, by the platform's translation or --map.

    \b
    Examples:
      rptwin judge --gdb localhost:3333 --table 0x30040000
      rptwin judge --gdb main=localhost:3333 --gdb remote=localhost:3334 --platform stm32h745
      rptwin judge --memory shared.bin@0x30040000
      rptwin judge --debugfs /sys/kernel/debug/remoteproc/remoteproc0
    """
    from orchestrator.cli.options import read_reading_settings

    settings, platform = read_reading_settings(config_path, typed)
    from orchestrator.cli.judge import Wanted, judge_board
    from orchestrator.cli.options import refuse_overwriting_of
    from orchestrator.cli.run import Verbosity

    wanted = Wanted.of(gdb, dumps, debugfs, twice, patience)
    refuse_overwriting_of(settings, *wanted.inputs)
    return judge_board(settings, wanted, platform, Verbosity.of(verbose=verbose, quiet=quiet))


@click.command()
def platforms() -> None:
    """List the chips that rptwin knows, their cores and roles, and which engines run them here, or why not.

    A .repl file of your own, with a .toml of the same name beside it, works as well: `rptwin run --platform FILE.repl`.
    """
    from orchestrator.report.lists import print_platforms

    print_platforms()


@click.command()
@click.argument("rule", required=False, shell_complete=offer_rules)
def checks(rule: str | None) -> None:
    """List every rule with its stage, source and meaning; with RULE, those that begin with it.

    \b
    Examples:
      rptwin checks
      rptwin checks vring.align
    """
    from orchestrator.report.lists import print_rules

    print_rules(rule or "")


@click.command("new-platform")
@click.argument("name")
@click.option(
    "-o", "--output", metavar="DIR", type=Path, help="Where to put the files; made if missing.  [default: NAME]"
)
def new_platform(name: str, output: Path | None) -> None:
    """Write a platform called NAME to start from, and a pair of smoke images that boots on it as it is.

    \b
    NAME.repl         the chip, in Renode's language: two Cortex-M33, memories, a UART for each, a mailbox
    NAME.toml         what only rptwin needs: roles, boot addresses, consoles, the mailbox's interrupts
    NAME/mailbox.py   the mailbox, as a peripheral script
    smoke/            firmware of both cores in one file of C, and its images: each rings the other

    Replace the addresses by those of your chip's manual, in NAME.repl and in smoke/ alike, and run again after each
    change; docs/new-platform.md walks through it with a real chip. No file is overwritten.

    \b
    Example:
      rptwin new-platform mychip
      rptwin run --platform mychip/mychip.repl mychip/smoke/main.elf mychip/smoke/remote.elf
    """
    from orchestrator.cli.new_platform import new_platform

    new_platform(name, output if output is not None else Path(name))


@click.command()
@image_arguments
@setting_options(
    "firmware",
    *(
        key
        for key in BOARD_OPTIONS
        if key not in ("schedule", "seed", "quantum", "engine", "html", "sample-every", *TRACES)
    ),
)
@click.option("--count", type=click.IntRange(1), default=1000, show_default=True, help="Schedules to try at most.")
@click.option(
    "--for",
    "for_",
    metavar="DURATION",
    default="60 s",
    show_default=True,
    help="Time of this computer after which no further schedule is tried.",
)
@click.option(
    "--delay",
    "delays",
    metavar="DURATION",
    multiple=True,
    help="How long a core stands still at a point.  [default: 200 us, 20 us]  Repeatable.",
)
@click.option(
    "-j", "--jobs", type=click.IntRange(1), metavar="N", help="Processors to use.  [default: all of this computer]"
)
@click.option("--save", metavar="FILE", help="Write the shortest schedule that breaks the pair, for `run --schedule`.")
@config_option
@trust_option
@_verbosity
def explore(
    config_path: str | None,
    count: int,
    for_: str,
    delays: tuple[str, ...],
    jobs: int | None,
    save: str | None,
    verbose: bool,
    quiet: bool,
    **typed: object,
) -> int:
    """Run MAIN.elf and REMOTE.elf again and again, each time with the cores in another order.

    One run is one schedule of many. Tried are late starts of a core, other clocks and quanta, and one delay of a core
    at each access to shared memory, each notification and each sleep, while the other core goes on; then two, where
    one has changed the course of things. The report is that of the shortest schedule that breaks a rule, else of the
    pair as it is. Exit code 1 where any schedule comes to another verdict.

    \b
    Examples:
      rptwin explore main.elf remote.elf
      rptwin explore --count 5000 --for '10 min' --save race.json main.elf remote.elf
      rptwin run --schedule race.json main.elf remote.elf
    """
    settings = read_board_settings(config_path, typed)
    from orchestrator.cli.explore import Wanted, explore_and_report
    from orchestrator.cli.run import Verbosity

    wanted = Wanted.of(count, for_, delays, jobs, save)
    return explore_and_report(settings, wanted, Verbosity.of(verbose=verbose, quiet=quiet))


@click.command("export-renode")
@click.argument("platform", shell_complete=offer_platforms)
@click.option(
    "-o", "--output", metavar="DIR", required=True, type=Path, help="Where to put the files; made if missing."
)
def export_renode(platform: str, output: Path) -> None:
    """Write PLATFORM, a name or a .repl file, as files for plain Renode or renode-test.

    DIR gets a description with the scripts of its peripherals inside, and a .resc that loads both images, sets what
    must be set for runs to repeat, and opens the consoles.

    \b
    Example:
      rptwin export-renode stm32h745 -o renode
    """
    from orchestrator.cli.export import export_renode

    export_renode(platform, output)


@click.command()
@image_arguments
@setting_options(*(key for key in BOARD_OPTIONS if key not in ("json", "junit", "sarif", "html", "annotations")))
@config_option
@trust_option
@click.option(
    "--mask", "masks", metavar="REGEX", multiple=True, help="Text of consoles to compare as equal. Repeatable."
)
@click.option("-o", "--output", metavar="FILE.json", required=True, help="The recording.")
def record(config_path: str | None, masks: tuple[str, ...], output: str, **typed: object) -> int:
    """Run MAIN.elf and REMOTE.elf until nothing happens any more, and write down what `rptwin compare` compares.

    That is what may not depend on the engine: consoles (printed times masked), RPMsg messages by direction and
    endpoint, final indices and buffers of each queue, the table in both views, findings. The pair runs with quanta of
    5, 20 and 100 us as well, which says whether it differs by itself. Exit code 1 when it did not come to rest.

    \b
    Examples:
      rptwin record main.elf remote.elf -o unicorn.json
      rptwin record --engine renode main.elf remote.elf -o renode.json
    """
    from orchestrator.cli.record import record_pair

    return record_pair(read_settings(config_path, typed), masks, output)


@click.command()
@click.argument("first", metavar="A.json")
@click.argument("second", metavar="B.json")
def compare(first: str, second: str) -> int:
    """Say the first difference of two recordings in words; exit code 1 when there is one.

    \b
    Example:
      rptwin compare unicorn.json renode.json
    """
    from orchestrator.cli.record import compare as compare_recordings

    return compare_recordings(first, second)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
def lint(paths: tuple[str, ...]) -> int:
    """Say what Renode's IronPython, its API or a description would not take of peripheral scripts; runs none.

    PATH is a script, or a folder whose scripts are looked at. Exit code 1 when there is a problem, or no script.

    \b
    Example:
      rptwin lint mychip
    """
    from orchestrator.platform.script_lint import main as lint_scripts

    return lint_scripts(paths)


@click.command()
def dissector() -> None:
    """Say where Wireshark's dissector for the captures of `--pcapng` is.

    \b
    Example:
      rptwin run --pcapng run.pcapng main.elf remote.elf
      tshark -X lua_script:"$(rptwin dissector)" -r run.pcapng
    """
    from orchestrator.trace.pcapng import DISSECTOR

    click.echo(DISSECTOR)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, platforms, engines, rules, consoles and files.

    \b
    Examples:
      echo 'eval "$(rptwin completion bash)"' >>~/.bashrc
      rptwin completion fish >~/.config/fish/completions/rptwin.fish
    """
    from orchestrator.cli.completion import completion_script

    click.echo(completion_script(shell))


@click.command()
@trust_option
def doctor(trust: bool) -> int:
    """Say which engines, compilers and peers this machine has, in which version, and how to get what is missing.

    Renode is looked for by PYRENODE_PKG, PYRENODE_BIN or PYRENODE_BUILD_DIR, then by [renode] in rptwin.toml or
    [tool.rptwin.renode] in pyproject.toml. Exit code 0 when the default engine works, 2 when it does not.
    """
    from orchestrator.cli.doctor import diagnose

    return diagnose(trust=trust)

"""The library for suites of Renode's own runner: RPTUN on the machine that the suite has made, whatever it is.

It knows no platform. What the machine is, its monitor says; what is right and wrong, the checks say that judge a dump.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from robot.api import logger
from robot.api.deco import keyword, library
from robot.libraries.BuiltIn import BuiltIn

from orchestrator import __version__
from orchestrator.base.roles import ROLES
from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.static import check_live
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.common.cortex_m import exception_name
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import find_declared
from orchestrator.report.plain import plain_findings
from orchestrator.robot.renode_bus import RenodeBus, RenodeMemory, bus_of

__all__ = ["RptunInRenode"]

_ICSR = 0xE000_ED04
_VECTACTIVE = 0x1FF
_HARD_FAULT, _USAGE_FAULT = 3, 6
_LOCKUP_PC = 0xEFFF_FFFE


@library(scope="SUITE", version=__version__, doc_format="MARKDOWN")
class RptunInRenode:
    """Judges RPTUN between two Cortex-M cores on a machine of Renode's, in a suite of Renode's own runner.

    It needs the two images and nothing else: where the cores see memory, which core runs which image, and what stands
    there, Renode's monitor says. The machine is paused while it is looked at, and goes on as it was.

    What it sees is one moment: the table, the rings and buffers as they are, a core that has faulted. Use it when the
    traffic has come to rest. What went through the rings before, and who notified whom, only a run of rptwin tells.

    ```robotframework
    *** Settings ***
    Library    orchestrator.robot.RptunInRenode

    *** Test Cases ***
    RPTUN comes up
        Execute Script        ${CURDIR}/board.resc
        Create Terminal Tester    sysbus.uart0
        Start Emulation
        Wait For Line On Uart    ready
        Rptun Should Be Up    ${CURDIR}/main.elf    ${CURDIR}/remote.elf
    ```
    """

    @keyword
    def rptun_should_be_up(
        self,
        main: str,
        remote: str,
        *,
        main_core: str | None = None,
        remote_core: str | None = None,
        table: str | None = None,
        profile: str = "auto",
        maps: Sequence[str] = (),
    ) -> None:
        """Fails with the findings unless the table is there, every vdev is up, and what stands in the rings is right.

        ``main`` and ``remote`` are ELF files. ``main_core`` and ``remote_core`` name cores (``sysbus.cpu0``) where it
        does not follow from what they execute; ``table``, ``profile`` and ``maps`` are those of ``rptwin run``.
        """
        images = {"main": load_elf(main), "remote": load_elf(remote)}
        with _paused():
            bus = bus_of(_execute("peripherals"))
            roles = bus.roles(images, {"main": main_core, "remote": remote_core}, _execute)
            dead = [text for role in ROLES if (text := _fault_of(role, roles[role], images[role]))]
            findings = _findings(bus, roles, images, table, profile, maps)
        logger.info(f"main is {roles['main']}, the remote {roles['remote']}\n{plain_findings(findings)}")
        wrong = [*dead, *([plain_findings(findings)] if _has_errors(findings) else [])]
        if wrong:
            raise AssertionError("RPTUN is not right\n" + "\n".join(wrong))


def _findings(
    bus: RenodeBus,
    roles: dict[str, str],
    images: dict[str, Image],
    table: str | None,
    profile: str,
    maps: Sequence[str],
) -> tuple[Finding, ...]:
    declared = find_declared(images, None if table is None else parse_locator(table))
    if declared.location is None:
        raise AssertionError(f"no resource table: {declared.error}; name it by table=")
    return check_live(
        {role: RenodeMemory(core, bus.regions, _execute) for role, core in roles.items()},
        declared.location,
        platform=bus.platform("machine", roles, images),
        images=images,
        profile=None if profile == "auto" else Profile(profile),
        maps=tuple(AddressRange.parse(each) for each in maps),
    )


def _has_errors(findings: Sequence[Finding]) -> bool:
    return any(each.severity is Severity.ERROR for each in findings)


def _fault_of(role: str, core: str, image: Image) -> str | None:
    """Where a core stands that has locked up or is in the handler of a fault."""
    pc = int(_execute(f"sysbus.{core} PC"), 16)
    if pc & ~1 == _LOCKUP_PC:
        return f"error: {role} ({core}) has locked up"
    active = int(_execute(f"sysbus ReadDoubleWord {_ICSR:#x} sysbus.{core}"), 16) & _VECTACTIVE
    if not _HARD_FAULT <= active <= _USAGE_FAULT:
        return None
    where = symbol_of([image], pc) or "no symbol"
    return f"error: {role} ({core}) is in the handler of a {exception_name(active)}, at {pc:#010x} ({where})"


def _execute(command: str) -> str:
    """A command of Renode's monitor, by the runner's own keyword."""
    return str(BuiltIn().run_keyword("Execute Command", command)).strip()


@contextmanager
def _paused() -> Iterator[None]:
    """Nothing moves meanwhile; afterwards the emulation runs if it did before."""
    ran = _execute("emulation IsStarted") == "True"
    if ran:
        _execute("pause")
    try:
        yield
    finally:
        if ran:
            _execute("start")

"""The library that suites import: every topic's keywords on one board."""

from __future__ import annotations

from robot import running
from robot.api.deco import library
from robot.result import TestCase

from orchestrator import __version__
from orchestrator.robot.attached import attach_to_log
from orchestrator.robot.board import BoardKeywords
from orchestrator.robot.host import HostKeywords
from orchestrator.robot.renode import RenodeKeywords
from orchestrator.robot.table import TableKeywords
from orchestrator.robot.traffic import TrafficKeywords
from orchestrator.robot.uart import UartKeywords
from orchestrator.robot.verdict import VerdictKeywords

__all__ = ["RptwinLibrary"]


@library(scope="SUITE", version=__version__, doc_format="MARKDOWN")
class RptwinLibrary(
    BoardKeywords, UartKeywords, TableKeywords, TrafficKeywords, VerdictKeywords, HostKeywords, RenodeKeywords
):
    """Boots the firmware of both cores of a microcontroller and checks how RPTUN comes up.

    `Start Board` puts both cores at power-on. Time is virtual and passes only inside keywords: those that run
    (`Run Until Up`, `Run For`) and those that wait for a UART. A suite that passes once passes always.

    Keywords with *should* look at the board as it is, let no time pass, and say in their failure what was seen.
    Keywords for UARTs, and some others, are named and called as those of Renode. Times are virtual seconds, or texts
    such as ``50 ms``.

    ```robotframework
    *** Settings ***
    Library    orchestrator.robot.RptwinLibrary

    *** Test Cases ***
    RPTUN comes up
        Start Board    stm32h745    main.elf    remote.elf
        Run Until Quiet
        Rptun Should Be Up
        Every Vring Should Be Inside Its Carveout
    ```

    The log of a test that fails has the report of its board, and a link to its run as a page for a browser, which is
    written into ``rptwin`` beside the log.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, html: bool = True) -> None:
        """``html=False`` writes no pages for failed tests, and saves the fifth of a run that it takes to follow it."""
        super().__init__()
        self._writes_pages = html
        self.ROBOT_LIBRARY_LISTENER = self

    def end_test(self, data: running.TestCase, result: TestCase) -> None:
        """Called by Robot: attach the run of the board to a test that failed."""
        if result.failed and self._open is not None and self._collector is not None:
            attach_to_log(self._open, self._collector, data.full_name)

    def close(self) -> None:
        """Called by Robot when the suite has ended."""
        self.stop_board()

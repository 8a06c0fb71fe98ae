"""The Robot Framework library. In: keywords of a suite. Out: calls of the board, failures that say what was seen."""

from orchestrator.robot.library import RptwinLibrary

__all__ = ["RptwinLibrary"]

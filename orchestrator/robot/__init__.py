"""The Robot Framework libraries. In: keywords of a suite. Out: calls of the board, failures that say what was seen."""

from orchestrator.robot.in_renode import RptunInRenode
from orchestrator.robot.library import RptwinLibrary

__all__ = ["RptunInRenode", "RptwinLibrary"]

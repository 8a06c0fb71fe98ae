from __future__ import annotations

import re

import pytest

from orchestrator.checks.catalogue import catalogue
from orchestrator.report.links import links_of


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("virtio 1.3, 2.7.7 (linux-xlnx 51)", ["https://github.com/Xilinx/linux-xlnx/issues/51"]),
        (
            "(open-amp PR 320, zephyr 86494, 90668)",
            [
                "https://github.com/OpenAMP/open-amp/pull/320",
                "https://github.com/zephyrproject-rtos/zephyr/issues/86494",
                "https://github.com/zephyrproject-rtos/zephyr/issues/90668",
            ],
        ),
        ("(rpmsg-lite 6; again rpmsg-lite 6)", ["https://github.com/nxp-mcuxpresso/rpmsg-lite/issues/6"]),
        ("zephyr: a project; DDI0403E B1.5.8; posix 3", []),
    ],
)
def test_an_issue_that_a_source_names_is_a_link(text: str, links: list[str]) -> None:
    assert list(links_of(text)) == links


def test_every_issue_in_brackets_of_a_rules_source_is_one_that_links_know() -> None:
    named = r"\(([a-z][a-z-]+) (?:PR )?\d+[,;)]"
    for rule in catalogue():
        assert not re.search(named, rule.source) or links_of(rule.source), rule.source

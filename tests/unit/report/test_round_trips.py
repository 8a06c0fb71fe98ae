from __future__ import annotations

from orchestrator.base.roles import Side
from orchestrator.observe.traffic import MessageRecord
from orchestrator.report.round_trips import conversations


def message(time_us: int, sender: str, src: int, dst: int, length: int = 4, *, text: str = "") -> MessageRecord:
    return MessageRecord(
        time_us * 1000,
        "vdev[0].vring[0]",
        Side.DRIVER if sender == "main" else Side.DEVICE,
        sender,
        src,
        dst,
        length,
        text,
    )


def test_each_answer_belongs_to_the_oldest_message_without_one() -> None:
    (talk,) = conversations(
        [
            message(0, "main", 1024, 1025, 1),
            message(10, "main", 1024, 1025, 9),
            message(30, "remote", 1025, 1024),
            message(35, "remote", 1025, 1024),
            message(40, "main", 1024, 1025, 5),
        ]
    )
    assert (talk.asker, talk.asker_address, talk.answerer, talk.answerer_address) == ("main", 1024, "remote", 1025)
    assert (talk.sent, talk.answered, talk.lengths) == (3, 2, [1, 9, 5])
    assert talk.times_ns == [30_000, 25_000]


def test_announcements_are_no_conversation() -> None:
    assert conversations([message(0, "remote", 1024, 53, 40, text="create echo at 1024")]) == ()


def test_endpoints_are_kept_apart_and_either_side_may_begin() -> None:
    talks = conversations(
        [message(0, "main", 1, 2), message(1, "remote", 7, 8), message(2, "main", 8, 7), message(3, "remote", 2, 1)]
    )
    assert [(talk.asker, talk.sent, talk.answered) for talk in talks] == [("main", 1, 1), ("remote", 1, 1)]


def test_an_answer_too_many_is_not_counted() -> None:
    (talk,) = conversations([message(0, "main", 1, 2), message(1, "remote", 2, 1), message(2, "remote", 2, 1)])
    assert (talk.sent, talk.answered) == (1, 1)

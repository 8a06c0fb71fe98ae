"""Requests and answers among RPMsg messages: who is answered, how often, how fast. From the rings, not the consoles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.roles import other_role
from orchestrator.observe.traffic import MessageRecord

__all__ = ["Conversation", "conversations"]


@dataclass(slots=True)
class Conversation:
    """Messages between an endpoint of the side that spoke first and one of the other; lengths in bytes of payload."""

    asker: str  # role
    asker_address: int
    answerer: str
    answerer_address: int
    sent: int = 0
    answered: int = 0
    lengths: list[int] = field(default_factory=list)
    times_ns: list[int] = field(default_factory=list)  # from a message to the next one in the other direction
    _waiting: list[int] = field(default_factory=list)


def conversations(messages: Iterable[MessageRecord]) -> tuple[Conversation, ...]:
    """Pair each message with the answer to it: the oldest one unanswered between the same two endpoints.

    Name-service messages are announcements, and count as neither.
    """
    found: dict[tuple[str, int, int], Conversation] = {}
    for message in messages:
        if message.text:
            continue
        answered = found.get((message.sender, message.dst, message.src))
        if answered is not None:
            if answered._waiting:
                answered.answered += 1
                answered.times_ns.append(message.time_ns - answered._waiting.pop(0))
            continue
        other = other_role(message.sender)
        key = (other, message.src, message.dst)
        talk = found.setdefault(key, Conversation(message.sender, message.src, other, message.dst))
        talk.sent += 1
        talk.lengths.append(message.length)
        talk._waiting.append(message.time_ns)
    return tuple(found.values())

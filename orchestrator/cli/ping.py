"""``rptwin ping`` and ``rptwin send``: a lone remote, talked to by the Python host."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestrator.base.errors import HostError, UsageError
from orchestrator.board import Board
from orchestrator.cli.running import CountLine, interruptible, open_board, traced
from orchestrator.config import Settings
from orchestrator.host import Endpoint

__all__ = ["ping_remote", "send_to_remote"]

_ANSWER = "100 ms"  # of virtual time


def ping_remote(settings: Settings, name: str | None, count: int, size: int) -> int:
    """Echo ``count`` messages and print the round trips; 0 when every answer was right, 1 otherwise."""
    with _open(settings) as board, traced(settings, board), interruptible(board):
        endpoint = _endpoint(board, name, settings)
        times: list[int] = []
        bad = lost = 0
        progress = CountLine("messages", count)
        for number in range(count):
            progress(number)
            payload = bytes((31 * number + i) & 0xFF for i in range(size))
            begin = board.time_ns
            endpoint.send(payload)
            try:
                bad += endpoint.receive(_ANSWER) != payload
                times.append(board.time_ns - begin)
            except HostError:
                lost += 1
        progress.clear()
    good = len(times) - bad
    sys.stdout.write(f"{count} messages of {size} bytes: {good} good, {bad} bad, {lost} lost\n")
    if times:
        average = sum(times) / len(times) / 1000
        low, high = min(times) / 1000, max(times) / 1000
        sys.stdout.write(f"round trip (virtual): {low:.0f} us least, {average:.0f} us on average, {high:.0f} us most\n")
    return 0 if good == count else 1


def send_to_remote(settings: Settings, name: str | None, messages: Sequence[str], *, is_hex: bool) -> int:
    """Send each message and print the answers; 0 when each had one, 1 otherwise."""
    payloads = [_bytes_of(each) if is_hex else each.encode() for each in messages]
    answered = 0
    with _open(settings) as board, traced(settings, board), interruptible(board):
        endpoint = _endpoint(board, name, settings)
        for payload in payloads:
            endpoint.send(payload)
            try:
                answer = endpoint.receive(_ANSWER)
            except HostError:
                sys.stdout.write(f"no answer within {_ANSWER}\n")
                continue
            answered += 1
            sys.stdout.write((answer.hex(" ") if is_hex else answer.decode(errors="backslashreplace")) + "\n")
    return 0 if answered == len(payloads) else 1


def _open(settings: Settings) -> Board:
    if settings.remote is None or settings.main is not None:
        raise UsageError(
            "talks to a lone remote",
            expected="--remote REMOTE.elf, and no main image",
            found=settings.main or "none",
            advice="a pair talks for itself: `rptwin run`",
        )
    return open_board(settings)


def _endpoint(board: Board, name: str | None, settings: Settings) -> Endpoint:
    host, timeout = board.host, f"{settings.timeout} ns"
    host.start(timeout)
    if name is None and not host.wait(lambda: bool(host.names), timeout):
        raise HostError("the remote announces no endpoint", expected=f"one within {settings.timeout / 1e9:g} s")
    endpoint = host.endpoint(name or host.names[0], timeout)
    where = f"{endpoint.name} at address {endpoint.peer}"
    sys.stdout.write(f"{where}, up after {board.time_ns / 1e6:.3f} ms ({host.profile})\n")
    return endpoint


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError("not bytes in hexadecimal", expected="as '01 02 ff'", found=repr(text)) from None

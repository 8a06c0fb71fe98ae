"""Talking to the process of an engine: questions, what happens before their answers, its silence and its death."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from orchestrator.base.console_output import ConsoleOutput
from orchestrator.base.errors import EngineError
from orchestrator.base.interrupts import deferred_interrupt
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.contract import Player
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.channel import Channel, ClosedError, Frame, SilentError
from orchestrator.engines.isolated.codec import MalformedError, from_plain
from orchestrator.engines.isolated.failures import raised_inside
from orchestrator.engines.isolated.messages import REPLIES, Failed, Message
from orchestrator.engines.isolated.pages import Pages
from orchestrator.engines.isolated.process import Child
from orchestrator.events import Listener

__all__ = ["Conversation"]

STOP_PATIENCE_S = 5.0  # of wall time without an end, for a board that was asked to stop
_LOOK_S = 0.25  # between two looks whether it was
# What leaves memory as it is.
_LOOKING = (
    messages.Read,
    messages.AskState,
    messages.AskRegisters,
    messages.AskBacktrace,
    messages.AskWaiting,
    messages.AskActivity,
    messages.AskDataCache,
    messages.AskInstructions,
    messages.Watch,
    messages.Unwatch,
    messages.Observe,
    messages.Unobserve,
    messages.Subscribe,
    messages.TakeSnapshot,
    messages.Release,
    messages.ReadRegister,
    messages.PeekRegister,
    messages.Wake,
)


class Conversation:
    """One question at a time; ``time_ns`` is the board's virtual time in the last frame.

    ``patience_s`` is wall time without a frame.
    """

    def __init__(self, name: str, child: Child, pages: Pages, patience_s: float) -> None:
        self.name = name  # of the engine, for messages
        self.child = child
        self._channel = Channel(child.frames)
        self.pages = pages
        self.patience_s = patience_s
        self.time_ns = 0
        self.listeners: list[Listener] = []
        self.players: dict[str, Player] = {}
        self.received: dict[str, ConsoleOutput] = {}  # what the consoles have sent
        self.death: EngineError | None = None  # what every question raises from then on
        self._run = 0  # number of the last one
        self._stop_asked_s: float | None = None  # wall time of the request
        self._telling: int | None = None  # the thread that is in a listener
        self._listener_stops = False  # goes out as Finish

    # --- runs

    def new_run(self) -> int:
        """Number of a run that begins."""
        self._run += 1
        self._stop_asked_s = None
        return self._run

    def stop(self) -> None:
        """End the run: from a listener where its event was, from anywhere else as soon as the child can."""
        if self._telling == threading.get_ident():
            self._listener_stops = True
        else:
            self.ask_to_stop()

    def ask_to_stop(self) -> None:
        """By the second channel; from any thread or signal handler."""
        if self._stop_asked_s is None:
            self._stop_asked_s = time.monotonic()
        self.child.stop(self._run)

    # --- questions and answers

    def ask(self, message: Message, blob: bytes = b"") -> tuple[Any, bytes]:
        """One question and its answer; listeners hear of what happens in between.

        Raises what the engine raised, what a listener raised, or EngineDiedError.
        """
        if self.death is not None:
            raise self.death.with_traceback(None)
        if not isinstance(message, _LOOKING):
            self.pages.outdate()
        with deferred_interrupt(self.ask_to_stop):
            answer = self._converse(message, blob)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _converse(self, message: Message, blob: bytes) -> tuple[Any, bytes] | BaseException:
        """The answer; an error that came instead of one is returned, one that ends the conversation is raised."""
        doing = f"in {type(message).__name__}"
        try:
            self._channel.send(message, blob)
            return self._answer(message)
        except ClosedError:
            raise self.dies(f"the engine's process {self.child.end()} ({doing})") from None
        except SilentError as error:
            raise self.dies(f"the engine's process {error.what} ({doing})") from None
        except MalformedError as error:
            raise self.dies(f"the engine's process speaks nonsense ({doing}): {error}") from None
        except BaseException:  # a signal handler's, in the middle of a frame: nobody can know what comes next
            self.dies(f"the conversation with the engine's process was broken off ({doing})")
            raise

    def _answer(self, message: Message) -> tuple[Any, bytes] | BaseException:
        failure: BaseException | None = None
        while True:
            frame = self._next_frame()
            self.time_ns = frame.time_ns
            said = frame.message
            if isinstance(said, messages.Emitted | messages.Turn | messages.PlayerReset):
                self.pages.outdate()
                try:
                    self._channel.send(self._go_on(said))
                except (ClosedError, EngineDiedError):
                    raise
                except BaseException as error:  # whatever it is, it ends the run and is raised from there
                    failure = error
                    self._channel.send(messages.Abandon())
                self.pages.outdate()
            elif isinstance(said, messages.Output):
                self._see_output(said, frame.blob)
            elif isinstance(said, Failed):
                return failure or raised_inside(said, f"engine {self.name}")
            elif isinstance(said, messages.Opened):
                return said, b""
            elif isinstance(said, messages.Done):
                return from_plain(REPLIES.get(type(message), type(None)), said.value), frame.blob
            elif not isinstance(said, messages.Progress):
                raise MalformedError("not an answer", found=type(said).__name__)

    def _next_frame(self) -> Frame:
        """SilentError when none comes; a board that was asked to stop has less time."""
        began = time.monotonic()
        while not self._channel.wait(min(_LOOK_S, self.patience_s)):
            now, asked = time.monotonic(), self._stop_asked_s
            if asked is not None and now - max(asked, began) > STOP_PATIENCE_S:
                raise SilentError(f"did not stop within {STOP_PATIENCE_S:g} s")
            if now - began > self.patience_s:
                raise SilentError(f"was silent for {self.patience_s:g} s")
        return self._channel.receive(self.patience_s)

    def _go_on(self, said: messages.Emitted | messages.Turn | messages.PlayerReset) -> Message:
        """Let every listener hear of an event, or a player have its turn; how the board goes on."""
        before, self._telling = self._telling, threading.get_ident()
        at_ns = None
        try:
            if isinstance(said, messages.Emitted):
                for listener in self.listeners:
                    listener(said.event)
            elif isinstance(said, messages.Turn):
                at_ns = self.players[said.core].turn(said.time_ns)
            else:
                self.players[said.core].reset()
        finally:
            self._telling = before
            ends_run, self._listener_stops = self._listener_stops, False
        if isinstance(said, messages.Turn):
            return messages.TurnTaken(at_ns, ends_run)
        return messages.Finish() if ends_run else messages.Continue()

    def _see_output(self, said: messages.Output, blob: bytes) -> None:
        received = self.received.get(said.uart)
        if received is None or said.start > len(received):
            raise MalformedError("output of no console", found=f"{said.uart} from byte {said.start}")
        received.go_on(said.start, said.left_out, blob)

    # --- its end

    def dies(self, what: str) -> EngineError:
        """The child is of no use any more: the error that says so, now and later."""
        if self.death is None:
            self.child.kill()
            where = f"engine {self.name} (process {self.child.pid})"
            self.death = EngineDiedError(what, where=where, time_ns=self.time_ns, log=self.child.log)
        return self.death

    def close(self) -> None:
        """The child leaves."""
        if self.death is None:
            with contextlib.suppress(ClosedError):
                self._channel.send(messages.Close())
            self.child.leave()
            self.death = EngineError("the engine was closed", where=f"engine {self.name}")
        self.listeners.clear()

"""Keywords for a core that Python plays: the host of a lone remote, the remote of a lone main."""

from __future__ import annotations

from robot.api.deco import keyword

from orchestrator.base.errors import HostError, UsageError
from orchestrator.formats.resource_entry import CommandCode
from orchestrator.host import Console, Endpoint
from orchestrator.robot.suite import Suite, duration_text

__all__ = ["HostKeywords"]


class HostKeywords(Suite):
    """Life cycle, endpoints, traces, virtio devices."""

    @keyword
    def start_remote(self, timeout: float | str = "1 s") -> None:
        """Boots the lone remote under the Python host and brings its vdevs up; fails with the reason it cannot."""
        self._board().host.start(duration_text(timeout))

    @keyword
    def stop_remote(self, timeout: float | str = "1 s") -> None:
        """Shuts the lone remote down and holds its core."""
        self._board().host.stop(duration_text(timeout))

    @keyword
    def restart_remote(self, timeout: float | str = "1 s") -> None:
        """Stops the lone remote, loads its image again, and starts it."""
        self._board().host.restart(duration_text(timeout))

    @keyword
    def crash_remote(self) -> None:
        """Takes the lone remote for dead at once, as a watchdog would."""
        self._board().host.crash()

    @keyword
    def recover_remote(self, timeout: float | str = "1 s") -> None:
        """Loads and starts a crashed remote again."""
        self._board().host.recover(duration_text(timeout))

    @keyword
    def send_rptun_command(self, command: str) -> None:
        """Gives the remote a RPTUN command: ``READY``, ``STOP``, ``RESET`` or ``PANIC``."""
        try:
            code = CommandCode[command.upper()]
        except KeyError:
            expected = " | ".join(each.name for each in CommandCode)
            raise UsageError("no such RPTUN command", expected=expected, found=command) from None
        self._board().host.command(code)

    @keyword
    def host_should_be(self, state: str) -> None:
        """Fails unless the host is ``offline``, ``starting``, ``running``, ``stopping``, ``crashed`` or ``failed``."""
        host = self._board().host
        if host.state.value != state.lower():
            why = f": {host.failure}" if host.failure is not None else ""
            raise AssertionError(f"the host is {host.state.value}, not {state.lower()}{why}")

    @keyword
    def host_should_not_leak(self) -> None:
        """Fails when buffers or rings are still allocated while the remote is stopped, or were given back wrongly."""
        leaks = self._board().host.leaks
        if leaks:
            raise AssertionError("\n".join(leaks))

    @keyword
    def send_message(self, endpoint: str, text: str) -> None:
        """Sends text as one message to an endpoint that the other core announced, or that main has bound to."""
        self._endpoint(endpoint).send(text.encode())

    @keyword
    def receive_message(self, endpoint: str, timeout: float | str = "100 ms") -> str:
        """Returns the next message of an endpoint as text; fails when none comes within this much virtual time."""
        try:
            return self._endpoint(endpoint).receive(duration_text(timeout)).decode(errors="backslashreplace")
        except HostError as error:
            raise AssertionError(str(error)) from None

    @keyword
    def message_should_come_back(self, endpoint: str, text: str, timeout: float | str = "100 ms") -> None:
        """Sends text to an endpoint and fails unless the next message from it is the same text."""
        self.send_message(endpoint, text)
        answer = self.receive_message(endpoint, timeout)
        if answer != text:
            raise AssertionError(f"{endpoint} answers {answer!r}, not {text!r}")

    @keyword
    def remote_trace_should_contain(self, text: str) -> None:
        """Fails unless the trace buffer of the lone remote has this text in it now."""
        trace = self._board().host.trace()
        if text not in trace:
            raise AssertionError(f"no {text!r} in the trace buffer:\n{trace}")

    @keyword
    def python_remote_should_be_up(self) -> None:
        """Fails unless a lone main image has brought every vdev of the Python remote up."""
        if not self._board().python_remote.is_up:
            raise AssertionError("main has not brought the vdevs of the Python remote up")

    @keyword
    def write_to_virtio_console(self, vdev: int, text: str) -> None:
        """Types text into the virtio console that Python gives the remote behind a vdev."""
        self._console(vdev).write(text.encode())
        self._board().host.wake()

    @keyword
    def virtio_console_should_contain(self, vdev: int, text: str) -> None:
        """Fails unless the remote has printed this text to the virtio console behind a vdev."""
        output = self._console(vdev).output.decode(errors="backslashreplace")
        if text not in output:
            raise AssertionError(f"no {text!r} on the virtio console of vdev[{vdev}]: {output!r}")

    def _endpoint(self, name: str) -> Endpoint:
        board = self._board()
        return board.host.endpoint(name) if "remote" in board.images else board.python_remote.endpoint(name)

    def _console(self, vdev: int) -> Console:
        device = self._board().host.device(vdev)
        if not isinstance(device, Console):
            raise AssertionError(f"vdev[{vdev}] is no console but virtio id {device.id}")
        return device

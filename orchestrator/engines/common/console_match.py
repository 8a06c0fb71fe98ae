"""Whether a text has come out of a console: the one reading of it, for every engine and for what a board looks at."""

from __future__ import annotations

import re

from orchestrator.base.console_output import ConsoleOutput
from orchestrator.base.errors import UsageError

__all__ = ["TextMatch"]

_LONGEST = 4096  # bytes that a match may reach back behind what was searched before


class TextMatch:
    """A text, or a regular expression in which ``^`` and ``$`` are the ends of lines, looked for in growing output.

    A match begins at byte ``since`` of the output or behind it, and may have come in as many pieces as it likes: a look
    goes back 4 KB behind the one before. UsageError for what is no regular expression of bytes.
    """

    def __init__(self, text: str, *, regex: bool, since: int = 0) -> None:
        try:
            self._pattern = re.compile(text.encode() if regex else re.escape(text.encode()), re.MULTILINE)
        except re.error as error:
            raise UsageError("not a regular expression", where="until", found=f"{text!r} ({error})") from error
        self._since = self._searched = since

    def is_in(self, output: bytes | ConsoleOutput) -> bool:
        """Look at everything that has come out since power-on."""
        size = len(output)
        if size == self._searched:
            return False
        begin, self._searched = max(self._since, self._searched - _LONGEST), size
        if isinstance(output, ConsoleOutput):
            return output.finds(self._pattern, begin)
        # With a position and not a slice: a line begins where it began, also before ``since``.
        return self._pattern.search(output, begin) is not None

"""Tokens of a Renode platform description, indentation made explicit.

In: text. Out: tokens in which a deeper indent is ``{``, a shallower one ``}``, and the end of a line at the same
depth ``;``, so that the grammar sees one form. Inside braces that the author wrote, line ends mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import PlatformError
from orchestrator.base.numbers import LONGEST

__all__ = ["Lexeme", "SourceText", "lex"]

DEEPEST = 64  # braces, brackets and indents inside each other: no description of a chip has ten
INDENT = 4  # spaces a level; Renode accepts nothing else
KEYWORDS = {
    word.lower(): word.upper()
    for word in ("using", "new", "as", "preinit", "init", "reset", "local", "true", "false", "none", "empty")
}
TITLE_CASE = {"True": "TRUE", "False": "FALSE"}
SCRIPTED = ("PREINIT", "INIT", "RESET")
PUNCTUATION = {
    "->": "ARROW",
    "{": "LBRACE",
    "}": "RBRACE",
    "[": "LSQB",
    "]": "RSQB",
    "<": "LESS",
    ">": "MORE",
    ";": "SEMICOLON",
    ":": "COLON",
    "@": "AT",
    "|": "PIPE",
    ",": "COMMA",
    "+": "PLUS",
    "-": "MINUS",
    "#": "HASH",
}
LEXEME = re.compile(
    r"""(?P<SPACE>[ \t\r]+)
    |(?P<NEWLINE>\n)
    |(?P<COMMENT>(?:(?<![^\n])|(?<=[ ]))//[^\n]*)
    |(?P<BLOCK>/\*.*?\*/)
    |(?P<DOTTED>[^\W\d_]\w*(?:\.[^\W\d_]\w*)+)
    |(?P<SHORT>\.[^\W\d_]\w*)
    |(?P<NAME>[^\W\d_]\w*)
    |(?P<HEX>0x[0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*)
    |(?P<FLOAT>\d+(?:_\d+)*\.\d+)
    |(?P<INT>\d+(?:_\d+)*)
    |(?P<TEXT>'''(?:[^'\\]|'(?!'')|\\''')*''')
    |(?P<STRING>"(?:[^"\\\n]|\\["\\])*")
    |(?P<PUNCT>->|[{}\[\]<>;:@|,+\-\#])""",
    re.VERBOSE | re.DOTALL,
)
STATEMENT_PART = re.compile(
    r"""(?P<COMMENT>(?:(?<![^\n])|(?<=[ ]))//[^\n]*)
    |(?P<BLOCK>/\*.*?\*/)
    |(?P<STRING>"(?:[^"\\\n]|\\.)*")
    |(?P<END>[;{}\n])
    |(?P<PART>[^";{}\n/]+|/|")""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SourceText:
    """A description and the name by which messages call it."""

    text: str
    file: str


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token: grammar terminal, text, and where it begins (1-based)."""

    type: str
    text: str
    line: int
    column: int


class _Lexer:
    def __init__(self, source: SourceText) -> None:
        self.file = source.file
        self.text = source.text.removeprefix("\ufeff").replace("\r\n", "\n")
        self.at = 0
        self.line = 1
        self.line_start = 0  # offset of the current line
        self.level: int | None = None  # indent of the last line outside braces; None before the first
        self.depth = 0  # braces written by the author
        self.brackets = 0
        self.awaits_statements = False  # between ``init`` and the block of its statements

    def error(self, what: str, offset: int | None = None, *, advice: str | None = None) -> PlatformError:
        at = self.at if offset is None else offset
        return PlatformError(what, file=self.file, line=self.line, column=at - self.line_start + 1, advice=advice)

    def lexeme(self, type_: str, text: str) -> Lexeme:
        return Lexeme(type_, text, self.line, self.at - self.line_start + 1)

    def advance(self, text: str) -> None:
        self.at += len(text)
        newlines = text.count("\n")
        if newlines:
            self.line += newlines
            self.line_start = self.at - (len(text) - text.rindex("\n") - 1)

    def lexemes(self) -> Iterator[Lexeme]:
        fresh = True  # nothing but blanks seen on this line
        header: list[str] = []  # types since ``init``, to find its colon
        while self.at < len(self.text):
            match = LEXEME.match(self.text, self.at)
            if match is None:
                raise self.unreadable()
            kind, text = str(match.lastgroup), match.group()
            if kind in ("SPACE", "NEWLINE", "COMMENT", "BLOCK"):
                if kind == "BLOCK":
                    self.check_block(text, fresh)
                self.advance(text)
                fresh = kind == "NEWLINE" or (fresh and kind == "SPACE")
                continue
            if fresh and self.depth == 0:
                structure = list(self.structure())
                if self.awaits_statements and (not structure or structure[-1].type != "LBRACE"):
                    raise self.error("no statements", advice="indent them under init:, or write init: { ... }")
                yield from structure
                if self.awaits_statements:
                    self.awaits_statements = False
                    yield from self.indented_statements()
                    fresh = True
                    continue
            fresh = False
            lexeme = self.lexeme(*self.classify(kind, text))
            self.advance(text)
            header = self.follow(header, lexeme)
            yield lexeme
            if lexeme.type == "LBRACE" and self.awaits_statements:
                self.awaits_statements = False
                yield from self.braced_statements()
        if self.awaits_statements:
            raise self.error("no statements", advice="indent them under init:, or write init: { ... }")
        if self.depth == 0:
            for _ in range(self.level or 0):
                yield self.lexeme("RBRACE", "")

    def classify(self, kind: str, text: str) -> tuple[str, str]:
        if kind == "PUNCT":
            self.depth += (text == "{") - (text == "}")
            if self.depth < 0:
                raise self.error("'}' without '{'")
            self.brackets += (text == "[") - (text == "]")
            self.check_depth()
            return PUNCTUATION[text], text
        if kind == "NAME":
            return KEYWORDS.get(text) or TITLE_CASE.get(text) or "NAME", text
        if kind == "TEXT":
            return "STRING", text[3:-3].replace("\\'''", "'''")
        if kind == "STRING":
            return "STRING", re.sub(r'\\(["\\])', r"\1", text[1:-1])
        if kind in ("HEX", "INT", "FLOAT") and len(text) > LONGEST:
            raise self.error(f"a number of more than {LONGEST} characters")
        return kind, text

    def check_depth(self) -> None:
        """What is nested is walked by functions that call themselves."""
        if self.depth + max(self.brackets, 0) + (self.level or 0) > DEEPEST:
            raise self.error(f"nested deeper than {DEEPEST} levels")

    def follow(self, header: list[str], lexeme: Lexeme) -> list[str]:
        """Watch for ``init:`` and ``init add:``, after which text is for Renode's monitor, not for this grammar."""
        if lexeme.type in SCRIPTED:
            return [lexeme.type]
        if not header or len(header) > 2:
            return []
        if lexeme.type == "COLON":
            self.awaits_statements = True
            return []
        return [*header, lexeme.type] if lexeme.type == "NAME" else []

    def structure(self) -> Iterator[Lexeme]:
        """What the indent of this line means after the one before."""
        indent = self.at - self.line_start
        if self.text[self.line_start : self.at] != " " * indent:
            raise self.error("a tab in the indent", self.line_start, advice=f"indent by {INDENT} spaces a level")
        level, rest = divmod(indent, INDENT)
        if rest:
            raise self.error(f"an indent of {indent} spaces", advice=f"indent by {INDENT} spaces a level")
        if self.level is None:
            if level:
                raise self.error("the first line is indented")
        elif level > self.level + 1:
            raise self.error(f"an indent of {level - self.level} levels at once", advice="indent by one level")
        elif level > self.level:
            yield self.lexeme("LBRACE", "")
        else:
            for _ in range(self.level - level):
                yield self.lexeme("RBRACE", "")
            yield self.lexeme("SEMICOLON", "")
        self.level = level
        self.check_depth()

    def check_block(self, text: str, fresh: bool) -> None:
        """Outside braces a comment that begins a line or spans lines must end its line, or the indent is ambiguous."""
        if self.depth or not (fresh or "\n" in text):
            return
        end = self.at + len(text)
        rest = self.text[end : self.text.find("\n", end) if "\n" in self.text[end:] else len(self.text)]
        if rest.strip(" \t\r"):
            raise self.error("text after a comment that begins a line or spans lines", advice="begin a new line")

    def unreadable(self) -> PlatformError:
        rest = self.text[self.at : self.at + 3]
        if rest == "'''":
            return self.unreadable_text()
        if rest.startswith('"'):
            line = self.text[self.at :].split("\n", 1)[0]
            escape = re.match(r'"(?:[^"\\]|\\["\\])*\\', line)
            if escape:
                return self.error(
                    "a backslash in a string", self.at + escape.end() - 1, advice='only \\" and \\\\ exist'
                )
            return self.error("a string that never ends")
        if rest.startswith("//"):
            return self.error("'//' after something other than a space", advice="put a space before a comment")
        if rest.startswith("/*"):
            return self.error("a comment that never ends")
        return self.error(f"unexpected character {rest[:1]!r}")

    def unreadable_text(self) -> PlatformError:
        opening = (self.line, self.at - self.line_start + 1)
        part = re.compile(r"'''(?:[^'\\]|'(?!'')|\\''')*").match(self.text, self.at)
        end = part.end() if part else self.at
        if end < len(self.text) and self.text[end] == "\\":
            self.advance(self.text[self.at : end])
            return self.error("a backslash in a ''' string", advice="it may only stand before '''")
        return PlatformError("a ''' string that never ends", file=self.file, line=opening[0], column=opening[1])

    def indented_statements(self) -> Iterator[Lexeme]:
        """One statement a line (or several between ``;``) until a line of a shallower indent."""
        level = self.level or 0
        while True:
            yield from self.statements_until("\n")
            blank = re.compile(r"(?:[ \t\r]*(?://[^\n]*)?\n)*[ ]*").match(self.text, self.at)
            skipped = blank.group() if blank else ""
            indent = len(skipped) - skipped.rfind("\n") - 1
            if self.at + len(skipped) >= len(self.text) or indent < level * INDENT:
                break
            self.advance(skipped)
            if indent > level * INDENT:
                raise self.error("a statement indented deeper than the first one")
            yield self.lexeme("SEMICOLON", "")

    def braced_statements(self) -> Iterator[Lexeme]:
        yield from self.statements_until("}")
        if self.at >= len(self.text):
            raise self.error("statements without a closing '}'")

    def statements_until(self, end: str) -> Iterator[Lexeme]:
        """Statements up to ``end``, which is left for the caller."""
        parts: list[str] = []
        begin = self.lexeme("STATEMENT", "")
        while self.at < len(self.text):
            match = STATEMENT_PART.match(self.text, self.at)
            if match is None:  # an opening /* without its end
                raise self.unreadable()
            kind, text = match.lastgroup, match.group()
            if text == end:
                break
            if kind == "END" and text in "{}":
                raise self.error(f"{text!r} in a statement", advice="put it between quotes")
            if not "".join(parts).strip():
                begin = self.lexeme("STATEMENT", "")
            self.advance(text)
            if text == ";":
                yield Lexeme("STATEMENT", "".join(parts).strip(), begin.line, begin.column)
                yield self.lexeme("SEMICOLON", ";")
                parts = []
            else:
                parts.append(" " if kind in ("COMMENT", "BLOCK", "END") else text)
        yield Lexeme("STATEMENT", "".join(parts).strip(), begin.line, begin.column)


def lex(source: SourceText) -> Iterator[Lexeme]:
    """The tokens of a description; :class:`PlatformError` at the character that cannot be read."""
    return _Lexer(source).lexemes()

"""What a shell offers as values: platforms, engines, rules, consoles and files; asked for while somebody types.

Everything is imported when it is asked for, and what goes wrong offers nothing: a shell shows no errors.
"""
# ruff: noqa: PLC0415  # see above

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import click
from click.shell_completion import CompletionItem, get_completion_class

from orchestrator.base.errors import RptwinError
from orchestrator.config import ANNOTATIONS, DEFAULT_PLATFORM, PROFILES, Setting

__all__ = [
    "SHELLS",
    "completer_of",
    "completion_script",
    "offer_files",
    "offer_platforms",
    "offer_rules",
    "offer_uarts",
]

SHELLS = ("bash", "zsh", "fish")
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_UNTIL = ("up",)


def completion_script(shell: str) -> str:
    """What a shell has to read for it to complete rptwin's words."""
    found = get_completion_class(shell)
    assert found is not None, "the caller has checked its name"
    source: str = found(click.Group(), {}, "rptwin", "_RPTWIN_COMPLETE").source()
    return source


def _offer(words: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Those words that begin with what was typed."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del parameter
        with suppress(RptwinError, OSError):
            return [CompletionItem(word) for word in words(context) if word.startswith(incomplete)]
        return []

    return complete


def offer_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell knows of files."""
    del context, parameter
    return [CompletionItem(incomplete, type="file")]


def _names_of_platforms() -> list[str]:
    from orchestrator.platform import available_platforms

    return list(available_platforms())


def offer_platforms(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those that come with rptwin; where none begins so, files."""
    named = _offer(lambda _: _names_of_platforms())(context, parameter, incomplete)
    return named or offer_files(context, parameter, incomplete)


def _engines(_: click.Context) -> Iterable[str]:
    from orchestrator.engines.registry import ENGINES

    return ENGINES


def _rules(_: click.Context) -> Iterable[str]:
    from orchestrator.checks.catalogue import catalogue

    return (rule.id for rule in catalogue())


def _consoles(context: click.Context) -> Iterator[str]:
    """Of the platform that was typed before, else of the default one."""
    from orchestrator.platform import load_platform

    platform = load_platform(context.params.get("platform") or DEFAULT_PLATFORM)
    yield from platform.roles
    yield from (each.name for each in platform.peripherals if each.type.startswith("UART."))


offer_rules = _offer(_rules)
offer_uarts = _offer(lambda context: (f"{name}={how}" for name in _consoles(context) for how in ("pty", "tcp:")))

_BY_KEY: dict[str, Completer] = {
    "platform": offer_platforms,
    "engine": _offer(_engines),
    "profile": _offer(lambda _: PROFILES),
    "annotations": _offer(lambda _: ANNOTATIONS),
    "coherence": _offer(lambda _: ("report", "real")),
    "until": _offer(lambda context: (*_UNTIL, *(f"{name}:" for name in _consoles(context)))),
}


def completer_of(setting: Setting) -> Completer | None:
    """What offers values of a setting."""
    return _BY_KEY.get(setting.key) or (offer_files if setting.is_path else None)

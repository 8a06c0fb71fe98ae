"""Options that commands share, made from the declarations in :mod:`orchestrator.config`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click

from orchestrator.base.durations import format_duration
from orchestrator.base.errors import UsageError
from orchestrator.base.files import same_file
from orchestrator.base.image_names import image_file
from orchestrator.cli.completion import completer_of, offer_files
from orchestrator.cli.trust import require_trust
from orchestrator.config import SETTINGS, TRACES, Settings, find_config, load_config, settings_from

__all__ = [
    "BOARD_OPTIONS",
    "DEMO_OPTIONS",
    "STATIC_OPTIONS",
    "both_images",
    "config_option",
    "image_arguments",
    "lone_image_options",
    "read_board_settings",
    "read_reading_settings",
    "read_settings",
    "refuse_overwriting",
    "refuse_overwriting_of",
    "setting_options",
    "some_image",
    "trust_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_SETTINGS = {setting.key: setting for setting in SETTINGS}
_DEFAULTS = Settings()
OUTPUTS = ("json", "junit", "sarif", "html", *TRACES)  # settings that name a file to write
STANDARD_OUTPUT = "-"
BOARD_OPTIONS = tuple(setting.key for setting in SETTINGS if setting.key not in ("main", "remote", "firmware"))
STATIC_OPTIONS = (
    "platform",
    "profile",
    "table",
    "vrings",
    "memory",
    "vtor",
    "map",
    "nuttx-config",
    "json",
)  # what needs no running board
# What does not depend on the images.
DEMO_OPTIONS = (
    "engine",
    "quantum",
    "timeout",
    "wall-time",
    "until",
    "quiet-for",
    "console-size",
    "json",
    "junit",
    "sarif",
    "html",
    *TRACES,
    "sample-every",
    "annotations",
    "seed",
    "schedule",
    "coherence",
    "order",
    "fault",
    "fault-seed",
    "svd",
)


def setting_options(*keys: str) -> Callable[[Command], Command]:
    """A decorator: these settings as options, in this order."""

    def decorate(command: Command) -> Command:
        vars(command).setdefault("__click_params__", []).extend(map(_option, reversed(keys)))  # as click.option does
        return command

    return decorate


@cache
def _option(key: str) -> click.Option:
    """One for all commands: making them anew for each takes longer than all else that a command line is made of."""
    setting, text = _SETTINGS[key], _SETTINGS[key].help
    if setting.is_flag:
        return click.Option([f"--{key}", setting.attribute], is_flag=True, default=None, help=text)
    default = getattr(_DEFAULTS, setting.attribute)
    if default not in (None, (), {}):
        text += f"  [default: {format_duration(default) if setting.metavar == 'DURATION' else default}]"
    return click.Option(
        [f"--{key}", setting.attribute],
        metavar=setting.metavar,
        multiple=setting.repeated,
        help=text,
        shell_complete=completer_of(setting),
    )


def config_option(command: Command) -> Command:
    """A decorator: ``--config``."""
    return click.option(
        "--config",
        "config_path",
        metavar="FILE",
        shell_complete=offer_files,
        help="Settings file. Default: rptwin.toml of the current folder, if there is one.",
    )(command)


def image_arguments(command: Command) -> Command:
    """A decorator: ``MAIN.elf REMOTE.elf``, which rptwin.toml may give instead."""
    command = click.argument("remote", metavar="[REMOTE.elf]", required=False, shell_complete=offer_files)(command)
    return click.argument("main", metavar="[MAIN.elf]", required=False, shell_complete=offer_files)(command)


def trust_option(command: Command) -> Command:
    """A decorator: ``--trust``, for commands that boot a board."""
    return click.option(
        "--trust",
        is_flag=True,
        help="Let scripts and models of a platform run, or a Renode, that only rptwin.toml of this folder names. "
        "Remembered for these files of this folder.",
    )(command)


def read_reading_settings(config_path: str | None, typed: Mapping[str, object]) -> tuple[Settings, str | None]:
    """:func:`read_settings` for what boots no board, and the platform, where anybody has named one."""
    path = find_config(config_path)
    in_file = load_config(path) if path else {}
    settings = read_settings(config_path, typed)
    return settings, settings.platform if typed.get("platform") or "platform" in in_file else None


def refuse_overwriting_of(settings: Settings, *inputs: str | Path) -> None:
    """:class:`UsageError` for a report that would be written over an input."""
    outputs = {key: file for key in OUTPUTS if (file := getattr(settings, key)) is not None}
    refuse_overwriting(outputs, settings, *inputs)


def read_settings(config_path: str | None, typed: Mapping[str, object]) -> Settings:
    """Settings file and command line together; :class:`UsageError` for what makes no sense, or is not trusted."""
    path = find_config(config_path)
    settings = settings_from(typed, load_config(path) if path else {})
    if "trust" in typed:
        unasked = path if config_path is None else None
        require_trust(unasked, typed, settings, trusted=bool(typed["trust"]))
    refuse_overwriting_of(settings, *([path] if path else []))
    return settings


def refuse_overwriting(outputs: Mapping[str, str], settings: Settings, *others: str | Path) -> None:
    """:class:`UsageError` for an output that is an input, or two that are one; devices may be written to twice."""
    platform = Path(settings.platform)
    inputs = [settings.main, settings.remote, settings.svd, *settings.firmware.values(), *others]
    if platform.suffix == ".repl":
        inputs += [platform, platform.with_suffix(".toml")]
    taken: list[str | Path] = [each for each in inputs if each is not None]
    taken += [image_file(each) for each in inputs if each is not None]
    for key, file in outputs.items():
        if file == STANDARD_OUTPUT:
            if STANDARD_OUTPUT in taken:
                raise UsageError("the standard output takes one report", where=f"{_option_name(key)} {file}")
            taken.append(file)
            continue
        with contextlib.suppress(OSError, ValueError):
            if Path(file).exists() and not Path(file).is_file():
                continue
        same = same_file(file, taken)
        if same is not None:
            raise UsageError(
                "would be written over a file that is in use already", where=f"{_option_name(key)} {file}", found=same
            )
        taken.append(file)


def _option_name(key: str) -> str:
    return key if key.startswith("-") else f"--{key}"


def lone_image_options(command: Command) -> Command:
    """A decorator: ``--main ELF`` or ``--remote ELF``, for an image that is given without the other."""
    for role, other in (("remote", "main"), ("main", "remote")):
        text = f"Firmware of the {role} core alone: Python plays the {other} core."
        option = click.option(f"--{role}", f"lone_{role}", metavar="ELF", help=text, shell_complete=offer_files)
        command = option(command)
    return command


def read_board_settings(config_path: str | None, typed: Mapping[str, object]) -> Settings:
    """:func:`read_settings` with ``--main`` and ``--remote``; MAIN.elf alone without either is refused as a slip."""
    values = dict(typed)
    lone = {role: values.pop(f"lone_{role}", None) for role in ("main", "remote")}
    for role, path in lone.items():
        if path is not None and values.get(role) is not None:
            raise UsageError("an image given twice", where=f"--{role}", found=f"{path} and {values[role]}")
        values[role] = values.get(role) or path
    settings = read_settings(config_path, values)
    if typed.get("main") is not None:
        both_images(settings)
    return settings


def some_image(settings: Settings) -> None:
    """:class:`UsageError` unless there is firmware for at least one core."""
    if settings.main is None and settings.remote is None:
        both_images(settings)


def both_images(settings: Settings) -> tuple[str, str]:
    """The two files that a board needs; :class:`UsageError` says which is missing and how to give it."""
    if settings.main is not None and settings.remote is not None:
        return settings.main, settings.remote
    if settings.main is not None:
        missing = "no firmware for the remote core"
    else:
        missing = "no firmware for the main core" if settings.remote is not None else "no firmware given"
    raise UsageError(
        missing,
        expected="MAIN.elf REMOTE.elf, or main and remote in rptwin.toml",
        found=settings.main or settings.remote or "neither",
        advice="`rptwin demo` runs the pair that comes with rptwin; --main or --remote names an image that is alone",
    )

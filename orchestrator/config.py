"""What a run is told: settings, pairs and ``rptwin.toml``. In: text and TOML. Out: frozen :class:`Settings`.

Every setting is declared once, in :data:`SETTINGS`; the command line and the file read the same declaration, so that
they accept the same words and complain alike. The command line wins over the file, the file over the defaults.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.base.console_output import DEFAULT_CONSOLE_SIZE
from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS, DURATION_WORDS, parse_duration
from orchestrator.base.errors import UsageError
from orchestrator.base.files import parse_toml, read_text
from orchestrator.base.numbers import parse_number

__all__ = [
    "CONFIG_NAME",
    "DEFAULT_PLATFORM",
    "DEFAULT_TIMEOUT_NS",
    "DEFAULT_WALL_TIME_NS",
    "OF_ONE_RUN",
    "PROFILES",
    "RENODE_KEYS",
    "REPORTS",
    "SETTINGS",
    "TRACES",
    "MachineTable",
    "Setting",
    "Settings",
    "find_config",
    "load_config",
    "load_toml",
    "machine_table",
    "parse_pair",
    "read_setting",
    "settings_from",
]

CONFIG_NAME = "rptwin.toml"
RENODE_KEYS = ("package", "binary", "build-dir", "build-output")
MACHINE_TABLES = ("renode",)  # what they say is of the machine that runs rptwin, and not of a run
DEFAULT_PLATFORM = "stm32h745"
DEFAULT_TIMEOUT_NS = 5_000_000_000
DEFAULT_WALL_TIME_NS = 600_000_000_000  # of wall time: a hundred times what the slowest engine needs for a bring-up
DEFAULT_SAMPLE_NS = 97_000  # no round number: what firmware does every millisecond would always be met, or never
ANNOTATIONS = ("github",)
TRACES = ("perfetto", "vcd", "pcapng", "folded", "lcov")  # settings that name a file for what went on
OF_ONE_RUN = ("html", *TRACES)  # settings that name a file, and that many runs cannot share
REPORTS = ("json", "junit", "sarif", "annotations")  # settings that say what to write
PROFILES = ("auto", "linux", "openamp", "nuttx", "common")

_ADDRESS_SPACE = 1 << 32
_BYTES = re.compile(r"(\d{1,12})([kKM]?)", re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}
_LEAST_SIZE, _MOST_SIZE = 256, 1 << 30  # bytes of a console
_SEEDS = 1 << 64
_LONGEST_QUANTUM_NS = 10_000_000  # the other core stands still for so long: with more, cores miss each other's signals


def parse_pair(text: str, where: str, words: str) -> tuple[str, int]:
    """``NAME=NUMBER``, the number decimal or 0x-hexadecimal; ``words`` says in the message what is expected."""
    name, equals, number = text.rpartition("=")
    try:
        value = parse_number(number)
    except ValueError:
        value = -1
    if not equals or not name.strip() or not 0 <= value < _ADDRESS_SPACE:
        raise UsageError("not a pair", where=where, expected=words, found=repr(text))
    return name.strip(), value


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a run can be told; paths as they were given."""

    platform: str = DEFAULT_PLATFORM
    main: str | None = None
    remote: str | None = None
    firmware: Mapping[str, str] = field(default_factory=dict)  # of further cores, by name
    engine: str = "unicorn"
    profile: str = "auto"
    table: str | None = None
    vrings: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    vtor: Mapping[str, int] = field(default_factory=dict)
    map: tuple[str, ...] = ()
    nuttx_config: str | None = None
    notify: Mapping[str, int] = field(default_factory=dict)
    quantum: int = DEFAULT_QUANTUM_NS  # ns
    timeout: int = DEFAULT_TIMEOUT_NS  # ns
    wall_time: int = DEFAULT_WALL_TIME_NS  # ns
    quiet_for: int | None = None  # ns; None: 50 ms, and longer where buffers were offered and none was used
    console_size: int = DEFAULT_CONSOLE_SIZE  # bytes
    until: str | None = None
    json: str | None = None
    junit: str | None = None
    sarif: str | None = None
    html: str | None = None
    perfetto: str | None = None
    vcd: str | None = None
    pcapng: str | None = None
    folded: str | None = None
    sample_every: int = DEFAULT_SAMPLE_NS  # ns
    lcov: str | None = None
    annotations: str | None = None
    seed: int = 0
    schedule: str | None = None
    coherence: str | None = None
    order: bool = False
    fault: tuple[str, ...] = ()
    fault_seed: int = 0
    svd: str | None = None


Parse = Callable[[object, str], object]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its key in the file (``--key`` on the command line), how it reads, and what it means."""

    key: str
    metavar: str
    parse: Parse  # (value as typed or as TOML gave it, where it stands) -> value for Settings
    help: str
    repeated: bool = False
    is_path: bool = False
    is_flag: bool = False

    @property
    def attribute(self) -> str:
        """Its name in :class:`Settings`."""
        return self.key.replace("-", "_")


def _refuse(where: str, expected: str, found: object) -> NoReturn:
    raise UsageError("bad value", where=where, expected=expected, found=repr(found))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        _refuse(where, "text", value)
    return value


def _one_of(*words: str) -> Parse:
    def parse(value: object, where: str) -> str:
        if value not in words or not isinstance(value, str):
            _refuse(where, " | ".join(words), value)
        return value

    return parse


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        _refuse(where, "true | false", value)
    return value


def _positive_duration(value: object, where: str) -> int:
    if not isinstance(value, str):
        raise UsageError("not a duration", where=where, expected=DURATION_WORDS, found=repr(value))
    time_ns = parse_duration(value, where)
    if time_ns == 0:
        _refuse(where, "more than zero", value)
    return time_ns


def _quantum(value: object, where: str) -> int:
    time_ns = _positive_duration(value, where)
    if time_ns > _LONGEST_QUANTUM_NS:
        _refuse(where, "at most 10 ms, as the other core waits for so long", value)
    return time_ns


def _seed(value: object, where: str) -> int:
    try:
        number = parse_number(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _SEEDS:
        _refuse(where, "a whole number, 0 or more", value)
    return number


def _size(value: object, where: str) -> int:
    found = _BYTES.fullmatch(value) if isinstance(value, str) else None
    number = value if found is None else int(found[1]) * _UNITS[found[2].lower()]
    if isinstance(number, bool) or not isinstance(number, int) or not _LEAST_SIZE <= number <= _MOST_SIZE:
        _refuse(where, f"bytes, {_LEAST_SIZE} to {_MOST_SIZE >> 20}M", value)
    return number


def _texts(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (_text(value, where),)
    if not isinstance(value, list | tuple):
        _refuse(where, "text or a list of texts", value)
    return tuple(_text(each, where) for each in value)


def _pairs(words: str) -> Parse:
    def parse(value: object, where: str) -> dict[str, int]:
        if isinstance(value, Mapping):
            for name, number in value.items():
                if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _ADDRESS_SPACE:
                    _refuse(f"{where}.{name}", "a number of 32 bits", number)
            return dict(value)
        return dict(parse_pair(text, where, words) for text in _texts(value, where))

    return parse


def _files(words: str) -> Parse:
    def parse(value: object, where: str) -> dict[str, str]:
        if isinstance(value, Mapping):
            return {name: _text(file, f"{where}.{name}") for name, file in value.items()}
        files = {}
        for text in _texts(value, where):
            name, equals, file = text.partition("=")
            if not equals or not name.strip() or not file:
                _refuse(where, words, text)
            files[name.strip()] = file
        return files

    return parse


SETTINGS: tuple[Setting, ...] = (
    Setting("platform", "NAME|FILE.repl", _text, "Chip to boot: a name from `rptwin platforms`, or a .repl file."),
    Setting(
        "main",
        "ELF",
        _text,
        "Firmware of the main core (RPTUN master): an ELF file, Intel HEX (.hex), or FILE.bin@ADDRESS.",
        is_path=True,
    ),
    Setting("remote", "ELF", _text, "Firmware of the remote core.", is_path=True),
    Setting(
        "firmware",
        "CORE=ELF",
        _files("CORE=ELF, as cpu2=remote2.elf"),
        "Firmware of a further core of a chip with more than two, by name: the pairs that it is of run and are judged "
        "too. Repeatable.",
        repeated=True,
        is_path=True,
    ),
    Setting("engine", "NAME", _text, "What executes the cores."),
    Setting("profile", "|".join(PROFILES), _one_of(*PROFILES), "Whose rules the resource table has to follow."),
    Setting(
        "table",
        "LOCATOR",
        _text,
        "Where the resource table is: [main:|remote:] and then `section`, SYMBOL[+OFFSET] or 0xADDRESS.",
    ),
    Setting(
        "vrings",
        "ADDRESS:NUM:ALIGN",
        _texts,
        "A vring of a pair without a table, by its address for the remote; twice for an RPMsg device: first the one "
        "that carries to main, then the one from it. Default: found from what the cores do. Repeatable.",
        repeated=True,
    ),
    Setting(
        "memory",
        "ADDRESS:SIZE",
        _texts,
        "Memory that the board has beside the chip's, such as an SDRAM: 0xd0000000:8M. Both cores reach it. "
        "Repeatable.",
        repeated=True,
    ),
    Setting(
        "vtor",
        "CORE=ADDRESS",
        _pairs("CORE=ADDRESS, as main=0x24000000"),
        "Vector table of a core, by role or name. Default: the platform's boot address if the image has a segment "
        "there, else the image's own vector table. Repeatable.",
        repeated=True,
    ),
    Setting(
        "map",
        "PA:DA:SIZE",
        _texts,
        "Address translation: what main calls PA the remote calls DA. Default: the platform's. Repeatable.",
        repeated=True,
    ),
    Setting("nuttx-config", "RELEASE", _text, "NuttX release whose RPMsg config block the table has, as 12.13."),
    Setting(
        "notify",
        "QUEUE|MAILBOX=CHANNEL",
        _pairs("QUEUE=CHANNEL, as vdev[0].vring[1]=0, or MAILBOX=CHANNEL"),
        "Mailbox channel that serves a queue; by a mailbox's name, the channel of it that a lone image listens to. "
        "Default: learned where it is unambiguous. Repeatable.",
        repeated=True,
    ),
    Setting(
        "quantum",
        "DURATION",
        _quantum,
        "Virtual time that a core runs before the other one goes on, at most 10 ms.",
    ),
    Setting("timeout", "DURATION", _positive_duration, "Virtual time after which the run ends in any case."),
    Setting(
        "wall-time",
        "DURATION",
        _positive_duration,
        "Time of this computer after which the run ends in any case, with its report and exit code 2.",
    ),
    Setting(
        "until",
        "CONDITION",
        _text,
        "End the run when this is met: `up`, CONSOLE:TEXT, CONSOLE~REGEX or CORE@0xADDRESS[&MASK]=VALUE. "
        "Default: up, and shared memory quiet for 50 ms.",
    ),
    Setting(
        "quiet-for",
        "DURATION",
        _positive_duration,
        "Virtual time that shared memory has to be quiet for once RPTUN is up. Default: 50 ms, and 1.5 s where buffers "
        "were offered and none was used.",
    ),
    Setting(
        "console-size",
        "BYTES",
        _size,
        "Bytes that are kept of what each console says: of more, the beginning and the end (64k, 4M).",
    ),
    Setting(
        "json", "FILE", _text, "Write the verdict as JSON; `-` is the standard output, here and below.", is_path=True
    ),
    Setting("junit", "FILE", _text, "Write the verdict as JUnit XML.", is_path=True),
    Setting("sarif", "FILE", _text, "Write the findings as SARIF 2.1.0, for code scanning.", is_path=True),
    Setting(
        "html",
        "FILE",
        _text,
        "Write the report as one page for a browser: timeline, rings at any moment, consoles, findings.",
        is_path=True,
    ),
    Setting("perfetto", "FILE", _text, "Write what went on as a trace for Perfetto's UI.", is_path=True),
    Setting("vcd", "FILE", _text, "Write mailbox lines, states and exceptions as waveforms (VCD).", is_path=True),
    Setting(
        "pcapng",
        "FILE",
        _text,
        "Write the RPMsg messages as a capture for Wireshark; `rptwin dissector` names what reads it.",
        is_path=True,
    ),
    Setting(
        "folded",
        "FILE",
        _text,
        "Write where the cores spend their time as folded stacks, for flame graphs. Needs the Unicorn engine.",
        is_path=True,
    ),
    Setting("sample-every", "DURATION", _positive_duration, "Virtual time between two samples for --folded."),
    Setting(
        "lcov",
        "FILE",
        _text,
        "Write how often each line of source was executed, for genhtml. Needs the Unicorn engine.",
        is_path=True,
    ),
    Setting(
        "annotations",
        "|".join(ANNOTATIONS),
        _one_of(*ANNOTATIONS),
        "Print the causes as annotations of their lines as well: workflow commands of GitHub.",
    ),
    Setting("seed", "NUMBER", _seed, "Start skew of the cores and seed of the random numbers; 0: none."),
    Setting(
        "schedule",
        "FILE",
        _text,
        "In which order the cores get to run, as `rptwin explore --save` writes it.",
        is_path=True,
    ),
    Setting(
        "coherence",
        "report|real",
        _one_of("report", "real"),
        "Model the data caches of the cores that have one: `report` what is stale, lost or overwritten without them "
        "showing, or let the cores see what the chip's would (`real`). Default: memory is coherent.",
    ),
    Setting(
        "order",
        "true|false",
        _flag,
        "Judge in which order each core makes its accesses to a ring, and the barriers (DMB, DSB) between them.",
        is_flag=True,
    ),
    Setting(
        "fault",
        "FAULT",
        _texts,
        "Inject a fault: lost:CORE:NUMBER, late:CORE:NUMBER:DURATION, doubled:CORE:NUMBER:DURATION of a notification "
        "to a core, counted from 1; reset:CORE:TIME, hold:CORE:TIME:DURATION, slow:CORE:FACTOR, flip:ADDRESS.BIT:TIME. "
        "What is left out at the end is drawn, of `any` all.",
        repeated=True,
    ),
    Setting("fault-seed", "NUMBER", _seed, "Draws what a fault leaves open: the same number, the same fault."),
    Setting(
        "svd",
        "FILE",
        _text,
        "CMSIS-SVD of the chip: names registers and their fields wherever a message has the address of one.",
        is_path=True,
    ),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}


def find_config(given: str | None) -> Path | None:
    """The file to read: the one given, else ``rptwin.toml`` of the current folder, else None; /dev/null is none."""
    if given is not None:
        return None if given == os.devnull else Path(given)
    return Path(CONFIG_NAME) if Path(CONFIG_NAME).exists() else None


def load_config(path: Path) -> dict[str, object]:
    """Values of a settings file by attribute name; its relative paths are taken from the file's own folder.

    Raises :class:`UsageError` with the file's name, and what is accepted for an unknown key.
    """
    values: dict[str, object] = {}
    for key, value in load_toml(path).items():
        if key in MACHINE_TABLES and path.absolute() == Path(CONFIG_NAME).absolute():
            _check_machine_table(key, value, path)
            continue
        if key in MACHINE_TABLES:
            raise UsageError(f"[{key}] is of the machine", where=str(path), advice=f"put it into ./{CONFIG_NAME}")
        values |= read_setting(key, value, path, str(path))
    return values


def read_setting(key: str, value: object, path: Path, where: str) -> dict[str, object]:
    """A setting of a file, by its attribute; ``where`` is for messages."""
    setting = _BY_KEY.get(key)
    if setting is None:
        raise UsageError("unknown key", where=where, expected=" | ".join(_BY_KEY), found=key)
    parsed = setting.parse(value, f"{where}: {key}")
    is_file = setting.is_path or (key == "platform" and isinstance(parsed, str) and parsed.endswith(".repl"))
    return {setting.attribute: _beside(path, parsed) if is_file else parsed}


_MACHINE_KEYS = {"renode": RENODE_KEYS}


def _check_machine_table(name: str, value: object, path: Path) -> None:
    """What an engine that is not asked for would refuse is a slip all the same."""
    where = f"{path}: [{name}]"
    if not isinstance(value, dict):
        _refuse(where, "a table", value)
    for key in value:
        if key not in _MACHINE_KEYS[name]:
            raise UsageError("unknown key", where=where, expected=" | ".join(_MACHINE_KEYS[name]), found=key)


def _beside(path: Path, file: object) -> object:
    """A relative path, or several by name, taken from the folder of the file that gives it."""
    if isinstance(file, Mapping):
        return {name: _beside(path, each) for name, each in file.items()}
    if file == "-":  # the standard output
        return file
    return str(path.parent / str(file))


def load_toml(path: Path) -> dict[str, Any]:
    """A document; :class:`UsageError` where there is none."""
    try:
        return parse_toml(read_text(path))
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not TOML ({error})", where=str(path)) from error


@dataclass(frozen=True, slots=True)
class MachineTable:
    """A table of settings that an engine checks itself; ``folder`` is what its relative paths are relative to."""

    where: str  # for messages: file and table
    folder: Path
    values: Mapping[str, object]


def machine_table(name: str, folder: Path | None = None) -> MachineTable | None:
    """``[NAME]`` of ``rptwin.toml``, else ``[tool.rptwin.NAME]`` of ``pyproject.toml``; of the current folder if None.

    None where neither has it. Raises :class:`UsageError` when a file cannot be read or it is no table.
    """
    folder = folder or Path()
    for file, parts in ((CONFIG_NAME, (name,)), ("pyproject.toml", ("tool", "rptwin", name))):
        path = folder / file
        value: object = load_toml(path) if path.is_file() else None
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        if value is None:
            continue
        where = f"{file}: [{'.'.join(parts)}]"
        if not isinstance(value, dict):
            _refuse(where, "a table", value)
        return MachineTable(where, folder, value)
    return None


def settings_from(command_line: Mapping[str, object], file: Mapping[str, object]) -> Settings:
    """The settings of a run. Both map attribute names to values; None and () on the command line mean "not given".

    Values of the command line are texts as typed; those of the file come from :func:`load_config`.
    """
    values = dict(file)
    for setting in SETTINGS:
        typed = command_line.get(setting.attribute)
        if typed is not None and typed != ():
            where = setting.key.upper() if setting.key in ("main", "remote") else f"--{setting.key}"
            values[setting.attribute] = setting.parse(typed, where)
    return dataclasses.replace(Settings(), **values)  # type: ignore[arg-type]  # each value came from its own parser

"""Peripherals: their windows, scripts and interrupt lines, and which of them are consoles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.base.files import is_file, read_text
from orchestrator.platform import syntax
from orchestrator.platform.model import MAX_INTERRUPTS, Interrupt, Peripheral
from orchestrator.platform.resolve.cores import NVIC_TYPE, Named
from orchestrator.platform.resolve.memories import registrations
from orchestrator.platform.resolve.merge import MergedDescription, Variable, beside_or_above, error_at
from orchestrator.platform.resolve.values import attributes, integer, typed
from orchestrator.platform.settings import PlatformSettings
from orchestrator.platform.windows import WINDOWS

__all__ = ["SCRIPT_TYPE", "consoles_of", "files_of", "peripheral"]

SCRIPT_TYPE = "Python.PythonPeripheral"
FREQUENCIES = ("frequency", "systickFrequency")
MOST_HZ = 10**12


def peripheral(
    description: MergedDescription, variable: Variable, limits: Mapping[str, int], notes: list[str]
) -> Peripheral:
    """One peripheral; ``limits`` are the inputs of each core's NVIC, and what it is told to do goes to ``notes``."""
    given = attributes(description, variable)
    for name in FREQUENCIES:
        value = given.get(name)
        if isinstance(value, int) and not 1 <= value <= MOST_HZ:
            source = variable.properties[name][0].source
            raise error_at(source, f"{variable.name}: {name}", expected=f"1..{MOST_HZ} Hz", found=value)
    script, script_name = _script(description, variable) if variable.type == SCRIPT_TYPE else (None, None)
    size = integer(variable, "size") if variable.type == SCRIPT_TYPE else WINDOWS.get(variable.type)
    for when, statements in variable.statements.items():
        notes += [f"{source}: {variable.name}: {when}: {text}" for text, source in statements]
    return Peripheral(
        name=variable.name,
        type=variable.type,
        registrations=tuple(registrations(description, variable)),
        attributes=given,
        interrupts=tuple(_interrupts(description, variable, limits)),
        script=script,
        script_name=script_name,
        source=variable.source,
        size=size,
    )


def _script(description: MergedDescription, variable: Variable) -> tuple[str, str]:
    """Text and name of a Python peripheral's script; ``filename`` is relative to the file that gives it."""
    inline = typed(variable, "script", syntax.Literal, "a string", str)
    named = typed(variable, "filename", syntax.Literal, "a string", str)
    if (inline is None) == (named is None):
        raise error_at(variable.source, f"{variable.name}: a script is needed", expected="filename: or script:")
    if integer(variable, "size") is None:
        raise error_at(variable.source, f"{variable.name}: a script without a size", expected="size: bytes")
    if inline is not None:
        return str(inline.value), f"{inline.source.file} ({variable.name})"
    assert named is not None
    path = beside_or_above(description.folders[named.source.file].resolve(), str(named.value))
    if path is None:
        raise error_at(named.source, f"{variable.name}: no script {named.value}")
    description.files.append(path.resolve())
    try:
        return read_text(path), str(named.value)
    except OSError as error:
        raise error_at(named.source, f"{variable.name}: {named.value} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise error_at(named.source, f"{variable.name}: {named.value} is not UTF-8 (byte {error.start})") from None


def _interrupts(description: MergedDescription, variable: Variable, limits: Mapping[str, int]) -> Iterator[Interrupt]:
    """Outputs wired later replace those wired earlier, as in Renode."""
    wired: dict[str, list[Interrupt]] = {}
    for attribute, scope in variable.interrupts:
        lines: dict[str, list[Interrupt]] = {output: [] for output in attribute.outputs}
        for destination in attribute.destinations:
            target = description.refer(destination.target, scope, variable.name)
            for output, line in zip(attribute.outputs, destination.inputs, strict=True):
                limit = limits.get(target.name, MAX_INTERRUPTS)
                if target.type == NVIC_TYPE and not 0 <= line < limit:
                    raise error_at(
                        attribute.source,
                        f"{variable.name}: no interrupt {line} at {target.name} (it has 0..{limit - 1})",
                    )
                lines[output].append(Interrupt(output, target.name, line, destination.local))
        wired.update(lines)
    for each in wired.values():
        yield from each


def consoles_of(peripherals: tuple[Peripheral, ...], settings: PlatformSettings, named: Named) -> dict[str, str]:
    """The UART that is a core's console, by the core's name."""
    uarts = [each.name for each in peripherals if each.type.startswith("UART.")]
    consoles = {}
    for key, uart in settings.consoles.items():
        core = named.core(f"consoles.{key}", key)
        if uart not in uarts:
            raise settings.error(f"consoles.{key}", "no such UART", expected=" | ".join(uarts), found=uart)
        if core in consoles:
            raise settings.error(f"consoles.{key}", f"a second console for {core}")
        consoles[core] = uart
    return consoles


def files_of(
    table: str, given: Mapping[str, Path], peripherals: tuple[Peripheral, ...], settings: PlatformSettings
) -> dict[str, Path]:
    """Files by Renode type, each there and of a type that the platform has."""
    types = sorted({each.type for each in peripherals})
    for kind, path in given.items():
        if kind not in types:
            raise settings.error(table, "no peripheral of this type", expected=" | ".join(types), found=kind)
        if not is_file(path):
            raise settings.error(table, f"no file {path.name} for {kind}")
    return {kind: path.resolve() for kind, path in given.items()}

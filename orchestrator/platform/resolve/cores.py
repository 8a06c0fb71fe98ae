"""Cores, and the roles that they play in pairs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from orchestrator.base.errors import PlatformError
from orchestrator.base.numbers import LONGEST, parse_number
from orchestrator.base.roles import ROLES
from orchestrator.platform import syntax
from orchestrator.platform.model import MAX_INTERRUPTS, Core
from orchestrator.platform.resolve.merge import MergedDescription, Variable, error_at
from orchestrator.platform.resolve.values import attributes, integer, typed
from orchestrator.platform.settings import CoreSettings, PlatformSettings

__all__ = ["CORE_TYPE", "NVIC_TYPE", "Named", "cores_of", "pairs_of", "roles_of"]

CORE_TYPE = "CPU.CortexM"
NVIC_TYPE = "IRQControllers.NVIC"
DEFAULT_MIPS = 100  # Renode's PerformanceInMips
MOST_MIPS = 100_000  # a hundred times the fastest core of this kind; what a turn executes is counted in 64 bits
CORE_STATEMENT = re.compile(r"(PerformanceInMips|IsHalted)\s+(\S+)")


def cores_of(
    description: MergedDescription, variables: list[Variable], settings: PlatformSettings, path: Path, notes: list[str]
) -> tuple[Core, ...]:
    """The cores in their order; what else they are told to do goes to ``notes``."""
    if not variables:
        raise PlatformError("a platform without a core", file=path.name, expected=f"name: {CORE_TYPE} @ sysbus")
    cores = tuple(_core(description, index, each, settings, notes) for index, each in enumerate(variables))
    for name in settings.cores:
        if name not in {core.name for core in cores}:
            expected = " | ".join(core.name for core in cores)
            raise settings.error(f"cores.{name}", "no such core", expected=expected, found=name)
    return cores


def _core(
    description: MergedDescription, index: int, variable: Variable, settings: PlatformSettings, notes: list[str]
) -> Core:
    if variable.type != CORE_TYPE:
        what = f"{variable.name}: a core of a kind not supported"
        raise error_at(variable.source, what, expected=CORE_TYPE, found=variable.type)
    nvic = _nvic(description, variable)
    model_name = typed(variable, "cpuType", syntax.Literal, "a string", str)
    if model_name is None:
        raise error_at(variable.source, f"{variable.name}: no cpuType given")
    given = settings.cores.get(variable.name, CoreSettings())
    vectors = integer(variable, "InitVectorTableOffset")
    halted = typed(variable, "IsHalted", syntax.Literal, "true | false", bool)
    mips = integer(variable, "PerformanceInMips")
    told = _statements(variable, notes)
    given_mips = told.get("PerformanceInMips", str(DEFAULT_MIPS if mips is None else mips))
    mips = parse_number(given_mips) if len(given_mips) <= LONGEST else 0
    if not 1 <= mips <= MOST_MIPS:
        what = f"{variable.name}: PerformanceInMips out of range"
        raise error_at(variable.source, what, expected=f"1..{MOST_MIPS}", found=given_mips[:LONGEST])
    return Core(
        name=variable.name,
        model=str(model_name.value),
        nvic=nvic.name,
        index=index,
        boot_address=given.boot_address if given.boot_address is not None else vectors or 0,
        mips=mips,
        held=told["IsHalted"] == "true" if "IsHalted" in told else bool(halted and halted.value),
        interrupts=given.interrupts if given.interrupts is not None else MAX_INTERRUPTS,
        attributes=attributes(description, variable),
        source=variable.source,
        fpu=given.fpu,
    )


def _nvic(description: MergedDescription, variable: Variable) -> Variable:
    nvic = typed(variable, "nvic", syntax.Reference, "the name of its NVIC")
    if nvic is None:
        raise error_at(variable.source, f"{variable.name}: no nvic given")
    controller = description.refer(nvic, variable.properties["nvic"][1], variable.name)
    if controller.type != NVIC_TYPE:
        what = f"{variable.name}: {nvic.name} is no NVIC"
        raise error_at(nvic.source, what, expected=NVIC_TYPE, found=controller.type)
    return controller


def _statements(variable: Variable, notes: list[str]) -> dict[str, str]:
    """Properties of a core set by monitor commands (``init: PerformanceInMips 125``)."""
    told = {}
    for text, source in variable.statements.get("init", ()):
        match = CORE_STATEMENT.fullmatch(text)
        is_known = match is not None and (
            match[2].isascii() and match[2].isdecimal()
            if match[1] == "PerformanceInMips"
            else match[2] in ("true", "false")
        )
        if match and is_known:
            told[match[1]] = match[2]
        else:
            notes.append(f"{source}: {variable.name}: {text}")
    return told


def roles_of(cores: tuple[Core, ...], settings: PlatformSettings) -> dict[str, str]:
    """As given, else in the order of the description."""
    if not settings.roles:
        return {role: core.name for role, core in zip(ROLES, cores, strict=False)}
    return _known_cores("roles", settings.roles, cores, settings)


def pairs_of(cores: tuple[Core, ...], settings: PlatformSettings) -> dict[str, dict[str, str]]:
    """Further pairs by name, of two cores each."""
    given = settings.pairs.items()
    pairs = {name: _known_cores(f"pairs.{name}", roles, cores, settings) for name, roles in given}
    for name, roles in pairs.items():
        if len(set(roles.values())) < len(roles):
            raise settings.error(f"pairs.{name}", "one core cannot be both", found=roles["main"])
    return pairs


def _known_cores(
    key: str, roles: Mapping[str, str], cores: tuple[Core, ...], settings: PlatformSettings
) -> dict[str, str]:
    """Roles of cores that there are."""
    names = [core.name for core in cores]
    for role, name in roles.items():
        if name not in names:
            raise settings.error(f"{key}.{role}", "no such core", expected=" | ".join(names), found=name)
    return dict(roles)


class Named:
    """Cores as the settings name them: by role, or by their own name."""

    def __init__(self, settings: PlatformSettings, cores: Collection[str], roles: Mapping[str, str]) -> None:
        self._settings = settings
        self._cores = cores
        self._roles = roles

    def core(self, key: str, name: str) -> str:
        """The core's own name; an error at the key when there is none."""
        core = self._roles.get(name, name)
        if core not in self._cores:
            expected = " | ".join((*self._roles, *sorted(self._cores)))
            raise self._settings.error(key, "no such core", expected=expected, found=name)
        return core

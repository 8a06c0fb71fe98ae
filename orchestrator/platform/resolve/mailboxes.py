"""Mailboxes, how firmware works them, and what connects events of peripherals to tasks of others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.platform.model import Connections, Core, Mailbox, MailboxDrive, MailboxLine, Peripheral
from orchestrator.platform.resolve.cores import Named
from orchestrator.platform.settings import PlatformSettings

__all__ = ["connections_of", "drives_of", "mailboxes_of"]


def mailboxes_of(
    cores: tuple[Core, ...], peripherals: tuple[Peripheral, ...], settings: PlatformSettings, named: Named
) -> tuple[Mailbox, ...]:
    """``[mailboxes.NAME]``: lines to interrupts that the cores have."""
    by_name = {each.name: each for each in peripherals}
    limits = {core.name: core.interrupts for core in cores}

    def resolved(peripheral: Peripheral, line: MailboxLine) -> MailboxLine:
        key = f"mailboxes.{peripheral.name}.lines"
        core = named.core(key, line.core)
        if line.interrupt >= limits[core]:
            raise settings.error(key, f"no interrupt {line.interrupt} at {core} (it has 0..{limits[core] - 1})")
        _refuse_outside(settings, key, peripheral, (line.pending, line.signalled, *(line.events or ())))
        return replace(line, core=core)

    mailboxes = []
    for given in settings.mailboxes:
        if given.peripheral not in by_name:
            raise settings.error(f"mailboxes.{given.peripheral}", "no such peripheral", found=given.peripheral)
        peripheral = by_name[given.peripheral]
        mailboxes.append(replace(given, lines=tuple(resolved(peripheral, line) for line in given.lines)))
    return tuple(mailboxes)


def drives_of(
    peripherals: tuple[Peripheral, ...], settings: PlatformSettings, named: Named
) -> tuple[MailboxDrive, ...]:
    """``[mailboxes.NAME.drive.CORE]``, after :func:`mailboxes_of` has found the mailboxes."""
    by_name = {each.name: each for each in peripherals}
    drives = [
        replace(drive, core=named.core(f"mailboxes.{drive.mailbox}.drive", drive.core)) for drive in settings.drives
    ]
    for drive in drives:
        offsets = [step.offset for step in (*drive.enable, *drive.clear, *drive.ring)]
        key = f"mailboxes.{drive.mailbox}.drive.{drive.core}"
        _refuse_outside(settings, key, by_name[drive.mailbox], (*offsets, drive.enabled))
    return tuple(drives)


def connections_of(peripherals: tuple[Peripheral, ...], settings: PlatformSettings) -> tuple[Connections, ...]:
    """``[connections.NAME]``: each peripheral connected by one controller at most."""
    by_name = {each.name: each for each in peripherals}
    connected: dict[str, str] = {}
    for given in settings.connections:
        key = f"connections.{given.controller}"
        for name in (given.controller, *given.peripherals):
            if name not in by_name:
                raise settings.error(key, "no such peripheral", found=name)
        _refuse_outside(settings, key, by_name[given.controller], (given.enabled,))
        for name in given.peripherals:
            if name in connected:
                raise settings.error(key, f"{name} is connected by {connected[name]} already")
            connected[name] = given.controller
    return settings.connections


def _refuse_outside(
    settings: PlatformSettings, key: str, peripheral: Peripheral, offsets: Iterable[int | None]
) -> None:
    """Registers lie in the peripheral's window, where its size is known."""
    size = peripheral.size
    outside = next((each for each in offsets if size is not None and each is not None and each >= size), None)
    if outside is not None:
        expected = f"below {size:#x}"
        raise settings.error(key, "an offset outside the peripheral", expected=expected, found=f"{outside:#x}")

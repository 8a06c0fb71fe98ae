"""Images that were mixed up: each other's, the same one twice, or those of another chip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.base.errors import RptwinError, UsageError
from orchestrator.base.roles import MAIN, REMOTE, ROLES, other_role
from orchestrator.formats.elf import Image
from orchestrator.platform import Platform, available_platforms, load_platform

__all__ = ["platforms_that_fit", "refuse_mixed_up"]


def refuse_mixed_up(platform: Platform, images: Mapping[str, Image]) -> None:
    """:class:`UsageError` for one image twice, and for two that stand at each other's boot addresses."""
    if not all(role in images for role in ROLES):
        return
    main, remote = images[MAIN], images[REMOTE]
    if main.data == remote.data:
        raise UsageError(
            "one image for both cores",
            where=f"{main.path} and {remote.path}",
            expected=f"firmware of {platform.core(MAIN).name} and of {platform.core(REMOTE).name}",
            found="the same bytes twice",
            advice="--main or --remote gives an image alone: Python plays the other core",
        )
    if not any(_boots(platform, role, images[role]) for role in ROLES) and all(
        _boots(platform, role, images[other_role(role)]) for role in ROLES
    ):
        raise UsageError(
            "the images are swapped",
            where=f"main {main.path}, remote {remote.path}",
            expected=" and ".join(f"{role} at {platform.core(role).boot_address:#010x}" for role in ROLES),
            found=f"main at {_start(main):#010x} and remote at {_start(remote):#010x}",
            advice=f"give them the other way round: {remote.path} {main.path}",
        )


def platforms_that_fit(images: Mapping[str, Image], but: Platform) -> list[str]:
    """The platforms that come with rptwin on which each image boots from where its core does, all in its memory."""
    return list(_fitting(images, but))


def _fitting(images: Mapping[str, Image], but: Platform) -> Iterator[str]:
    for name in available_platforms():
        try:
            platform = load_platform(name)
        except RptwinError:  # said by who asks for it
            continue
        roles = platform.roles
        if name != but.name and all(
            role in roles and _boots(platform, role, image) and _has_memory(platform, role, image)
            for role, image in images.items()
        ):
            yield name


def _start(image: Image) -> int:
    return min(each.load_address for each in image.segments)


def _boots(platform: Platform, role: str, image: Image) -> bool:
    boot = platform.core(role).boot_address
    return any(boot in segment.load_extent for segment in image.segments)


def _has_memory(platform: Platform, role: str, image: Image) -> bool:
    core = platform.core(role).name
    stack = image.initial_sp(platform.core(role).boot_address)
    places = [each.load_extent.start for each in image.segments] + [each.load_extent.end - 1 for each in image.segments]
    return all(platform.region_at(core, at) is not None for at in (*places, stack - 4))

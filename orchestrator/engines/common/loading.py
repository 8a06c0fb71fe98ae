"""What is asked of an image before it is loaded, and which images a core has then."""

from __future__ import annotations

from orchestrator.base.errors import PlacementError, TranslationError
from orchestrator.base.memory import Extent
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["loaded_images", "refuse_outside"]


def refuse_outside(platform: Platform, core: str, image: Image) -> None:
    """:class:`PlacementError` for the first segment that does not lie in memory of the core."""
    for segment in image.segments:
        extent = segment.load_extent
        try:
            platform.parts(core, extent.start, extent.size)
        except TranslationError as error:
            extents = sorted(each for region in platform.regions for each in region.extents(core))
            raise PlacementError(
                f"segment {extent} does not lie in memory of {core}",
                where=f"{image.name} (load address)",
                expected=", ".join(str(each) for each in extents),
                found=error.where,
            ) from None


def loaded_images(image: Image, before: list[Image]) -> list[Image]:
    """What a core has after a load, the newest first: an image whose bytes are gone says nothing of what runs."""
    extents = [Extent(segment.load_address, len(segment.data)) for segment in image.segments if segment.data]
    return [image, *(old for old in before if not _shares(old, extents))]


def _shares(image: Image, extents: list[Extent]) -> bool:
    return any(segment.load_extent.overlaps(extent) for segment in image.segments for extent in extents)

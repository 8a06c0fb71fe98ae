"""What is asked of an image before it is loaded."""

from __future__ import annotations

from orchestrator.errors import EngineError, TranslationError
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["refuse_outside"]


def refuse_outside(platform: Platform, core: str, image: Image) -> None:
    """:class:`EngineError` for the first segment that does not lie in memory of the core."""
    for segment in image.segments:
        extent = segment.load_extent
        try:
            platform.parts(core, extent.start, extent.size)
        except TranslationError as error:
            extents = sorted(each for region in platform.regions for each in region.extents(core))
            raise EngineError(
                f"segment {extent} does not lie in memory of {core}",
                where=f"{image.name} (load address)",
                expected=", ".join(str(each) for each in extents),
                found=error.where,
            ) from None

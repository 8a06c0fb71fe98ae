"""What an image promises to its core: segments in its memory, and a vector table that it can start from."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import ElfError
from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import ROLES
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import CoreImage, State, core_images, states
from orchestrator.formats.elf import SegmentFlag
from orchestrator.platform.model import Platform

__all__: list[str] = []


def _ends(platform: Platform, role: str, address: int, *, writable: bool = False) -> list[int]:
    core = platform.core(role).name
    return [
        extent.end
        for region in platform.regions
        for extent in region.extents(core)
        if address in extent and (region.writable or not writable)
    ]


def _missing(platform: Platform, role: str, extent: Extent) -> int | None:
    """The first address of a range that a core has no memory for."""
    at = extent.start
    while at < extent.end:
        ends = _ends(platform, role, at)
        if not ends:
            return at
        at = max(ends)
    return None


@rule(
    "elf.segment-outside-memory",
    stage=Stage.STATIC,
    source="ELF, Program Loading: p_paddr is where the loader puts a segment",
    each=core_images,
)
def segments_lie_in_memory(subject: CoreImage) -> Iterator[Violation]:
    """Every segment with bytes is loaded to addresses at which its core has memory."""
    platform = subject.state.platform
    if platform is None:
        return
    for segment in subject.image.segments:
        first = _missing(platform, subject.role, segment.load_extent)
        if first is not None:
            yield Violation(
                at=(Place(platform.core(subject.role).name, first, f"segment[{segment.index}]"),),
                expected=f"memory of {platform.core(subject.role).name} at all of {segment.load_extent}",
                actual=f"none at {first:#010x}",
                advice="correct the load address (LMA) in the linker script, or the order of the images",
                subject=f"{subject.image.name}: segment[{segment.index}]",
                core=subject.role,
            )


@rule(
    "elf.images-overlap",
    stage=Stage.STATIC,
    source="ELF, Program Loading: p_paddr is where the loader puts a segment",
    each=states,
)
def images_do_not_overlap(state: State) -> Iterator[Violation]:
    """The two images are loaded to different memory, whatever alias each names it by."""
    platform = state.platform
    if platform is None or len(state.images) < 2:
        return
    pieces = []
    for role in ROLES:
        core = platform.core(role).name
        for segment in state.images[role].segments:
            found = platform.region_at(core, segment.load_address)
            if found is not None:
                region, offset = found
                pieces.append((role, segment, region.name, Extent(offset, len(segment.data))))
    for role, segment, region_name, extent in pieces:
        for other_role, other, other_region, other_extent in pieces:
            if (role, other_role) == ROLES and region_name == other_region and extent.overlaps(other_extent):
                first, second = state.images[role].name, state.images[other_role].name
                yield Violation(
                    at=(
                        Place(platform.core(role).name, segment.load_address, f"segment[{segment.index}]"),
                        Place(platform.core(other_role).name, other.load_address, f"segment[{other.index}]"),
                    ),
                    expected=f"{first} and {second} in different parts of {region_name}",
                    actual=f"{segment.load_extent} and {other.load_extent}",
                    advice="give each core's linker script memory of its own",
                    subject=f"{first}: segment[{segment.index}]",
                )


@dataclass(frozen=True, slots=True)
class _Vectors:
    image: CoreImage
    stack: int
    reset: int

    def place(self, offset: int, path: str) -> Place:
        platform = self.image.state.platform
        view = platform.core(self.image.role).name if platform else self.image.image.name
        return Place(view, self.image.vector_table + offset, path)


def _vectors(state: State) -> Iterator[_Vectors]:
    for image in core_images(state):
        try:
            stack = image.image.initial_sp(image.vector_table)
            yield _Vectors(image, stack, image.image.reset_vector(image.vector_table))
        except ElfError:
            continue


@rule("vector.missing", stage=Stage.STATIC, source="DDI0403E B1.5.3, the vector table", each=core_images)
def vector_table_is_in_the_image(subject: CoreImage) -> Iterator[Violation]:
    """The image has bytes for a stack pointer and a reset vector where its core starts."""
    try:
        subject.image.reset_vector(subject.vector_table)
        subject.image.initial_sp(subject.vector_table)
    except ElfError as error:
        yield Violation(
            at=(Place(subject.image.name, subject.vector_table, "vector table"),),
            expected="8 bytes of the image",
            actual=str(error),
            advice="name the vector table with --vtor, or link it to the core's boot address",
            subject=f"{subject.image.name}: vector table",
            core=subject.role,
        )


@rule("vector.stack-outside-memory", stage=Stage.STATIC, source="DDI0403E B1.5.5, reset behaviour", each=_vectors)
def initial_stack_is_in_ram(vectors: _Vectors) -> Iterator[Violation]:
    """The initial stack pointer is the end of, or inside, memory that the core can write."""
    platform = vectors.image.state.platform
    if platform is None or _ends(platform, vectors.image.role, vectors.stack - 4, writable=True):
        return
    yield Violation(
        at=(vectors.place(0, "vector[0]"),),
        expected=f"the top of memory that {platform.core(vectors.image.role).name} can write",
        actual=f"{vectors.stack:#010x}",
        advice="the first word of the vector table is the initial stack pointer: check _estack in the linker script",
        subject=f"{vectors.image.image.name}: vector[0]",
        core=vectors.image.role,
    )


@rule(
    "vector.stack-misaligned",
    stage=Stage.STATIC,
    source="AAPCS32 6.2.1.2: the stack pointer is a multiple of 8 at every public interface",
    each=_vectors,
    severity=Severity.WARNING,
)
def initial_stack_is_aligned(vectors: _Vectors) -> Iterator[Violation]:
    """The initial stack pointer is a multiple of 8."""
    if vectors.stack % 8:
        yield Violation(
            at=(vectors.place(0, "vector[0]"),),
            expected="a multiple of 8",
            actual=f"{vectors.stack:#010x}",
            advice="align the end of the stack in the linker script",
            subject=f"{vectors.image.image.name}: vector[0]",
            core=vectors.image.role,
        )


@rule(
    "vector.reset-even",
    stage=Stage.STATIC,
    source="DDI0403E B1.5.3: bit 0 of a vector is EPSR.T; zero is an INVSTATE UsageFault at the first instruction",
    each=_vectors,
)
def reset_vector_has_its_thumb_bit(vectors: _Vectors) -> Iterator[Violation]:
    """The reset vector is odd, as the core executes Thumb code only."""
    if not vectors.reset & 1:
        yield Violation(
            at=(vectors.place(4, "vector[1]"),),
            expected="an odd address",
            actual=f"{vectors.reset:#010x}",
            advice="declare the handler as a function (.thumb_func, %function), so that the linker sets bit 0",
            subject=f"{vectors.image.image.name}: vector[1]",
            core=vectors.image.role,
        )


@rule("vector.reset-outside-code", stage=Stage.STATIC, source="DDI0403E B1.5.5, reset behaviour", each=_vectors)
def reset_vector_points_into_code(vectors: _Vectors) -> Iterator[Violation]:
    """The reset vector points into an executable segment of the image."""
    address = vectors.reset & ~1
    segments = [each for each in vectors.image.image.segments if each.flags & SegmentFlag.EXECUTE]
    if not any(address in each.load_extent or address in each.run_extent for each in segments):
        code = ", ".join(str(each.run_extent) for each in segments) or "no executable segment"
        yield Violation(
            at=(vectors.place(4, "vector[1]"),),
            expected=f"inside {code}",
            actual=f"{vectors.reset:#010x}",
            advice="check that the vector table is where the core boots from, and that Reset_Handler is linked",
            subject=f"{vectors.image.image.name}: vector[1]",
            core=vectors.image.role,
        )

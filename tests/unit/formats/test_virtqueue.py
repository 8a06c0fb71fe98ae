from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import RingError, TranslationError
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.virtqueue import (
    MAX_QUEUE_SIZE,
    Descriptor,
    DescriptorFlag,
    RingLayout,
    SplitRing,
    Taken,
    UsedElement,
    available_ring_size,
    descriptor_table_size,
    used_ring_size,
)

BASE = 0x30042000
SIZE = 0x1000
NEXT, WRITE, INDIRECT = DescriptorFlag.NEXT, DescriptorFlag.WRITE, DescriptorFlag.INDIRECT


class Ring:
    """The driver's pen: writes what the view under test reads."""

    def __init__(self, num=8, **options):
        self.memory = BytesMemory("cpu_cm7", BASE, bytes(SIZE))
        self.layout = RingLayout.legacy(BASE, num, 16)
        self.view = SplitRing(self.memory, self.layout, name="vdev[0].vring[1]", **options)

    def desc(self, index, addr=0, size=512, flags=0, following=0):
        self.memory.write(self.layout.desc_at(index), Descriptor(addr, size, int(flags), following).pack())

    def halfword(self, address, value):
        self.memory.write(address, value.to_bytes(2, "little"))

    def indices(self, head):
        return [each.index for each in self.view.chain(head)]


def broken(rule):
    class Caught:
        def __enter__(self):
            self.context = pytest.raises(RingError)
            self.info = self.context.__enter__()
            return self

        def __exit__(self, *details):
            done = self.context.__exit__(*details)
            assert self.info.value.rule == rule
            self.text = str(self.info.value)
            return done

    return Caught()


@pytest.mark.parametrize("num", [1, 2, 8, 256, 32768])
def test_sizes_and_alignments_are_those_of_the_specification(num):
    assert descriptor_table_size(num) == 16 * num
    assert available_ring_size(num) == 6 + 2 * num
    assert used_ring_size(num) == 6 + 8 * num
    parts = RingLayout(num, 0x1000, 0x200002, 0x300004).parts
    assert [(part.name, part.alignment, part.is_aligned) for part in parts] == [
        ("desc", 16, True), ("avail", 2, True), ("used", 4, True),
    ]  # fmt: skip
    odd = RingLayout(num, 0x1008, 0x200001, 0x300002).parts
    assert [part.is_aligned for part in odd] == [False, False, False]


@given(st.sampled_from([2**n for n in range(16)]), st.sampled_from([2**n for n in range(2, 13)]), st.integers(0, 2**31))
def test_the_contiguous_form_follows_its_formula(num, align, base):
    layout = RingLayout.legacy(base, num, align)
    avail = 16 * num
    used = -(-(avail + 4 + 2 * num + 2) // align) * align
    assert (layout.desc, layout.avail, layout.used) == (base, base + avail, base + used)
    assert layout.extent.size == used + 4 + 8 * num + 2
    desc, available, used_ring = (part.extent for part in layout.parts)
    assert not desc.overlaps(available)
    assert not available.overlaps(used_ring)


def test_rpmsg_lite_puts_the_used_ring_elsewhere_only_where_the_facts_say():
    nums, aligns = [2**n for n in range(1, 10)], [2, 4, 8, 16, 32, 4096]
    differ = {
        (num, align)
        for num in nums
        for align in aligns
        if RingLayout.legacy(0, num, align).used != RingLayout.rpmsg_lite(0, num, align).used
    }
    # 16*q + 2*q + 4 is a multiple of 4 for even q, so leaving two bytes out shows for 2 and 4 always, for 8 at q = 2.
    assert differ == {(num, align) for num in nums for align in (2, 4)} | {(2, 8)}
    assert RingLayout.rpmsg_lite(0, 8, 16).formula == "rpmsg-lite, align 16"
    assert RingLayout.legacy(0, 8, 16).formula == "virtio legacy, align 16"


def test_an_alignment_of_1_leaves_no_gap():
    layout = RingLayout.legacy(BASE, 8, 1)
    assert layout.used == layout.avail + available_ring_size(8)


@pytest.mark.parametrize("align", [-4, 0, 3, 12])
def test_an_alignment_that_is_no_power_of_two_lays_out_no_ring(align):
    with broken("ring.align") as caught:
        RingLayout.legacy(BASE, 8, align)
    assert caught.text == f"no alignment for the used ring: expected a power of two, found {align}"


@pytest.mark.parametrize("num", [-1, 0, MAX_QUEUE_SIZE + 1, 0xFFFFFFFF])
def test_a_queue_size_out_of_range_lays_out_no_ring(num):
    with broken("ring.num"):
        RingLayout.legacy(BASE, num, 16)


def test_event_fields_stand_behind_the_rings():
    ring = Ring()
    ring.halfword(ring.layout.used_event_at, 7)
    ring.halfword(ring.layout.avail_event_at, 9)
    assert ring.layout.used_event_at == ring.layout.avail + 4 + 2 * 8
    assert ring.layout.avail_event_at == ring.layout.used + 4 + 8 * 8
    assert (ring.view.used_event, ring.view.avail_event) == (7, 9)


def test_an_address_is_named_by_the_field_it_lies_in():
    layout = RingLayout.legacy(BASE, 8, 64)
    named = {
        layout.desc_at(3) + 8: "desc[3].len",
        layout.desc_at(7) + 15: "desc[7].next",
        layout.avail_flags_at: "avail.flags",
        layout.avail_idx_at + 1: "avail.idx",
        layout.avail_ring_at(0): "avail.ring[0]",
        layout.avail_ring_at(7): "avail.ring[7]",
        layout.used_event_at: "used_event",
        layout.used_flags_at: "used.flags",
        layout.used_idx_at: "used.idx",
        layout.used_ring_at(0): "used.ring[0].id",
        layout.used_ring_at(9): "used.ring[1].id",
        layout.used_ring_at(7) + 4: "used.ring[7].len",
        layout.avail_event_at: "avail_event",
        layout.used - 1: None,
        layout.extent.end: None,
    }
    assert {address: layout.path_of(address) for address in named} == named


def test_the_view_reads_what_stands_in_memory_now():
    ring = Ring()
    for round_ in (1, 2):
        ring.desc(2, addr=0x1234, size=16 * round_)
        ring.halfword(ring.layout.avail_idx_at, round_)
        ring.halfword(ring.layout.avail_flags_at, 1)
        ring.halfword(ring.layout.avail_ring_at(0), 2)
        ring.halfword(ring.layout.used_idx_at, round_)
        ring.memory.write(ring.layout.used_ring_at(0), UsedElement(2, 40 * round_).pack())
        assert ring.view.desc(2) == Descriptor(0x1234, 16 * round_, 0, 0)
        assert (ring.view.avail_flags, ring.view.avail_idx, ring.view.avail_ring(8)) == (1, round_, 2)
        assert (ring.view.used_flags, ring.view.used_idx, ring.view.used_ring(0)) == (
            0,
            round_,
            UsedElement(2, 40 * round_),
        )


def test_indices_run_freely_past_65535():
    ring = Ring()
    for slot in range(8):
        ring.halfword(ring.layout.avail_ring_at(slot), 7 - slot)
    ring.halfword(ring.layout.avail_idx_at, 2)
    assert list(ring.view.available_heads(since=65534)) == [1, 0, 7, 6]


def test_an_index_may_move_as_far_as_the_queue_is_long():
    ring = Ring()
    ring.halfword(ring.layout.used_idx_at, 8)
    assert len(list(ring.view.used_elements(since=0))) == 8


def test_an_index_that_moved_further_than_the_queue_is_long_is_named():
    ring = Ring()
    ring.halfword(ring.layout.used_idx_at, 9)
    with broken("ring.index-jump") as caught:
        list(ring.view.used_elements(since=0))
    assert "vdev[0].vring[1].used.idx" in caught.text
    assert "at most 8 after 0, found 9" in caught.text


def test_a_head_that_is_no_descriptor_is_named_by_its_slot():
    ring = Ring()
    ring.halfword(ring.layout.avail_idx_at, 2)
    ring.halfword(ring.layout.avail_ring_at(1), 8)
    with broken("ring.index-out-of-range") as caught:
        list(ring.view.available_heads(since=0))
    assert "avail.ring[1]" in caught.text
    assert f"{ring.layout.avail_ring_at(1):#010x}" in caught.text
    assert "expected 0..7, found 8" in caught.text


@pytest.mark.parametrize("index", [-1, 8])
def test_a_descriptor_past_the_table_is_none(index):
    with broken("ring.index-out-of-range") as caught:
        Ring().view.desc(index)
    assert f"vdev[0].vring[1].desc[{index}]): index is past" in caught.text


def test_a_chain_is_walked_in_its_own_order():
    ring = Ring()
    ring.desc(5, flags=NEXT, following=1)
    ring.desc(1, flags=NEXT | WRITE, following=6)
    ring.desc(6, flags=WRITE, following=99)  # next means nothing without its flag
    chain = ring.view.chain(5)
    assert [each.index for each in chain] == [5, 1, 6]
    assert [each.descriptor.is_writable for each in chain] == [False, True, True]
    assert str(chain[1].at) == f"cpu_cm7 at {ring.layout.desc_at(1):#010x} (vdev[0].vring[1].desc[1])"


@pytest.mark.parametrize("loop", [[0], [0, 1], [3, 1, 2, 0], list(range(8))])
def test_a_chain_that_comes_back_names_the_index_that_it_came_back_to(loop):
    ring = Ring()
    for index, following in zip(loop, loop[1:] + loop[:1], strict=True):
        ring.desc(index, flags=NEXT, following=following)
    with broken("ring.desc-loop") as caught:
        ring.view.chain(loop[0])
    assert f"found index {loop[0]} again after {len(loop)}" in caught.text


def test_a_next_past_the_table_is_named():
    ring = Ring()
    ring.desc(4, flags=NEXT, following=8)
    with broken("ring.index-out-of-range") as caught:
        ring.view.chain(4)
    assert "vdev[0].vring[1].desc[4].next" in caught.text
    assert f"{ring.layout.desc_at(4) + 14:#010x}" in caught.text
    with broken("ring.index-out-of-range"):
        ring.view.chain(8)


def indirect(ring, descriptors, *, at=BASE + 0x800):
    for i, descriptor in enumerate(descriptors):
        ring.memory.write(at + 16 * i, descriptor.pack())
    return at


def test_an_indirect_table_takes_the_place_of_its_descriptor_at_the_translated_address():
    asked = []

    def translate(address, size):
        asked.append((address, size))
        return address - 0x10042000 + BASE

    ring = Ring(translate=translate)
    indirect(ring, [Descriptor(1, 1, NEXT, 2), Descriptor(2, 2, 0, 0), Descriptor(3, 3, NEXT | WRITE, 1)])
    ring.desc(0, size=9, flags=NEXT, following=3)
    ring.desc(3, addr=0x10042800, size=48, flags=INDIRECT)
    chain = ring.view.chain(0)
    assert [(each.index, each.descriptor.len) for each in chain] == [(0, 9), (0, 1), (2, 3), (1, 2)]
    assert asked == [(0x10042800, 48)]
    assert chain[2].at.path == "vdev[0].vring[1].desc[3].indirect[2]"
    assert chain[2].at.address == BASE + 0x800 + 32


GOOD = Descriptor(1, 1, 0, 0)


@pytest.mark.parametrize(
    ("outer", "inner", "rule"),
    [
        (Descriptor(0, 16, INDIRECT | NEXT, 1), GOOD, "ring.indirect-next"),
        (Descriptor(0, 0, INDIRECT, 0), GOOD, "ring.indirect-length"),
        (Descriptor(0, 17, INDIRECT, 0), GOOD, "ring.indirect-length"),
        (Descriptor(0, 16, INDIRECT, 0), replace(GOOD, flags=INDIRECT), "ring.indirect-nested"),
        (Descriptor(0, 16, INDIRECT, 0), replace(GOOD, flags=NEXT, next=1), "ring.index-out-of-range"),
        (Descriptor(0, 16, INDIRECT, 0), replace(GOOD, flags=NEXT, next=0), "ring.desc-loop"),
    ],
)
def test_each_way_to_break_an_indirect_table_has_its_rule(outer, inner, rule):
    ring = Ring()
    at = indirect(ring, [inner])
    ring.memory.write(ring.layout.desc_at(2), replace(outer, addr=at).pack())
    with broken(rule) as caught:
        ring.view.chain(2)
    assert "desc[2]" in caught.text


def test_an_indirect_table_that_the_view_does_not_have_is_named():
    def translate(address, size):
        raise TranslationError("no memory", where=f"da {address:#010x}")

    ring = Ring(translate=translate)
    ring.desc(0, addr=0x10050000, size=16, flags=INDIRECT)
    with broken("ring.indirect-address") as caught:
        ring.view.chain(0)
    assert "desc[0]" in caught.text
    assert "da 0x10050000" in caught.text
    identity = Ring()
    identity.desc(0, addr=0x10050000, size=16, flags=INDIRECT)
    with broken("ring.unreadable") as caught:
        identity.view.chain(0)
    assert "desc[0].indirect[0]" in caught.text


def test_a_chain_longer_than_the_queue_is_cut():
    ring = Ring()
    at = indirect(ring, [Descriptor(1, 1, NEXT, i + 1) for i in range(9)] + [GOOD])
    ring.desc(0, addr=at, size=160, flags=INDIRECT)
    with broken("ring.chain-too-long"):
        ring.view.chain(0)


def test_a_ring_outside_of_memory_is_a_ring_error():
    ring = SplitRing(BytesMemory("dump", 0, bytes(16)), RingLayout.legacy(0, 8, 16))
    with broken("ring.unreadable") as caught:
        _ = ring.avail_idx
    assert "dump at 0x00000082 (avail.idx)" in caught.text


@given(st.binary(min_size=600, max_size=600), st.integers(0, 70000), st.integers(0, 0xFFFF), st.sampled_from([4, 16]))
def test_a_ring_of_any_bytes_is_read_or_raises_a_ring_error_and_ends(data, head, since, num):
    ring = SplitRing(BytesMemory("dump", 0, data), RingLayout.legacy(0, num, 4), translate=lambda a, _: a % 512)
    for read in (
        lambda: ring.chain(head),
        lambda: ring.chain(head % num),
        lambda: list(ring.available_heads(since)),
        lambda: list(ring.used_elements(since)),
    ):
        try:
            assert len(read()) <= num
        except RingError as error:
            assert error.rule.startswith("ring.")  # noqa: PT017 - either outcome is right


@given(st.permutations(range(8)), st.integers(1, 8))
def test_a_chain_that_was_written_is_the_chain_that_is_read(order, length):
    ring = Ring()
    chain = order[:length]
    for index, following in zip(chain, [*chain[1:], 0], strict=True):
        ring.desc(index, flags=NEXT if index != chain[-1] else 0, following=following)
    assert ring.indices(chain[0]) == chain


def test_chains_that_overlap_are_walked_once_between_them() -> None:
    """However many heads there are: each descriptor is read once, and once more by a chain that comes to it."""
    num = 64
    ring, taken = Ring(num), Taken()
    for index in range(num):
        ring.desc(index, flags=NEXT if index + 1 < num else 0, following=(index + 1) % num)
    reads = []
    read = ring.memory.read
    ring.memory.read = lambda address, size: reads.append(address) or read(address, size)
    assert len(ring.view.chain(0, taken)) == num
    for head in range(1, num):
        with broken("ring.head-in-use") as caught:
            ring.view.chain(head, taken)
        assert f"the chain at head {head} comes to a descriptor of the chain at head 0" in caught.text
    assert len(reads) < 3 * num
    taken.give_back(0)
    assert len(ring.view.chain(num - 1, taken)) == 1


@pytest.mark.parametrize("used", [0x80, 0x84, 0x90, 0x7F0, 0x800], ids=hex)
@pytest.mark.parametrize("avail", [0x80, 0x400], ids=hex)
def test_both_heads_are_read_wherever_the_two_rings_lie(avail, used):
    data = bytes(range(256)) * (SIZE // 256)
    ring = SplitRing(BytesMemory("cpu_cm7", BASE, data), RingLayout(2, BASE, BASE + avail, BASE + used))
    assert ring.heads == data[avail : avail + 4] + data[used : used + 4]


@pytest.mark.parametrize(("avail", "used", "field"), [(SIZE - 2, 0x80, "avail.flags"), (0x80, SIZE - 2, "used.flags")])
def test_the_head_that_cannot_be_read_is_named(avail, used, field):
    ring = SplitRing(BytesMemory("cpu_cm7", BASE, bytes(SIZE)), RingLayout(2, BASE, BASE + avail, BASE + used))
    with broken("ring.unreadable") as caught:
        _ = ring.heads
    assert field in caught.text

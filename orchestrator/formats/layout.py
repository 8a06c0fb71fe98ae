"""Memory structures declared once: a frozen dataclass with its :mod:`struct` format beside its fields."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from orchestrator.base.dataclass import dataclass

__all__ = ["Leaf", "Structure", "layout"]

S = TypeVar("S", bound="Structure")

_ITEM = re.compile(r"(\d*)([bBhHiIqQs])")


class Leaf(NamedTuple):
    """One scalar (or byte string) of a structure: its path (``reserved[1]``), offset and size in bytes."""

    path: str
    offset: int
    size: int


class Structure:
    """What :func:`layout` adds to a class; field names and order are those of the C structure."""

    __slots__ = ()

    size: ClassVar[int]  # bytes, packed
    leaves: ClassVar[tuple[Leaf, ...]]
    _struct: ClassVar[struct.Struct]
    _widths: ClassVar[tuple[tuple[str, int], ...]]  # field name, number of items; 0: a scalar, not a tuple
    _is_flat: ClassVar[bool]  # scalars alone

    @classmethod
    def unpack_from(cls, data: bytes | bytearray | memoryview, offset: int = 0) -> Self:
        """Decode ``size`` bytes at an offset; :class:`struct.error` when they are not all there."""
        values = cls._struct.unpack_from(data, offset)
        if cls._is_flat:
            return cls(*values)
        items = iter(values)
        return cls(
            **{name: tuple(next(items) for _ in range(width)) if width else next(items) for name, width in cls._widths}
        )

    @classmethod
    def rows(cls, data: bytes, offset: int, count: int) -> Iterator[tuple[Any, ...]]:
        """The values of ``count`` structures one behind the other, for a class of scalars alone; none is made yet."""
        return cls._struct.iter_unpack(data[offset : offset + count * cls.size])

    def pack(self) -> bytes:
        """The bytes in memory; :class:`struct.error` when a value does not fit its field."""
        items: list[Any] = []
        for name, width in self._widths:
            value = getattr(self, name)
            items.extend(value if width else (value,))
        return self._struct.pack(*items)

    @classmethod
    def offset_of(cls, path: str) -> int:
        """Offset in bytes of a field (``da``) or of one item of an array (``reserved[1]``); KeyError when unknown."""
        for leaf in cls.leaves:
            if path in (leaf.path, leaf.path.removesuffix("[0]")):
                return leaf.offset
        raise KeyError(f"{cls.__name__} has no field {path}")

    def value_of(self, path: str) -> int | bytes:
        """The value at a leaf's path."""
        name, _, index = path.partition("[")
        value = getattr(self, name)
        chosen: int | bytes = value[int(index.rstrip("]"))] if index else value
        return chosen


def _items(format_: str) -> list[str]:
    """``<2I8s`` as one code per value: I, I, 8s."""
    items: list[str] = []
    position = 1
    while position < len(format_):
        item = _ITEM.match(format_, position)
        if format_[0] != "<" or item is None:
            raise TypeError(f"layout {format_!r}: expected '<' and items of {_ITEM.pattern}")
        count, code = item.groups()
        items.extend([f"{count or 1}s"] if code == "s" else [code] * int(count or 1))
        position = item.end()
    return items


def _widths(made: type) -> tuple[tuple[str, int], ...]:
    """Fields and how many values each takes. Hints are text, whose evaluation takes long, and but few are tuples."""
    names: tuple[str, ...] = made.__match_args__  # type: ignore[attr-defined]  # dataclass() has just put it there
    hints = [hint for base in made.__mro__ for hint in vars(base).get("__annotations__", {}).values()]
    if not any(str(each).startswith("tuple[") for each in hints):
        return tuple((name, 0) for name in names)
    types = get_type_hints(made)
    return tuple((name, len(get_args(types[name])) if get_origin(types[name]) is tuple else 0) for name in names)


@dataclass_transform(frozen_default=True)
def layout(format_: str) -> Callable[[type[S]], type[S]]:
    """Make a class a frozen, slotted dataclass with this little-endian, packed layout.

    Each field takes one item of the format; a field annotated ``tuple[int, int]`` takes two.
    """
    items = _items(format_)

    def make(cls: type[S]) -> type[S]:
        made = dataclass(frozen=True, slots=True)(cls)
        widths = _widths(made)
        paths = [f"{name}[{i}]" if width else name for name, width in widths for i in range(width or 1)]
        if len(paths) != len(items):
            raise TypeError(f"{cls.__name__}: {len(paths)} values, but layout {format_!r} has {len(items)}")
        offset = 0
        leaves = []
        for path, item in zip(paths, items, strict=True):
            size = struct.calcsize("<" + item)
            leaves.append(Leaf(path, offset, size))
            offset += size
        made._struct = struct.Struct(format_)
        made.size = offset
        made.leaves = tuple(leaves)
        made._widths = widths
        made._is_flat = not any(width for _, width in widths)
        return made

    return make

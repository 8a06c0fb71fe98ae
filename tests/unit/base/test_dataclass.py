"""Our ``dataclass`` beside the standard library's: the same class twice, and nobody can tell them apart."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from dataclasses import field
from types import SimpleNamespace
from typing import Any, ClassVar, get_type_hints

import pytest

from orchestrator.base.dataclass import dataclass as ours


def classes(dataclass: Any) -> SimpleNamespace:
    """Every kind of class that the package has, by one of the two decorators."""

    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        note: str = field(default="", compare=False)
        hidden: tuple[int, ...] = field(default=(), repr=False)
        origin: ClassVar[int] = 7

        def shifted(self, by: int) -> Any:
            return dataclasses.replace(self, x=self.x + by)

    @dataclass(frozen=True, slots=True)
    class Deep(Point):
        z: int = 3
        y: int = 5

    @dataclass(slots=True)
    class Open:
        name: str
        items: list[int] = field(default_factory=list)
        made: dict[str, int] = field(init=False, default_factory=dict)
        found: int | None = field(init=False, default=None)
        late: int = field(init=False)

        def __post_init__(self) -> None:
            self.late = len(self.name)

    @dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        a: int
        b: str = "b"

    @dataclass(eq=False, slots=True)
    class Alone:
        a: int

    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    @dataclass(frozen=True, slots=True)
    class One:
        a: float

    @dataclass(frozen=True, slots=True)
    class OwnEquality:  # noqa: PLW1641  # the decorator adds it
        a: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "mine"

    @dataclass(frozen=True, slots=True)
    class OwnHash:
        a: int

        def __hash__(self) -> int:
            return 5

    @dataclass(frozen=True)
    class WithoutSlots:
        a: int
        b: int = 1

    @dataclass(frozen=True, slots=True)
    class OnOneWithout(WithoutSlots):
        c: int = 4

    @dataclass(frozen=True, slots=True, weakref_slot=True)
    class Weak:
        a: int

    return SimpleNamespace(**{name: value for name, value in locals().items() if isinstance(value, type)})


OURS, THEIRS = classes(ours), classes(dataclasses.dataclass)
CALLS = [
    ("Point", (1,), {}),
    ("Point", (1, 3, "a"), {}),
    ("Point", (1,), {"note": "b", "hidden": (4,)}),
    ("Point", (), {}),
    ("Point", (1,), {"x": 2}),
    ("Point", (1, 2, "", (), 5), {}),
    ("Deep", (1,), {}),
    ("Deep", (1, 2, "n", (), 9), {}),
    ("Open", ("abc",), {}),
    ("Open", ("abc", [1]), {}),
    ("Open", ("abc",), {"made": {}}),
    ("Ordered", (1,), {}),
    ("Ordered", (1, "c"), {}),
    ("Alone", (1,), {}),
    ("Nothing", (), {}),
    ("One", (1.5,), {}),
    ("OwnEquality", (1,), {}),
    ("OwnHash", (1,), {}),
    ("WithoutSlots", (1,), {}),
    ("OnOneWithout", (1, 2), {}),
    ("Weak", (3,), {}),
]
NAMES = sorted(vars(OURS))


def outcome(action: Any) -> Any:
    """What comes of it, or the error's kind and text."""
    try:
        return action()
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize(("name", "values", "named"), CALLS)
def test_an_object_is_made_shown_hashed_and_taken_apart_alike(name, values, named):
    def told(where: SimpleNamespace) -> Any:
        made = getattr(where, name)(*values, **named)
        hashed = outcome(lambda: hash(made))
        return (
            repr(made) if name != "Alone" else None,
            hashed if name != "Alone" else None,
            dataclasses.asdict(made),
            dataclasses.astuple(made),
            [(each.name, each.type, each.init, each.compare, each.repr) for each in dataclasses.fields(made)],
            [outcome(lambda name=name: setattr(made, name, 1)) for name in dataclasses.asdict(made)],
            [outcome(lambda name=name: delattr(made, name)) for name in dataclasses.asdict(made)],
            hasattr(made, "__dict__"),
        )

    assert outcome(lambda: told(OURS)) == outcome(lambda: told(THEIRS))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_looks_alike_from_outside(name):
    def told(where: SimpleNamespace) -> Any:
        cls = getattr(where, name)
        return (
            str(inspect.signature(cls)),
            str(inspect.signature(cls.__init__)),
            get_type_hints(cls.__init__),
            cls.__match_args__,
            cls.__slots__ if "__slots__" in vars(cls) else None,
            cls.__qualname__,
            cls.__module__,
            [getattr(cls.__dataclass_params__, name) for name in ("eq", "order", "frozen", "init", "repr")],
            dataclasses.is_dataclass(cls),
        )

    assert told(OURS) == told(THEIRS)


@pytest.mark.parametrize(("name", "values", "named"), [each for each in CALLS if each[0] != "Alone"])
def test_equality_and_order_are_alike(name, values, named):
    def told(where: SimpleNamespace) -> Any:
        cls = getattr(where, name)
        one, same = cls(*values, **named), cls(*values, **named)
        other = cls(*((7, *values[1:]) if values and isinstance(values[0], int) else values), **named)
        texts = [
            outcome(lambda: (one == same, one == other, one != same, one == 3)),
            outcome(lambda: (one < other, one <= other, one > other, one >= other)),
            outcome(lambda: one < 3),
        ]
        return str(texts)

    assert outcome(lambda: told(OURS)) == outcome(lambda: told(THEIRS))


def test_what_is_frozen_takes_no_new_attribute():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'unknown'"):
        OURS.Point(1).unknown = 1  # of which the standard library's says a TypeError of super()


def test_what_does_not_compare_makes_no_difference():
    assert OURS.Point(1, note="a") == OURS.Point(1, note="b")
    assert hash(OURS.Point(1, note="a")) == hash(OURS.Point(1, note="b"))
    assert OURS.Point(1) != OURS.Deep(1, 2)


def test_two_objects_do_not_share_what_a_factory_makes():
    one, other = OURS.Open("a"), OURS.Open("a")
    one.items.append(1)
    one.made["a"] = 1
    assert (other.items, other.made) == ([], {})


@ours(frozen=True, slots=True)
class Sent:
    a: int
    b: tuple[int, ...] = ()


def test_what_is_frozen_is_copied_and_pickled():
    sent = Sent(1, (2, 3))
    for again in (pickle.loads(pickle.dumps(sent)), copy.copy(sent), copy.deepcopy(sent)):
        assert again == sent
        assert again is not sent or isinstance(again, Sent)


def test_replace_and_match_take_a_class_of_ours():
    assert OURS.Point(1).shifted(4) == OURS.Point(5)
    match OURS.Point(1, 9):
        case OURS.Point(1, y):
            assert y == 9
        case _:
            pytest.fail("no match")


def test_a_standard_dataclass_may_stand_on_one_of_ours():
    @dataclasses.dataclass(frozen=True)
    class Above(Sent):
        c: int = 8

    assert repr(Above(1)).endswith("Above(a=1, b=(), c=8)")
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):
        dataclasses.dataclass(type("Bad", (Sent,), {}))


def test_an_object_that_holds_itself_is_shown():
    looped = OURS.Open("a")
    looped.items.append(looped)
    assert repr(looped).endswith("Open(name='a', items=[...], made={}, found=None, late=1)")


def test_classes_of_one_shape_keep_their_names_apart():
    @ours(frozen=True, slots=True)
    class One:
        first: int
        a0: int = 5

    @ours(frozen=True, slots=True)
    class Other:
        a1: int
        first: int = 6

    assert (One(a0=1, first=2), One(3)) == (One(2, 1), One(3, 5))
    assert repr((One(3), Other(a1=4))).endswith("Other(a1=4, first=6))")
    assert One.__init__.__code__.co_code == Other.__init__.__code__.co_code
    with pytest.raises(TypeError, match=r"Other.__init__\(\) missing 1 required positional argument: 'a1'"):
        Other()


def test_what_must_be_given_does_not_follow_what_need_not():
    @ours(slots=True)
    class Bad:
        first: int = 1
        second: str

    with pytest.raises(TypeError, match="non-default argument 'second' follows default argument"):
        Bad(1, "a")


def test_a_default_that_may_change_is_refused():
    class Bad:
        a: list[int] = []

    with pytest.raises(ValueError, match="use default_factory"):
        ours(slots=True)(Bad)


def test_a_run_compiles_nothing_of_a_class_that_it_does_not_use():
    text = (
        "import orchestrator.events as e; from orchestrator.base.dataclass import _Lazy;"
        "lazy = [v for v in vars(e).values() if type(v) is type and isinstance(vars(v).get('__init__'), _Lazy)];"
        "assert len(lazy) > 10, lazy"
    )
    subprocess.run([sys.executable, "-c", text], check=True)

"""``dataclass`` for a command that starts often: the same classes as :mod:`dataclasses` makes, in a fifth of the time.

:mod:`dataclasses` compiles up to eight methods of each class when its module is imported, which was a quarter of the
time from ``rptwin run`` to a verdict. Here ``__init__`` is compiled when it is first asked for, most often never, and
the other methods are closures. What :func:`dataclasses.fields` and its like look at is made by :mod:`dataclasses`
itself, when they look.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Container, Sequence
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "slots_of"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        eq: bool = True,
        order: bool = False,
        frozen: bool = False,
        slots: bool = False,
        weakref_slot: bool = False,
    ) -> Any:
        """:func:`dataclasses.dataclass`, with those of its parameters that are used here."""
        options = {"eq": eq, "order": order, "frozen": frozen}

        def make(cls: type) -> type:
            if not _is_plain(cls):
                return dataclasses.dataclass(**options, slots=slots, weakref_slot=weakref_slot)(cls)
            if not slots:
                return _unslotted(cls, options)
            return _slotted(cls, options, ("__weakref__",) if weakref_slot else ())

        return make if cls is None else make(cls)


def slots_of(cls: type) -> tuple[tuple[str, ...], bool] | None:
    """The fields of a class made here, and whether it is frozen; None where its objects are more than its fields."""
    fields = vars(cls).get(_OWN)
    if fields is None or cls.__dictoffset__ or hasattr(cls, "__deepcopy__"):
        return None
    slots = {name for base in cls.__mro__ for name in vars(base).get("__slots__", ())} - {"__weakref__"}
    is_frozen = any("__setattr__" in vars(base) for base in cls.__mro__[:-1])
    return (tuple(fields), is_frozen) if slots == set(fields) else None


_MISSING: Any = dataclasses.MISSING
_OWN = "__own_fields__"  # of each class made here, all its fields by name
_MADE_BY_CLASS = ("__dict__", "__weakref__")


class _Factory:
    """The default of a parameter whose value a factory makes."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


class _Lazy:
    """An attribute of a class that is made when it is first looked at, and takes this one's place."""

    __slots__ = ("_make", "_name", "owner")

    def __init__(self, name: str, make: Callable[[Any], Any]) -> None:
        self._name = name
        self._make = make
        self.owner: type | None = None

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        assert self.owner is not None
        made = self._make(self.owner)
        setattr(self.owner, self._name, made)
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


def _is_plain(cls: type) -> bool:
    """Whether annotations are text, as everywhere after ``from __future__ import annotations``, and bases ours."""
    if any("__dataclass_fields__" in vars(base) and _OWN not in vars(base) for base in cls.__mro__[1:]):
        return False
    for hint in vars(cls).get("__annotations__", {}).values():
        if type(hint) is not str or hint.startswith(("InitVar", "KW_ONLY", "dataclasses.")):
            return False
    return True


class _PlainField:
    """What is asked of a :class:`dataclasses.Field`, of one that has a type, and perhaps a default, and no more."""

    __slots__ = ("default", "name", "type")
    init = repr = compare = True
    default_factory = _MISSING

    def __init__(self, name: str, hint: str, default: Any) -> None:
        self.name = name
        self.type = hint
        self.default = default


_Field = _PlainField | dataclasses.Field[Any]


def _own_fields(cls: type) -> dict[str, _Field]:
    fields: dict[str, _Field] = {}
    given = vars(cls)
    for name, hint in given.get("__annotations__", {}).items():
        if hint.startswith("ClassVar"):
            continue
        each = given.get(name, _MISSING)
        if type(each) is dataclasses.Field:
            each.name, each.type = name, hint
        else:
            each = _PlainField(name, hint, each)
        if type(each.default).__hash__ is None:
            raise ValueError(f"{cls.__name__}.{name}: a default that may change, {each.default!r}: use default_factory")
        fields[name] = each
    return fields


def _all_fields(cls: type, own: dict[str, _Field]) -> dict[str, _Field]:
    if cls.__mro__[1:] == (object,):
        return own
    fields: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= vars(base).get(_OWN, {})
    return fields | own


def _slotted(cls: type, options: dict[str, bool], extra_slots: tuple[str, ...]) -> type:
    """The class anew, its fields as slots."""
    own = _own_fields(cls)
    fields = _all_fields(cls, own)
    inherited = {slot for base in cls.__mro__[1:] for slot in vars(base).get("__slots__", ())}
    namespace = {name: value for name, value in vars(cls).items() if name not in own and name not in _MADE_BY_CLASS}
    namespace["__slots__"] = (*(name for name in fields if name not in inherited), *extra_slots)
    state = _state(list(fields)) if options["frozen"] else {}
    added = _added(namespace, fields, options) | {name: each for name, each in state.items() if name not in namespace}
    owner: list[type] = []
    frozen = _frozen(owner, fields) if options["frozen"] else {}
    made: type = type(cls)(cls.__name__, cls.__bases__, namespace | added | frozen)
    owner.append(made)
    made.__qualname__ = cls.__qualname__
    _let_know(made, added)
    return made


def _unslotted(cls: type, options: dict[str, bool]) -> type:
    """The class itself."""
    own = _own_fields(cls)
    fields = _all_fields(cls, own)
    added = _added(dict(vars(cls)), fields, options)
    for name, value in added.items():
        setattr(cls, name, value)
    for name, each in own.items():
        if each.default is not dataclasses.MISSING:
            setattr(cls, name, each.default)
        elif name in vars(cls):
            delattr(cls, name)
    if options["frozen"]:
        for name, value in _frozen([cls], fields).items():
            setattr(cls, name, value)
    _let_know(cls, added)
    return cls


def _added(
    namespace: dict[str, Any],
    fields: dict[str, _Field],
    options: dict[str, bool],
) -> dict[str, Any]:
    """What a class with this namespace has not, and gets."""
    found: dict[str, Any] = {
        "__init__": _Lazy("__init__", lambda made: _init(made, fields, frozen=options["frozen"])),
        "__dataclass_fields__": _Lazy("__dataclass_fields__", lambda made: _standard_fields(made, fields)),
        "__dataclass_params__": _Lazy("__dataclass_params__", lambda _made: _standard_params(options)),
        "__match_args__": tuple(name for name, each in fields.items() if each.init),
        **_methods(fields, options),
    }
    defined = set(namespace)
    if "__eq__" in defined and namespace["__hash__"] is None:
        defined.remove("__hash__")  # Python's doing, and not the class's
    return {_OWN: fields} | {name: value for name, value in found.items() if name not in defined}


def _let_know(made: type, added: dict[str, Any]) -> None:
    """What needs the class itself."""
    for each in added.values():
        if type(each) is _Lazy:
            each.owner = made


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _self: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda self: (get(self),)


def _methods(fields: dict[str, _Field], options: dict[str, bool]) -> dict[str, Any]:
    """All but ``__init__``, by name, as :mod:`dataclasses` defines them."""
    values = _values([name for name, each in fields.items() if each.compare])

    def eq_(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_(self: Any) -> int:
        return hash(values(self))

    methods: dict[str, Any] = {"__repr__": _Lazy("__repr__", lambda _made: _repr(fields))}
    if options["eq"]:
        methods |= {"__eq__": eq_, "__hash__": hash_ if options["frozen"] else None}
    if options["order"]:
        methods |= _order(values)
    return methods


def _repr(fields: dict[str, _Field]) -> Callable[[Any], str]:
    shown = [name for name, each in fields.items() if each.repr]

    @recursive_repr()
    def repr_(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return repr_


def _order(values: Callable[[Any], tuple[Any, ...]]) -> dict[str, Any]:
    def lt_(self: Any, other: Any) -> Any:
        return values(self) < values(other) if other.__class__ is self.__class__ else NotImplemented

    def le_(self: Any, other: Any) -> Any:
        return values(self) <= values(other) if other.__class__ is self.__class__ else NotImplemented

    def gt_(self: Any, other: Any) -> Any:
        return values(self) > values(other) if other.__class__ is self.__class__ else NotImplemented

    def ge_(self: Any, other: Any) -> Any:
        return values(self) >= values(other) if other.__class__ is self.__class__ else NotImplemented

    return {"__lt__": lt_, "__le__": le_, "__gt__": gt_, "__ge__": ge_}


def _state(names: list[str]) -> dict[str, Any]:
    """How what is frozen is copied and pickled, whose attributes cannot be set."""

    def getstate_(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def setstate_(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": getstate_, "__setstate__": setstate_}


def _frozen(owner: Sequence[Any], names: Container[str]) -> dict[str, Any]:
    """What lets no attribute change; ``owner`` is the class, once it is there."""

    def setattr_(self: Any, name: str, value: Any) -> None:
        if type(self) is owner[0] or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(owner[0], self).__setattr__(name, value)

    def delattr_(self: Any, name: str) -> None:
        if type(self) is owner[0] or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(owner[0], self).__delattr__(name)

    return {"__setattr__": setattr_, "__delattr__": delattr_}


def _init(made: Any, fields: dict[str, _Field], *, frozen: bool) -> Callable[..., None]:
    """``__init__``, which sets each slot; of what is frozen by the slot's own descriptor.

    Fields and what belongs to them have numbers instead of names in the text: classes of one shape share what is
    compiled.
    """
    outer: dict[str, Any] = {"_FACTORY": _FACTORY, "_set": object.__setattr__}
    parameters, body = ["self"], []
    names: dict[str, str] = {}
    defaults: list[Any] = []
    for number, (name, each) in enumerate(fields.items()):
        value = parameter = f"a{number}"
        names[parameter] = name
        if each.default_factory is not dataclasses.MISSING:
            outer[f"_make_{number}"] = each.default_factory
            default: Any = _FACTORY
            value = (
                f"_make_{number}() if {parameter} is _FACTORY else {parameter}" if each.init else f"_make_{number}()"
            )
        else:
            default = each.default
            if not each.init:
                if default is dataclasses.MISSING:
                    continue
                outer[f"_default_{number}"], value = default, f"_default_{number}"
        if each.init:
            parameters.append(parameter)
            if default is not dataclasses.MISSING:
                defaults.append(default)
            elif defaults:
                raise TypeError(f"non-default argument {name!r} follows default argument")
        if frozen and made.__dictoffset__:
            outer[f"_name_{number}"] = name
            body.append(f"_set(self, _name_{number}, {value})")
        elif frozen:
            outer[f"_set_{number}"] = getattr(made, name).__set__
            body.append(f"_set_{number}(self, {value})")
        else:
            body.append(f"self.{parameter} = {value}")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    code = _compiled(f"({', '.join(parameters)}):\n  " + "\n  ".join(body or ["pass"]), tuple(outer))
    init = FunctionType(
        code.replace(
            co_varnames=tuple(names.get(each, each) for each in code.co_varnames),
            co_names=tuple(names.get(each, each) for each in code.co_names),
        ),
        vars(sys.modules[made.__module__]),
        "__init__",
        tuple(defaults),
        tuple(CellType(outer[each]) for each in code.co_freevars),
    )
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {name: each.type for name, each in fields.items() if each.init} | {"return": None}
    return init


@cache
def _compiled(text: str, outer: tuple[str, ...]) -> CodeType:
    """The code of an ``__init__`` with this text behind its name, which finds ``outer`` around it."""
    whole = compile(f"def make({', '.join(outer)}):\n def __init__{text}\n return __init__", "<string>", "exec")
    (make,) = (each for each in whole.co_consts if isinstance(each, CodeType))
    (init,) = (each for each in make.co_consts if isinstance(each, CodeType))
    return init


def _standard_fields(made: type, fields: dict[str, _Field]) -> Any:
    """What :mod:`dataclasses` knows of fields: taken from a class of the same that it makes, without any method."""
    hints = {name: each.type for name, each in fields.items()}
    given = {name: each.default if type(each) is _PlainField else each for name, each in fields.items()}
    namespace = {name: each for name, each in given.items() if each is not _MISSING}
    twin: Any = type(
        made.__name__, (), {"__annotations__": hints, "__module__": made.__module__, "__doc__": "A twin.", **namespace}
    )
    return dataclasses.dataclass(init=False, repr=False, eq=False)(twin).__dataclass_fields__


def _standard_params(options: dict[str, bool]) -> Any:
    twin: Any = type("Twin", (), {"__doc__": "A twin."})
    return dataclasses.dataclass(**options)(twin).__dataclass_params__

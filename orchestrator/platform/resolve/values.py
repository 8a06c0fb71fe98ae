"""Values of properties: of the kind that is asked for, or as the model keeps them."""

from __future__ import annotations

from typing import Any

from orchestrator.platform import model, syntax
from orchestrator.platform.resolve.merge import MergedDescription, NameScope, Variable, error_at

__all__ = ["attributes", "integer", "shown", "typed"]


def typed(variable: Variable, name: str, kind: type, what: str, value_kind: type | tuple[type, ...] = object) -> Any:
    """The value of a property, which must be of a kind; None where it is not given."""
    if name not in variable.properties:
        return None
    given = variable.properties[name][0]
    value = given.value
    inner = value.value if isinstance(value, syntax.Literal) else None
    wrong_bool = isinstance(inner, bool) and value_kind is int
    if not isinstance(value, kind) or not isinstance(inner, value_kind) or wrong_bool:
        raise error_at(given.source, f"{variable.name}: {name}", expected=what, found=shown(value))
    return value


def integer(variable: Variable, name: str) -> int | None:
    """An integer of 64 bits, without a sign; None where it is not given."""
    value = typed(variable, name, syntax.Literal, "an integer", int)
    if value is None:
        return None
    if not 0 <= value.value < 1 << 64:
        raise error_at(value.source, f"{variable.name}: {name}", expected="0 or more", found=value.value)
    return int(value.value)


def attributes(description: MergedDescription, variable: Variable) -> dict[str, model.Value]:
    """All that is given of an entry, by name."""
    return {
        name: _value(description, given.value, scope, variable.name)
        for name, (given, scope) in variable.properties.items()
        if given.value is not syntax.EMPTY
    }


def _value(description: MergedDescription, value: syntax.Value, scope: NameScope, user: str) -> model.Value:
    """As the model has it: a name for a reference, (start, end) for a range, (type, (name, value)...) for new."""

    def inner(each: syntax.Value) -> model.Value:
        return _value(description, each, scope, user)

    match value:
        case syntax.Literal():
            return value.value
        case syntax.Reference():
            return description.refer(value, scope, user).name
        case syntax.Enumeration():
            return value.name
        case syntax.Range():
            return (value.start, value.end)
        case syntax.ListValue():
            return tuple(inner(item) for item in value.items)
        case syntax.Dictionary():
            return tuple((inner(key), inner(item)) for key, item in value.items)
        case syntax.Inline():
            given = [each for each in value.attributes if isinstance(each, syntax.Property)]
            return (value.type, *((each.name, inner(each.value)) for each in given))
    return None


def shown(value: syntax.Value) -> str:
    """A value as a message names it."""
    match value:
        case syntax.Literal(value=str() as text):
            return f'"{text}"' if len(text) < 40 else "a string"
        case syntax.Literal():
            return "none" if value.value is None else str(value.value).lower()
        case syntax.Reference() | syntax.Enumeration():
            return value.name
        case syntax.Inline():
            return f"new {value.type}"
        case syntax.Range():
            return f"<{value.start:#x}, {value.end:#x}>"
        case syntax.ListValue():
            return "a list"
        case syntax.Dictionary():
            return "a dictionary"
    return "empty"

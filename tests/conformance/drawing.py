"""Values that a JSON Schema allows, for as much of JSON Schema as request bodies in OpenAPI documents use."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
FORMATS = {
    "uuid": st.uuids(version=4).map(str),
    "uri": st.sampled_from(["https://hooks.example/in?a=1", "https://[::1]:8443/", "https://é.example"]),
}


def allowed(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw values that a schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return st.one_of([allowed(part) for part in schema[union]])
    types = schema.get("type", "anything")
    if isinstance(types, list):
        return st.one_of([allowed({**schema, "type": type_}) for type_ in types])
    return _TYPES[types](schema)


def _object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    known = {name: allowed(part) for name, part in schema.get("properties", {}).items()}
    required = set(schema.get("required", ()))
    drawn = st.fixed_dictionaries(
        {name: part for name, part in known.items() if name in required},
        optional={name: part for name, part in known.items() if name not in required},
    )
    more = schema.get("additionalProperties", True)
    if more is False:
        return drawn
    extra = st.dictionaries(st.text(max_size=6), ANYTHING if more is True else allowed(more), max_size=2)
    return st.builds(lambda extra, drawn: {**extra, **drawn}, extra, drawn)


def _array(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    items = allowed(schema.get("items", {}))
    return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 3))


def _string(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    return FORMATS.get(schema.get("format", ""), st.text(min_size=schema.get("minLength", 0), max_size=20))


_TYPES = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": lambda _: st.integers(-(10**6), 10**6) | st.floats(-1e300, 1e300),
    "integer": lambda _: st.integers(-(10**30), 10**30),
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
    "anything": lambda _: ANYTHING,
}

"""What the fake answers about records: query, read, create, update, assert, delete, merge."""

from __future__ import annotations

from typing import Any

from syncfsm_simulator.fakes.asgi import Reply
from syncfsm_simulator.fakes.attio import errors
from syncfsm_simulator.fakes.attio.rates import score_of
from syncfsm_simulator.fakes.attio.request import Request, json_reply
from syncfsm_simulator.fakes.attio.service import Service
from syncfsm_simulator.fakes.attio.writing import multiselects, new_values, read_values
from syncfsm_simulator.world.entity import Entity


def query(service: Service, request: Request) -> Reply:
    """Answer which records fit, in which order, and what that cost."""
    slug = service.object_type(request.params["object"]).slug
    body = request.json(default=b"{}")
    try:
        rows = service.query.rows(slug, body, service.lag.unindexed())
        score = score_of(body, len(service.world.entities(slug)))
    except RecursionError as error:
        raise errors.bad_json() from error
    service.charge(score)
    ids = service.world.ids_of(slug)
    answer = b'{"data":[' + b",".join([entity.encoded(ids) for entity in rows]) + b"]}"
    return Reply(200, answer, {"x-attio-record-query-score": str(score)})


def get(service: Service, request: Request) -> Reply:
    """Answer one record."""
    slug, entity = _found(service, request)
    return _reply(service, slug, entity)


def values(service: Service, request: Request) -> Reply:
    """Answer the values of one attribute of a record; those of the past only if they are asked for."""
    slug, entity = _found(service, request)
    name = request.params["attribute"]
    attribute = service.world.attribute(slug, name)
    if attribute is None:
        raise errors.not_found(f'Attribute with slug/ID "{name}" not found.')
    historic = request.query.get("show_historic") == "true"
    held = entity.held(attribute.slug) if historic else entity.active(attribute.slug)
    return json_reply({"data": request.page(held)})


def create(service: Service, request: Request) -> Reply:
    """Add a record."""
    slug = service.object_type(request.params["object"]).slug
    payload = read_values(service.world, slug, _data(request).get("values"))
    service.unique.check(slug, payload, None)
    return _reply(service, slug, _create(service, slug, payload))


def update(service: Service, request: Request) -> Reply:
    """Change a record: add to attributes with several values, replace the others."""
    slug, entity = _found(service, request)
    return _reply(service, slug, _write(service, request, slug, entity, multiselects(service.world, slug)))


def overwrite(service: Service, request: Request) -> Reply:
    """Change a record: replace the values of every attribute named."""
    slug, entity = _found(service, request)
    return _reply(service, slug, _write(service, request, slug, entity, frozenset()))


def assert_(service: Service, request: Request) -> Reply:
    """Change the one record that has the values given of an attribute, or add it."""
    slug = service.object_type(request.params["object"]).slug
    name = request.query.get("matching_attribute")
    if name is None:
        raise errors.invalid(["matching_attribute"], "Required", expected="string", received="undefined")
    attribute = service.world.attribute(slug, name)
    if attribute is None:
        message = f'No attribute was found for matching_attribute slug/ID "{name}".'
        raise errors.value_not_found(message)
    if not attribute.is_unique:
        message = f'The matching attribute "{name}" is not a unique attribute.'
        raise errors.invalid(["matching_attribute"], message, "invalid")
    payload = read_values(service.world, slug, _data(request, strict=True).get("values"))
    if not payload.get(attribute.slug):
        raise errors.missing_value(f'A value for the matching attribute "{name}" was not provided.')
    matches = service.unique.holders(slug, attribute, payload[attribute.slug])
    if len(matches) > 1:
        raise errors.several_matches(attribute.slug)
    if not matches:
        service.unique.check(slug, payload, None)
        return _reply(service, slug, _create(service, slug, payload))
    entity = service.world.entities(slug)[matches[0]]
    return _reply(service, slug, _write(service, request, slug, entity, frozenset({attribute.slug})))


def delete(service: Service, request: Request) -> Reply:
    """Take a record away."""
    slug, entity = _found(service, request)
    service.world.delete(slug, entity.record_id, service.actor)
    return json_reply({})


def merge(service: Service, request: Request) -> Reply:
    """Make one record of two, under a new id; 202 while that takes its time."""
    slug = service.object_type(request.params["object"]).slug
    data = _data(request)
    primary, secondary = (data.get(f"{which}_record_id") for which in ("primary", "secondary"))
    for which, record_id in (("primary", primary), ("secondary", secondary)):
        if not isinstance(record_id, str):
            raise errors.invalid(["data", f"{which}_record_id"], "Required", expected="string")
        if record_id not in service.world.entities(slug):
            raise errors.not_found(f'Record with ID "{record_id}" not found.')
    if primary == secondary:
        raise errors.ApiError(400, "self_merge", "A record cannot be merged with itself.")
    assert isinstance(primary, str)
    assert isinstance(secondary, str)
    new_id = service.world.merge(slug, primary, secondary, service.now(), service.actor)
    return json_reply({"data": {"new_record_id": new_id}}, 202 if service.lag.is_merging_slow else 200)


def _found(service: Service, request: Request) -> tuple[str, Entity]:
    """Return the record that a path names.

    Raises:
        ApiError: A 404: it is not there, or not readable yet.
    """
    slug, record_id = service.object_type(request.params["object"]).slug, request.params["record"]
    entity = service.world.entities(slug).get(record_id)
    if entity is None:
        raise errors.not_found(f'Record with ID "{record_id}" not found.')
    if service.lag.is_merging(record_id):
        raise errors.ApiError(404, "merge_in_progress", "This record is being merged.")
    return slug, entity


def _data(request: Request, *, strict: bool = False) -> dict[str, Any]:
    """Return the `data` of a write; `strict` where nothing but `values` may be in it."""
    data = request.data()
    if strict and (unknown := sorted(set(data) - {"values"})):
        message = f"Unrecognized key(s) in object: {', '.join(map(repr, unknown))}"
        raise errors.invalid(["data"], message, "unrecognized_keys", keys=unknown)
    return data


def _create(service: Service, slug: str, payload: Any) -> Entity:
    service.meet_no_other_write()
    now = service.now()
    held = new_values(service.world, slug, None, payload, adds_to=frozenset(), at=now, actor=service.actor)
    return service.world.create(slug, held, now, service.actor)


def _write(service: Service, request: Request, slug: str, entity: Entity, adds_to: frozenset[str]) -> Entity:
    payload = read_values(service.world, slug, _data(request, strict=True).get("values"))
    service.unique.check(slug, payload, entity.record_id)
    service.meet_no_other_write()
    now = service.now()
    held = new_values(service.world, slug, entity, payload, adds_to=adds_to, at=now, actor=service.actor)
    if held:
        service.world.write(slug, entity.record_id, held, now, service.actor)
    return entity


def _reply(service: Service, slug: str, entity: Entity) -> Reply:
    return Reply(200, b'{"data":' + entity.encoded(service.world.ids_of(slug)) + b"}")

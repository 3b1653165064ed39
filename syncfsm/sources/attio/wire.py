"""What Attio puts on the wire, as far as paging needs it; everything else stays as the bytes it came in."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec

from syncfsm.core.options import Order
from syncfsm.outside.decoding import Decoder, NoTimestamp, Undecodable, to_utc
from syncfsm.sources.attio.person import Person, PersonRecord, PersonValues
from syncfsm.sources.protocol import Record

_NO_ID = "has no record id"
_DATE_RESOLUTION = timedelta(seconds=1)
_YEAR_MIN = 2000
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw]


class _Single(msgspec.Struct):
    data: msgspec.Raw


class _Id(msgspec.Struct):
    record_id: str


class _Timestamp(msgspec.Struct):
    value: str


class _Values(msgspec.Struct):
    created_at: list[_Timestamp]


class _Changed(msgspec.Struct):
    value: str
    active_until: str | None = None


class _Identified(msgspec.Struct):
    id: _Id


class _Placed(_Identified):
    values: _Values


class _Valued(_Identified):
    values: dict[str, msgspec.Raw]


class _RowValues(PersonValues, kw_only=True, gc=False):
    created_at: list[_Timestamp]


class _Row(Person, kw_only=True, gc=False):
    id: _Id
    values: _RowValues


class Token(msgspec.Struct):
    """What `/v2/self` says of a key."""

    active: bool
    scope: str = ""
    workspace_id: str = ""
    workspace_slug: msgspec.Raw = msgspec.Raw(b"null")
    token_level: str = ""

    @property
    def slug(self) -> str:
        """The slug of the workspace; nothing if that cannot be read, which no sync depends on."""
        return _texts.decoded(self.workspace_slug) or ""

    @property
    def is_of_user(self) -> bool:
        """Whether it sees what one user sees, and not all of the workspace."""
        return self.token_level == "user"  # noqa: S105 - no secret


class _Object(msgspec.Struct):
    api_slug: str


class Found(msgspec.Struct):
    """One object of a workspace."""

    class Data(msgspec.Struct):
        """What there is to know of it."""

        class Id(msgspec.Struct):
            """Its ids."""

            object_id: str

        id: Id

    data: Data


class Objects(msgspec.Struct):
    """The objects of a workspace."""

    data: list[_Object]


class _CompanyName(msgspec.Struct):
    value: str
    active_until: str | None = None


class _CompanyValues(msgspec.Struct):
    name: list[_CompanyName]


class _Company(_Identified):
    values: _CompanyValues


_envelopes = Decoder(_Envelope)
_singles = Decoder(_Single)
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)")
_NORMAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z")
_LONE = re.compile(rb"\\u[dD][89a-fA-F]..")
_rows = Decoder(_Row)
_placed = Decoder(_Placed)
_identified = Decoder(_Identified)
_valued = Decoder(_Valued)
_changes = Decoder(list[_Changed])
_companies = Decoder(_Company)
_texts = Decoder(str)


def decode_rows(body: bytes) -> list[msgspec.Raw] | None:
    """Return the rows of `{"data": [...]}`, or `None` if the body is anything else."""
    rows = _decode_envelope(body)
    return rows if rows is not None else _decode_envelope(_without_lone_surrogates(body))


def decode_row(body: bytes) -> msgspec.Raw | None:
    """Return the row of `{"data": {...}}`, or `None` if the body is anything else."""
    single = _singles.decoded(_without_lone_surrogates(body))
    return None if single is None else single.data


def is_of(row: msgspec.Raw, record_id: str) -> bool:
    """Whether a row says that it is of a record; one that cannot be read says nothing."""
    found = _identified.decoded(row)
    return found is not None and found.id.record_id == record_id


def _decode_envelope(body: bytes) -> list[msgspec.Raw] | None:
    envelope = _envelopes.decoded(body)
    return None if envelope is None else envelope.data


def _without_lone_surrogates(body: bytes) -> bytes:
    r"""Return the body with half characters replaced by U+FFFD.

    JavaScript writes half of an emoji, cut by a length limit, as `\ud83d`. That is JSON by its grammar (RFC
    8259, section 8.2) but no text, and one such name must not keep a whole page from being read.
    """
    return _ESCAPE.sub(lambda found: rb"\ufffd" if _LONE.fullmatch(found[0]) else found[0], body)


def to_record(row: msgspec.Raw, order: Order, changed_by: str | None = None) -> Record:
    """Return a row with its id and sort key, or with the problem that keeps it from having them.

    Args:
        row: As it came.
        order: In which the rows were asked for.
        changed_by: The attribute by which they were, in the place of `created_at`.
    """
    raw = bytes(row)
    if changed_by and order != "id":
        return _placed_only(raw, order, changed_by)
    try:
        person = _rows.decode(raw)
        record_id = person.id.record_id
        key = record_id if order == "id" else normal_timestamp(person.values.created_at[0].value)
    except (
        Undecodable,
        IndexError,
    ):  # no person: what keeps it from being one need not keep it from its place
        return _placed_only(raw, order, None)
    problem = "" if record_id else _NO_ID
    return PersonRecord(id=record_id, key=key, raw=raw, problem=problem, decoded=(raw, person))


def _placed_only(raw: bytes, order: Order, changed_by: str | None) -> Record:
    try:
        record_id, key = _place_by(raw, changed_by) if changed_by else _place(raw, order)
    except (Undecodable, IndexError, KeyError) as error:
        problem = f"cannot be placed: {_reason(error, changed_by or 'created_at')}"
        return Record(id=id_of(raw), key="", raw=raw, problem=problem)
    return Record(id=record_id, key=key, raw=raw, problem="" if record_id else _NO_ID)


def _place(raw: bytes, order: Order) -> tuple[str, str]:
    """Return the id and the sort key; in the order of ids, no more than an id is needed."""
    if order == "id":
        record_id = _identified.decode(raw).id.record_id
        return record_id, record_id
    placed = _placed.decode(raw)
    return placed.id.record_id, normal_timestamp(placed.values.created_at[0].value)


def _place_by(raw: bytes, changed_by: str) -> tuple[str, str]:
    """Return the id and the time of the last change, by the first active value of an attribute."""
    valued = _valued.decode(raw)
    values = [value for value in _changes.decode(valued.values[changed_by]) if value.active_until is None]
    return valued.id.record_id, normal_timestamp(values[0].value)


def id_of(raw: bytes) -> str:
    """Return the id of a row, or nothing."""
    identified = _identified.decoded(raw)
    return identified.id.record_id if identified else ""


def _reason(error: Exception, slug: str) -> str:
    """Return why a row cannot be placed; decoders name the place and the type, never the value."""
    if isinstance(error, IndexError | KeyError):
        return f"values.{slug} is empty"
    return f"values.{slug} is {error}" if isinstance(error, NoTimestamp) else str(error)


def normal_timestamp(text: str) -> str:
    """Return a timestamp with nine fractional digits and `Z`, so that text order is time order.

    Raises:
        NoTimestamp: It is none.
    """
    if _NORMAL.fullmatch(text):
        return text
    return to_utc(text).isoformat(timespec="microseconds").replace("+00:00", "000Z")


def to_company_name(row: msgspec.Raw) -> tuple[str, str | None] | None:
    """Return a company's id and its first active name, or `None` where it does not say what its name is."""
    company = _companies.decoded(row)
    return None if company is None else (company.id.record_id, _active_name(company))


def _active_name(company: _Company) -> str | None:
    return next((name.value for name in company.values.name if name.active_until is None), None)


def accurate_at(said: str, sent_at: datetime | None) -> datetime | None:
    """Return the instant that an answer reflects by the server's own clock, UTC; null if it says none.

    That is what it says, but not later than when it was sent; or that, where it says no more. One that does
    not say where its clock is, is UTC. Digits of a second beyond the sixth are cut off. A year in which there
    was no Attio is no statement.
    """
    try:
        at = to_utc(_BEYOND_MICROSECONDS.sub(r"\1", said.strip()))
    except NoTimestamp:
        return sent_at
    if at.year < _YEAR_MIN:
        return sent_at
    return sent_at if sent_at is not None and at >= sent_at + _DATE_RESOLUTION else at

"""What of a person Quo can take: the rules of its fields, and what becomes of what does not fit. No I/O.

A person whom Quo could not keep apart from others, for want of an id that fits, is rejected. A part that
does not fit, such as a phone number that is none, is left out and counted, and the rest goes through.
Nothing is invented: a person without a name has a null `firstName`, and Quo shows the company or the number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from syncfsm.core.paging.place import Reject
from syncfsm.core.value import Value
from syncfsm.items.contact import Contact
from syncfsm.sinks.quo.phones import PhoneReader

EXTERNAL_ID_CHARS_MAX = 75
SOURCE_CHARS_MAX = 72
SOURCE_URL_CHARS_MAX = 200

RESERVED_SOURCES = frozenset({"openphone", "device", "csv", "zapier", "google-people", "other"})
RESERVED_PREFIXES = ("openphone", "csv")

WITHOUT_PHONE = "people without a phone number"
NO_NUMBERS = "phone numbers that are none"
EXTENSIONS = "phone extensions"
LONG_URLS = f"source URLs longer than {SOURCE_URL_CHARS_MAX} characters"

Key = tuple[str, str]
"""Source and external id: one contact."""


class QuoPage(Value, frozen=True):
    """A page as it goes to Quo.

    Attributes:
        wanted: The contacts as they are to be in Quo.
        rejects: The people whom Quo cannot take.
        left_out: How many of what were left out; people, or parts of them.
    """

    wanted: dict[Key, Contact]
    rejects: tuple[Reject, ...]
    left_out: dict[str, int]


def to_page(items: Sequence[Contact], phones: PhoneReader, *, require_phone: bool) -> QuoPage:
    """Return what of a page goes to Quo; of two contacts with one key the last counts."""
    wanted: dict[Key, Contact] = {}
    rejects: list[Reject] = []
    left_out: Counter[str] = Counter()
    for item in items:
        problem = _problem(item)
        if problem:
            rejects.append(Reject(record_id=item.external_id, reason=problem))
            continue
        contact, parts = _fitted(item, phones)
        if require_phone and not contact.phone_numbers:
            left_out[WITHOUT_PHONE] += 1
        else:
            left_out.update(parts)
            wanted[item.source, item.external_id] = contact
    return QuoPage(wanted=wanted, rejects=tuple(rejects), left_out=dict(left_out))


def source_problem(source: str) -> str:
    """Return why Quo would not take contacts of a source of that name; empty if it would."""
    if not 1 <= len(source) <= SOURCE_CHARS_MAX:
        return f"Quo takes a source name of 1 to {SOURCE_CHARS_MAX} characters, not {len(source)}"
    if source in RESERVED_SOURCES or source.startswith(RESERVED_PREFIXES):
        return f"Quo keeps the source name {source!r} for itself"
    return ""


def _problem(contact: Contact) -> str:
    """Return why Quo cannot take a contact at all. The reason repeats nothing of it but its source."""
    if not 1 <= len(contact.external_id) <= EXTERNAL_ID_CHARS_MAX:
        length = len(contact.external_id)
        return f"Quo takes an external id of 1 to {EXTERNAL_ID_CHARS_MAX} characters, not {length}"
    return source_problem(contact.source)


def _fitted(contact: Contact, phones: PhoneReader) -> tuple[Contact, Counter[str]]:
    """Return the contact as Quo can take it, and what was left out of it."""
    numbers, left_out = _numbers(contact.phone_numbers, phones)
    url = contact.source_url or None
    if url is not None and len(url) > SOURCE_URL_CHARS_MAX:  # cut short, it would lead nowhere
        left_out[LONG_URLS] += 1
        url = None
    return replace(contact, phone_numbers=numbers, source_url=url), left_out


def _numbers(texts: Iterable[str], phones: PhoneReader) -> tuple[tuple[str, ...], Counter[str]]:
    """Return the numbers in E.164, each once, and what was left out."""
    found: dict[str, None] = {}
    left_out: Counter[str] = Counter()
    for text in texts:
        number = phones.read(text)
        if number is None:
            left_out[NO_NUMBERS] += 1
        else:
            found[number.e164] = None
            left_out[EXTENSIONS] += number.has_extension
    return tuple(found), +left_out

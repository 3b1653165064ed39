"""Who lives in the world: the words and the odds that people and companies are made of.

Everything is invented; domains end in `.example`. The odds follow what production workspaces look like:
few phones, some people without a name or an address, shared companies, text in every script.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from functools import cache

from syncfsm_simulator.world.entity import fields_text

FIRST_NAMES = (
    "Marisol", "Ada", "Zoë", "Nguyễn", "Łukasz", "Þóra", "محمد", "李娜", "さくら", "Ольга", "Ioánna", "Chidi",
    "José", "Mia-Sophie", "O'Connor", "Đặng", "नेहा", "Sean", "Björk", 'D"Artagnan', "Ana\\Maria", "👩‍🚀 Sam",
)  # fmt: skip
LAST_NAMES = (
    "Okafor", "Lovelace", "Müller", "Trần", "Wójcik", "Jónsdóttir", "الخطيب", "王", "田中", "Петрова",
    "Papadópoulos", "Achebe", "García Márquez", "von der Leyen", "Smith", "ßtrauß", "שרה", "de\u0301 Souza",
    "Featherstonehaugh-Wolfeschlegelsteinhausenbergerdorff", "O\u2019Neill",
)  # fmt: skip
TITLES = (
    "Operations Lead",
    "CEO",
    "Ingénieure",
    "Account Manager",
    "VP of Things",
    "Care Coordinator",
    "经理",
)
COMPANY_NAMES = ("Harborline Freight", "Ünïted Bakeries", "北方软件", "Quill & Co.", "Blue Kettle", "Åre Snö")
CITIES = (
    ("Oakland", "California", "US"),
    ("Łódź", "Łódzkie", "PL"),
    ("東京", "東京都", "JP"),
    ("Leeds", None, "GB"),
)
PHONES = (("US", "+1415555", "(415) 555-"), ("GB", "+4420794", "+44 20 794 "), ("DE", "+4930555", "030 555 "))

_EMAILS = (1, 6, 7.5, 8.0)
_PHONES = (4, 9, 10.0)
"""How often there are 0, 1, 2 … of them, added up."""


def uuid(rng: random.Random) -> str:
    """Return a random id in the form of a UUID, version 4."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def below(rng: random.Random, count: int) -> int:
    """Return the number that `rng.randrange(count)` would, in a third of the time: a world takes many."""
    bits = count.bit_length()
    number = rng.getrandbits(bits)
    while number >= count:
        number = rng.getrandbits(bits)
    return number


def _how_many(rng: random.Random, odds: Sequence[float]) -> int:
    """Return the number that `rng.choices` would, of odds that are added up."""
    return bisect(odds, rng.random() * odds[-1], 0, len(odds) - 1)


# The fields of values are JSON, without the braces around them.


def name_fields(rng: random.Random) -> str | None:
    """Return a personal name, or nothing for a twelfth of people; some have only one part."""
    odds = rng.random()
    if odds < 0.08:
        return None
    first = FIRST_NAMES[below(rng, len(FIRST_NAMES))] if odds > 0.1 else ""
    last = LAST_NAMES[below(rng, len(LAST_NAMES))] if odds < 0.95 else ""
    return full_name(first, last)


@cache
def full_name(first: str, last: str) -> str:
    """Return the fields of a name; there are few, and many who bear them."""
    return fields_text(first_name=first, last_name=last, full_name=f"{first} {last}".strip())


def title_fields(rng: random.Random) -> str:
    """Return a job title."""
    return _title(TITLES[below(rng, len(TITLES))])


@cache
def _title(title: str) -> str:
    return fields_text(value=title)


def email_fields(rng: random.Random, index: int) -> list[str]:
    """Return up to three addresses; one person in eight has none."""
    return [_email(f"{index}.{number}", below(rng, 200)) for number in range(_how_many(rng, _EMAILS))]


def _email(number: str, domain_number: int) -> str:
    root = f"harbor{domain_number}.example"
    return (
        f'"original_email_address":"P{number}@mail.{root}","email_address":"p{number}@mail.{root}",'
        f'"email_domain":"mail.{root}","email_root_domain":"{root}","email_local_specifier":"p{number}"'
    )


def phone_fields(rng: random.Random) -> list[str]:
    """Return up to two numbers; two people in five have none, and some numbers are shared."""
    return [_phone(rng) for _ in range(_how_many(rng, _PHONES))]


def _phone(rng: random.Random) -> str:
    country, prefix, written = PHONES[below(rng, len(PHONES))]
    number = f"{below(rng, 3000):04}"
    return (
        f'"country_code":"{country}","original_phone_number":"{written}{number}",'
        f'"phone_number":"{prefix}{number}"'
    )


def location_fields(rng: random.Random) -> str:
    """Return a place, known to the town."""
    town = _town(*CITIES[below(rng, len(CITIES))])
    return f'{town},"latitude":"{rng.uniform(-60, 70):.6f}","longitude":"{rng.uniform(-180, 180):.6f}"'


@cache
def _town(locality: str, region: str | None, country: str) -> str:
    lines = dict.fromkeys(("line_1", "line_2", "line_3", "line_4"))
    return fields_text(**lines, locality=locality, region=region, postcode=None, country_code=country)

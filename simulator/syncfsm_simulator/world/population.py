"""Who lives in the world: the words and the odds that people and companies are made of.

Everything is invented; domains end in `.example`. The odds follow what production workspaces look like:
few phones, some people without a name or an address, shared companies, text in every script.
"""

from __future__ import annotations

import random
from typing import Any

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

Fields = dict[str, Any]


def uuid(rng: random.Random) -> str:
    """Return a random id in the form of a UUID, version 4."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def name_fields(rng: random.Random) -> Fields | None:
    """Return a personal name, or nothing for a twelfth of people; some have only one part."""
    odds = rng.random()
    if odds < 0.08:
        return None
    first = rng.choice(FIRST_NAMES) if odds > 0.1 else ""
    last = rng.choice(LAST_NAMES) if odds < 0.95 else ""
    return {"first_name": first, "last_name": last, "full_name": f"{first} {last}".strip()}


def email_fields(rng: random.Random, index: int) -> list[Fields]:
    """Return up to three addresses; one person in eight has none."""
    count = rng.choices((0, 1, 2, 3), (1, 5, 1.5, 0.5))[0]
    return [_email(f"p{index}.{number}", rng.randrange(200)) for number in range(count)]


def _email(local: str, domain_number: int) -> Fields:
    root = f"harbor{domain_number}.example"
    return {
        "original_email_address": f"{local.title()}@mail.{root}",
        "email_address": f"{local}@mail.{root}",
        "email_domain": f"mail.{root}",
        "email_root_domain": root,
        "email_local_specifier": local,
    }


def phone_fields(rng: random.Random) -> list[Fields]:
    """Return up to two numbers; two people in five have none, and some numbers are shared."""
    count = rng.choices((0, 1, 2), (4, 5, 1))[0]
    return [_phone(rng) for _ in range(count)]


def _phone(rng: random.Random) -> Fields:
    country, prefix, written = rng.choice(PHONES)
    number = f"{rng.randrange(3000):04}"
    return {
        "country_code": country,
        "original_phone_number": f"{written}{number}",
        "phone_number": f"{prefix}{number}",
    }


def location_fields(rng: random.Random) -> Fields:
    """Return a place, known to the town."""
    locality, region, country = rng.choice(CITIES)
    return {
        **dict.fromkeys(("line_1", "line_2", "line_3", "line_4")),
        "locality": locality,
        "region": region,
        "postcode": None,
        "country_code": country,
        "latitude": f"{rng.uniform(-60, 70):.6f}",
        "longitude": f"{rng.uniform(-180, 180):.6f}",
    }

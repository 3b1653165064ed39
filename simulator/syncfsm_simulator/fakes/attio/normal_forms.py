"""Countries, phone numbers and domains: as much of them as is needed to bring values into one form."""

from __future__ import annotations

import re

COUNTRIES = frozenset({
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV",
    "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU",
    "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES",
    "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM",
    "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE",
    "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM",
    "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY",
    "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT",
    "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
    "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA",
    "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM",
    "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL",
    "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE",
    "VG", "VI", "VN", "VU", "WF", "WS", "XK", "YE", "YT", "ZA", "ZM", "ZW",
})  # fmt: skip
"""ISO 3166-1 alpha-2, and XK for Kosovo, as Attio has it."""

_CALLING_CODES = {
    "US": "1", "CA": "1", "RU": "7", "EG": "20", "ZA": "27", "GR": "30", "NL": "31", "BE": "32",
    "FR": "33", "ES": "34", "HU": "36", "IT": "39", "RO": "40", "CH": "41", "AT": "43", "GB": "44",
    "DK": "45", "SE": "46", "NO": "47", "PL": "48", "DE": "49", "PE": "51", "MX": "52", "AR": "54",
    "BR": "55", "CL": "56", "CO": "57", "MY": "60", "AU": "61", "ID": "62", "PH": "63", "NZ": "64",
    "SG": "65", "TH": "66", "JP": "81", "KR": "82", "VN": "84", "CN": "86", "TR": "90", "IN": "91",
    "PK": "92", "MA": "212", "NG": "234", "KE": "254", "PT": "351", "LU": "352", "IE": "353",
    "IS": "354", "FI": "358", "LT": "370", "LV": "371", "EE": "372", "UA": "380", "HR": "385",
    "SI": "386", "CZ": "420", "SK": "421", "HK": "852", "TW": "886", "AE": "971", "IL": "972",
}  # fmt: skip
_DEGREES = re.compile(r"[-+]?(?:0|[1-9]\d{0,2})(?:\.\d+)?", re.ASCII)
_DIGITS_MIN, _DIGITS_MAX = 7, 15  # E.164
_TWO_PART_ENDINGS = frozenset({"co.uk", "org.uk", "com.au", "co.jp", "co.nz", "com.br", "co.in", "co.za"})


def root_domain(domain: str) -> str:
    """Return the part of a domain that somebody registers."""
    labels = domain.split(".")
    return ".".join(labels[-3:] if ".".join(labels[-2:]) in _TWO_PART_ENDINGS else labels[-2:])


def phone_number(written: str, country: str | None) -> str | None:
    """Return a number in the form E.164, or nothing; without a `+` its country must be known."""
    digits = re.sub(r"\D", "", written, flags=re.ASCII)
    if not written.strip().startswith("+"):
        if country not in _CALLING_CODES:
            return None
        digits = _CALLING_CODES[country] + digits.removeprefix("0")
    is_number = _DIGITS_MIN <= len(digits) <= _DIGITS_MAX and not digits.startswith("0")
    return f"+{digits}" if is_number else None


def country_of(number: str) -> str | None:
    """Return the country of a number in the form E.164; of those that share a code, the largest."""
    for country, code in _CALLING_CODES.items():
        if number.startswith(f"+{code}"):
            return country
    return None


def is_degrees(text: str, most: int) -> bool:
    """Whether a text is a latitude (`most` 90) or longitude (180) as Attio writes it."""
    return bool(_DEGREES.fullmatch(text)) and abs(float(text)) <= most

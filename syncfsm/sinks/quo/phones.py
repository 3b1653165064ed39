"""Phone numbers as Quo keeps them: E.164, whatever was sent.

What is sent must therefore be E.164 too, or a contact would never be found unchanged. Attio has most numbers
in that form; the rest is read by the package `phonenumbers`, an extra that only this sink needs.
"""

from __future__ import annotations

from typing import Any

from syncfsm.core.value import Value
from syncfsm.errors import ConfigurationError

_MEXICO = 52
_OLD_MOBILE_DIGITS = 11


class PhoneNumber(Value, frozen=True):
    """A number in E.164; `has_extension` says that it had one, for which E.164 has no place."""

    e164: str
    has_extension: bool


class PhoneReader:
    """Reads phone numbers.

    Args:
        default_region: Where a number without a country code is from, such as `US`; nowhere if `None`.

    Raises:
        ConfigurationError: There is no such region, or `phonenumbers` is not installed.
    """

    def __init__(self, default_region: str | None = None) -> None:
        try:
            import phonenumbers  # noqa: PLC0415 - an extra, loaded when it is used
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "the Quo sink reads phone numbers by an extra: pip install 'syncfsm[quo]'"
            ) from error
        if default_region is not None and default_region not in phonenumbers.SUPPORTED_REGIONS:
            raise ConfigurationError(
                f"{default_region!r} is no region: give two capital letters, such as US or GB"
            )
        self._library = phonenumbers
        self._region = default_region

    def read(self, text: str) -> PhoneNumber | None:
        """Return the number, or `None` if it is none.

        Its length must be one that its country has, for a number in full: what can only be dialled within
        a town is none. Whether it was given to anybody is not asked, since the library may not know yet of
        the newest ranges. A Mexican mobile number as it was written until 2019, `+52 1`, is the one without
        the 1, by which it is reached now.
        """
        try:
            number = self._library.parse(text, self._region)
        except self._library.NumberParseException:
            return None
        number = self._without_old_mobile_mark(number)
        if self._library.is_possible_number_with_reason(number) != self._library.ValidationResult.IS_POSSIBLE:
            return None
        e164 = self._library.format_number(number, self._library.PhoneNumberFormat.E164)
        return PhoneNumber(e164=e164, has_extension=bool(number.extension))

    def _without_old_mobile_mark(self, number: Any) -> Any:
        """Return a Mexican number of eleven digits that begin with 1 as the ten that follow."""
        national = str(number.national_number)
        if number.country_code != _MEXICO or len(national) != _OLD_MOBILE_DIGITS or national[0] != "1":
            return number
        mended = self._library.PhoneNumber()
        mended.merge_from(number)
        mended.national_number = int(national[1:])
        return mended

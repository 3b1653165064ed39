"""Moments as clients write them, in the form in which they can be compared."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def moment(written: Any) -> str | None:
    """Return a moment in UTC with nine digits, so that text order is time order, or nothing.

    Attio wants both date and time of it.
    """
    found = _MOMENT.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        return None
    minute, second, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{minute}{second or ':00'}{zone or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError):  # month 13; the year 0
        return None
    return f"{at.isoformat()[:19]}.{fraction or '':0<9}Z"

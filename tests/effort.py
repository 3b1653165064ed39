"""How much the tests try: enough to be quick every time, or with THOROUGH=1 (make thorough) all they can.

What is tried less is tried by chance or by seed: the same claims are made of fewer examples. No test is left
out.
"""

from __future__ import annotations

import os

IS_THOROUGH = "THOROUGH" in os.environ


def tries(quick: int, thorough: int) -> int:
    """Return how many examples, seeds or people a test is to try."""
    return thorough if IS_THOROUGH else quick

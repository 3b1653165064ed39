"""What is not installed by default, asked for where a command needs it."""

from __future__ import annotations

from syncfsm.errors import ConfigurationError


def require_simulator() -> None:
    """Say what to install where the simulator is missing."""
    try:
        import tomli_w  # noqa: F401, PLC0415 - asked for by name, to say what is missing
    except ModuleNotFoundError as error:
        raise ConfigurationError("the simulator is an extra: pip install 'syncfsm[sim]'") from error

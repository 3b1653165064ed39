"""Many workspaces behind one address, as Attio has them: the token says whose a request is."""

from __future__ import annotations

from collections.abc import Mapping

from syncfsm_simulator.fakes.asgi import App, Receive, Scope, Send, header


def token(number: int) -> str:
    """Return the token of a workspace, by its number from 0: `workspace-1` is the first."""
    return f"workspace-{number + 1}"


class Workspaces:
    """An app that hands each request on to the app of its workspace.

    Args:
        apps: The workspaces, by their tokens. Who comes with any other is answered by the first, in its way:
            with 401, if that has an `api_key`.
    """

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = apps
        self._first = next(iter(apps.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        given = (header(scope, b"authorization") or "").rpartition(" ")[2] if scope["type"] == "http" else ""
        await self._apps.get(given, self._first)(scope, receive, send)

"""Attio's error answers: one envelope, and the words that were seen on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class ApiError(Exception):
    """An answer that is no 2xx."""

    def __init__(
        self, status: int, code: str, message: str, *, type_: str = "invalid_request_error", **extra: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status_code": status, "type": type_, "code": code, "message": message, **extra}


class RateLimited(ApiError):
    """The answer to one request too many, or to a query that costs too much; it was not executed.

    Attributes:
        retry_at: When to come again.
    """

    def __init__(self, retry_at: datetime) -> None:
        message = "Rate limit exceeded, please try again later"
        super().__init__(429, "rate_limit_exceeded", message, type_="rate_limit_error")
        self.retry_at = retry_at


def unauthorized(message: str) -> ApiError:
    """Return the answer to a token that is not known."""
    return ApiError(401, "unauthorized", message, type_="auth_error")


def forbidden(scopes: list[str]) -> ApiError:
    """Return the answer to a token that lacks scopes."""
    message = (
        "The API Key provided is not authorized to perform the requested action. "
        f"This request requires scopes: {', '.join(scopes)}."
    )
    return ApiError(403, "unauthorized", message, type_="auth_error")


def for_workspaces_only() -> ApiError:
    """Return the answer to a user's token where only the workspace's will do; Attio's words are not known."""
    return ApiError(
        403, "unauthorized", "This request requires a token of the workspace.", type_="auth_error"
    )


def doubled_webhook() -> ApiError:
    """Return the answer to a webhook that is told to a URL of what another one tells it already."""
    return ApiError(
        409, "uniqueness_conflict", "A webhook with this target URL, event type and filter exists already."
    )


def write_conflict() -> ApiError:
    """Return the answer to a write that meets another one of the same record."""
    return ApiError(
        409, "concurrent_write_conflict", "The record is being written by another request: try again."
    )


def not_found(message: str) -> ApiError:
    """Return a 404."""
    return ApiError(404, "not_found", message)


def bad_json() -> ApiError:
    """Return the answer to a body that cannot be read."""
    return ApiError(400, "validation_type", "Body is not valid JSON.")


def too_large() -> ApiError:
    """Return the answer to a body that passes the limit; Attio's own words for it are not known."""
    return ApiError(413, "request_too_large", "The body of the request is too large.")


def unknown_attribute(slug: str, path: list[str]) -> ApiError:
    """Return the answer to a filter or sort on something the object does not have."""
    return ApiError(400, "unknown_filter_attribute_slug", f"Unknown attribute slug: {slug}.", path=path)


def bad_filter(message: str, path: list[str]) -> ApiError:
    """Return the answer to a filter that makes no sense."""
    return ApiError(400, "filter_error", message, path=path)


def invalid(path: list[str | int], message: str, code: str = "invalid_type", **extra: Any) -> ApiError:
    """Return the answer to a body of the wrong shape."""
    entry = {"code": code, "path": path, "message": message, **extra}
    return ApiError(400, "validation_type", "Body payload validation error.", validation_errors=[entry])


def value_not_found(message: str) -> ApiError:
    """Return the answer to a value that names something the workspace does not have."""
    return ApiError(400, "value_not_found", message)


def missing_value(message: str) -> ApiError:
    """Return the answer to a request without something it needs."""
    return ApiError(400, "missing_value", message)


def immutable(slug: str) -> ApiError:
    """Return the answer to a write of what only Attio writes; its own words for it are not known."""
    return ApiError(400, "immutable_value", f'The attribute "{slug}" cannot be written.')


def conflict(slug: str, record_ids: list[str]) -> ApiError:
    """Return the answer to a value that another record has and only one may have; a 400, not a 409."""
    message = (
        f'The value provided for attribute "{slug}" conflicts with one already in the system. '
        f"Conflicting records: {', '.join(record_ids)}."
    )
    return ApiError(400, "uniqueness_conflict", message)


def several_matches(slug: str) -> ApiError:
    """Return the answer to an assertion whose values belong to more than one record."""
    return ApiError(400, "multiple_match_results", f'Multiple records match the values of "{slug}".')

"""Attio's error answers: one envelope, and the words that were seen on the wire."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is no 2xx."""

    def __init__(
        self, status: int, code: str, message: str, *, type_: str = "invalid_request_error", **extra: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status_code": status, "type": type_, "code": code, "message": message, **extra}


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


def not_found(message: str) -> ApiError:
    """Return a 404."""
    return ApiError(404, "not_found", message)


def rate_limited() -> ApiError:
    """Return the answer to one request too many; it was not executed."""
    message = "Rate limit exceeded, please try again later"
    return ApiError(429, "rate_limit_exceeded", message, type_="rate_limit_error")


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

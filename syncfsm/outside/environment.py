"""What the environment says of the way to the network: proxies, and whom to trust. Checked before it is used.

The client reads these variables by itself, and raises whatever its parts raise where one makes no sense. Here
they become errors that name the variable, and never what it holds: a proxy's URL may have a password.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import httpx

from syncfsm.errors import ConfigurationError

_PORT_MAX = 65_535

_UNKNOWN_SIGNERS = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for a certificate that is signed by itself or by somebody unknown (x509_vfy.h)."""


def open_client(transport: httpx.AsyncBaseTransport | None, **settings: Any) -> httpx.AsyncClient:
    """Return a client over a transport, or over the network as the environment says.

    Raises:
        ConfigurationError: A variable of the environment cannot be used.
    """
    if transport is not None:
        return httpx.AsyncClient(transport=transport, **settings)
    for scheme, url in getproxies().items():
        if scheme in {"http", "https", "all"} and url:
            _check_proxy(scheme, url if "://" in url else f"http://{url}")
    try:
        return httpx.AsyncClient(verify=trusted(), **settings)
    except (ValueError, httpx.InvalidURL):
        raise ConfigurationError(
            f"the variable {_variable('no')} cannot be used: let it hold hosts and domains with commas "
            "between them, an IPv6 address without brackets, no IPv6 network"
        ) from None


@cache
def trusted() -> ssl.SSLContext:
    """Return the authorities that are trusted, the same for all clients: to read them takes 40 ms."""
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if folders and not file and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise ConfigurationError(
            "the variable SSL_CERT_DIR names no folder that is there: nobody would be trusted"
        )
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = type(error).__name__ if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"the variable {'SSL_CERT_FILE' if file else 'SSL_CERT_DIR'} names no certificates that can be "
            f"read ({reason}): let it name a PEM file with those of the authorities to trust"
        ) from error


def _check_proxy(scheme: str, url: str) -> None:
    """Refuse a proxy that the client refuses, or could never ask."""
    try:
        proxy = httpx.Proxy(url)
        httpx.AsyncHTTPTransport(verify=trusted(), proxy=proxy)
        is_usable = bool(proxy.url.host) and (proxy.url.port or 0) <= _PORT_MAX
    except ImportError:
        raise ConfigurationError(
            f"the variable {_variable(scheme)} names a SOCKS proxy, which takes an extra: "
            "pip install 'httpx[socks]'"
        ) from None
    except (ValueError, httpx.InvalidURL):
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            f"the variable {_variable(scheme)} is not the URL of a proxy: http://HOST:PORT, or socks5://HOST:PORT"
        )


def _variable(scheme: str) -> str:
    """Return the variable that names the proxy of a scheme, in the case in which it is set."""
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
    return next((name for name in names if os.environ.get(name)), f"{names[1]}, or the system's settings,")


def untrusted_words(error: BaseException) -> str | None:
    """Return why a server's certificate is not believed, and what to do; `None` if that is not what is wrong.

    Args:
        error: What the client raised.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    mend = (
        "if you trust whoever signed it, let SSL_CERT_FILE name a PEM file with their certificate"
        if cause.verify_code in _UNKNOWN_SIGNERS
        else "see whether the base URL and this machine's clock are right"
    )
    return f"has a certificate that cannot be verified ({cause.verify_message.rstrip('.')}): {mend}"

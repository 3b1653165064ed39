"""What the environment says of proxies and certificates: used, or refused by its name, never its value."""

from __future__ import annotations

import asyncio
import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from syncfsm.core.failure import Failure, FailureKind
from syncfsm.errors import ConfigurationError
from syncfsm.outside.authorization import Authorization
from syncfsm.outside.environment import trusted
from syncfsm.outside.http import HttpClient
from tests.fakes import TestClock

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    trusted.cache_clear()
    yield
    trusted.cache_clear()


def client(base_url: str = "https://api.test") -> HttpClient:
    return HttpClient("Attio", base_url, Authorization("Attio", "key"), clock=TestClock(), per_s=10)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://u:hunter2@127.0.0.1:1080", "ALL_PROXY names a SOCKS proxy"),
        ("ALL_PROXY", "socks://u:hunter2@127.0.0.1:1080", "ALL_PROXY is not the URL of a proxy"),
        ("https_proxy", "http://[::1", "https_proxy is not the URL of a proxy"),
        ("HTTP_PROXY", "http://u:hunter2@127.0.0.1:99999", "HTTP_PROXY is not the URL of a proxy"),
        ("HTTP_PROXY", "http://", "HTTP_PROXY is not the URL of a proxy"),
        ("NO_PROXY", "localhost,[::1],hunter2", "NO_PROXY cannot be used"),
        ("no_proxy", "fe80::/10", "no_proxy cannot be used"),
        ("SSL_CERT_FILE", "/no/such/hunter2.pem", "SSL_CERT_FILE names no certificates that can be read"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE names no certificates that can be read"),
        ("SSL_CERT_DIR", "/no/such/hunter2", "SSL_CERT_DIR names no folder that is there"),
    ],
)
def test_what_the_client_would_refuse_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=words) as refused:
        client()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "127.0.0.1:3128"),
        ("HTTP_PROXY", "http://user:p@ss@127.0.0.1:3128"),
        ("NO_PROXY", "localhost,::1,10.0.0.0/8,.example.org"),
        ("NO_PROXY", "*"),
        ("ALL_PROXY", ""),
        ("SSL_CERT_DIR", f"/no/such:{Path(__file__).parent}"),
    ],
)
def test_what_the_client_takes_is_taken(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    asyncio.run(client().aclose())


def test_over_a_transport_of_ones_own_the_environment_does_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://nowhere")
    own = httpx.MockTransport(lambda _: httpx.Response(200))
    HttpClient(
        "Attio", "https://api.test", Authorization("Attio", "key"), clock=TestClock(), per_s=10, transport=own
    )


def test_a_port_that_no_host_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the base URL is not a URL"):
        client("https://api.test:99999")


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL of a server whose certificate nobody signed, and that certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = (openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Quiet(http.server.HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of those who do not believe it."""

    server = Quiet(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_port}", certificate
    server.shutdown()
    thread.join()
    server.server_close()


async def asked(base_url: str) -> Failure:
    api = client(base_url)
    reply = await api.request("GET", "/")
    await api.aclose()
    assert isinstance(reply, Failure)
    return reply


def test_a_certificate_that_nobody_signed_is_not_tried_again_and_the_way_to_trust_it_is_named(
    monkeypatch: pytest.MonkeyPatch, self_signed: tuple[str, Path]
) -> None:
    url, certificate = self_signed
    failure = asyncio.run(asked(url))
    assert (failure.kind, failure.is_retryable) == (FailureKind.UNTRUSTED, False)
    assert "SSL_CERT_FILE" in failure.message
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusted.cache_clear()
    assert asyncio.run(asked(url)).status == 501  # it is believed, and can do nothing
    other_name = asyncio.run(asked(url.replace("localhost", "127.0.0.1")))
    assert other_name.kind is FailureKind.UNTRUSTED
    assert "SSL_CERT_FILE" not in other_name.message


def test_a_host_that_is_not_there_is_tried_again() -> None:
    assert asyncio.run(asked("https://localhost:1")).kind is FailureKind.UNAVAILABLE

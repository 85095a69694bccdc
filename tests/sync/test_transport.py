"""HTTP with upstream: whatever comes back, it ends in time, in an error that staff can read, and without the key."""

from __future__ import annotations

import json
import logging
import shutil
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgebox.model import Catalog, CheckIn, CheckInState, Event, StampKind
from edgebox.upstream import Accepted, NotUpstream, Unreachable, UpstreamError
from edgebox.upstream.pretixdroid import PretixdroidUpstream
from edgebox.upstream.transport import Http
from tests.support.upstream import Hold, StubUpstream, always, held, redirect, unavailable
from tests.sync.raw import Connection, Serve, answer, drips, head, keeping, raw_server, same
from tests.sync.venue import SOON_S, synchronised

OPENSSL = shutil.which("openssl")
KEY = "THEKEYOFTHISLIST"
STATUS = json.dumps({"version": 3, "event": {"name": "Demo"}, "items": []}).encode()
CATALOG = Catalog(3, Event("Demo"))
ACCEPTED = json.dumps({"version": 3, "status": "ok"}).encode()


def upstream_at(url: str, *, connect_timeout_s: float = 5.0, read_timeout_s: float = 5.0) -> PretixdroidUpstream:
    clock = synchronised()
    return PretixdroidUpstream(url, KEY, Http(clock, connect_timeout_s, read_timeout_s), clock)


def a_checkin() -> CheckIn:
    now = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
    return CheckIn(
        id=1, list_id=1, ticket_id=1, device_name="door", secret="secret000000", nonce="nonce", datetime=now,
        stamp=StampKind.CLIENT, received_at=now, boot_id="", boottime_s=0.0, is_forced=False, is_offline=False,
        ignores_unpaid=False, answers={}, state=CheckInState.PENDING, tries=0, push_note=None, settled_at=None,
        conflict=None, conflict_note=None, conflict_opened_at=None, conflict_closed_at=None, closed_reason=None,
    )  # fmt: skip


ODD = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status that is no number": b"HTTP/1.1 huh OK\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "a header without a colon": b"HTTP/1.1 200 OK\r\ngarbage\r\nContent-Length: 2\r\n\r\n{}",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "two lengths": head(Content_Length="2\r\nContent-Length: 3") + b"{}",
    "a length that is no number": head(Content_Length="two") + b"{}",
    "a body that is too short": head(Content_Length=1000) + b"{}",
    "broken chunks": head(Transfer_Encoding="chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "chunks that break off": head(Transfer_Encoding="chunked") + b"2\r\n{}\r\n",
    "gzip that is none": head(Content_Encoding="gzip", Content_Length=2) + b"{}",
    "not UTF-8": answer(b'{"version": 3, "status": "\xff\xfe"}'),
    "NUL bytes": answer(b"\0" * 100),
    "a redirect to nonsense": head("302 Found", Location="http://[", Content_Length=0),
    "a redirect to another scheme": head("302 Found", Location="javascript:alert(1)", Content_Length=0),
    "a redirect to nowhere": head("302 Found", Content_Length=0),
    "a redirect in odd letters": b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n",
    "an odd date": answer(b"[]", Date="Mon, 01 Jan 99999999999999999999 00:00:00 GMT"),
    "an odd age": answer(b"[]", Age="9" * 400),
}


@pytest.mark.parametrize("case", ODD)
def test_whatever_a_server_sends_comes_to_an_error_for_staff_without_the_key(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with raw_server(same(ODD[case])) as server:
        upstream = upstream_at(server.url)
        for verb in (
            upstream.describe,
            lambda: upstream.push(a_checkin(), force=False),
            lambda: upstream.look_up("secret000000", CATALOG),
            lambda: _pull(upstream),
        ):
            with pytest.raises((Unreachable, NotUpstream)) as raised:
                verb()
            assert KEY not in _all_texts(raised.value)
    assert KEY not in caplog.text


def test_no_failure_tells_the_key_in_its_text_nor_in_the_log(
    stub: StubUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failures: list[UpstreamError] = []

    def fails(upstream: PretixdroidUpstream) -> None:
        with pytest.raises(UpstreamError) as raised:
            upstream.describe()
        failures.append(raised.value)

    fails(upstream_at(stub.url))  # the stub does not know this key
    stub.on("*", always(unavailable("5")))
    fails(upstream_at(stub.url))
    stub.on("*", lambda request: redirect(f"https://127.0.0.1{request.path}?key={KEY}"))
    fails(upstream_at(stub.url))
    stub.on("*", always(held(Hold())))
    fails(upstream_at(stub.url, read_timeout_s=0.2))
    fails(upstream_at(stub.url.replace("http:", "https:")))
    stub.stop()
    fails(upstream_at(stub.url))
    assert len(failures) == 6
    assert [failure for failure in failures if KEY in _all_texts(failure)] == []
    assert KEY not in caplog.text


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (head(Content_Length=1_000_000), b" "),
        (head(Transfer_Encoding="chunked"), b"1\r\n \r\n"),
        (head(Connection="close"), b" "),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    ],
    ids=["body with a length", "chunks", "body without a length", "headers", "one header"],
)
def test_an_answer_that_drips_is_given_up(first: bytes, drop: bytes) -> None:
    ended = threading.Event()
    with raw_server(drips(first, drop, ended)) as server:
        upstream = upstream_at(server.url, connect_timeout_s=0.2, read_timeout_s=0.2)  # 0.6 s in all
        # On a busy machine two drops may lie further apart than the read time-out: then that is the reason.
        with pytest.raises(Unreachable, match=r"too long|in time"):
            upstream.describe()
        ended.set()


def test_an_answer_without_end_is_given_up() -> None:
    def serve(connection: Connection) -> None:
        connection.request()
        connection.send(head(Connection="close"))
        while True:
            connection.send(b" " * 65536)

    with raw_server(serve) as server, pytest.raises(NotUpstream, match="absurd size"):
        upstream_at(server.url).describe()


def test_the_body_of_a_redirect_is_not_waited_for() -> None:
    ended = threading.Event()
    first = head("302 Found", Location="http://127.0.0.1:9/login", Content_Length=1_000_000)
    with raw_server(drips(first, b" ", ended)) as server:
        with pytest.raises(NotUpstream, match="redirected elsewhere"):
            upstream_at(server.url, read_timeout_s=60.0).describe()
        ended.set()


def test_a_silent_server_is_asked_once_not_twice(stub: StubUpstream) -> None:
    stub.on("status", always(held(Hold())))
    with pytest.raises(Unreachable, match="did not answer in time"):
        upstream_at(stub.url, read_timeout_s=0.3).describe()
    assert len(stub.seen("status")) == 1


@pytest.mark.parametrize("part", ["before the head", "within the body"])
def test_closing_ends_what_is_under_way_at_once(part: str) -> None:
    reached = threading.Event()

    def serve(connection: Connection) -> None:
        connection.request()
        if part == "within the body":
            connection.send(head(Content_Length=1000) + b"{")
        reached.set()
        connection.request()  # nothing more comes: this waits until the client has gone

    with raw_server(serve) as server:
        upstream = upstream_at(server.url, read_timeout_s=60.0)
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                upstream.describe()
            except Unreachable as failure:
                failures.append(failure)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        assert reached.wait(SOON_S)
        upstream.close()
        asking.join(SOON_S)
        assert not asking.is_alive()
        assert len(failures) == 1
        with pytest.raises(Unreachable, match="gives up"):
            upstream.describe()
        assert server.connections == 1


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    path = tmp_path / "certificate.pem"
    subprocess.run(
        [OPENSSL or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path),
         "-out", str(path) + ".crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def tls(serve: Serve, certificate: Path) -> Serve:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve_tls(connection: Connection) -> None:
        serve(Connection(context.wrap_socket(connection.plug, server_side=True), connection.number))

    return serve_tls


@pytest.mark.skipif(OPENSSL is None, reason="no openssl to make a certificate with")
def test_only_a_certificate_that_somebody_vouches_for_is_good(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(tls(keeping(answer(STATUS)), certificate)) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(Unreachable, match="certificate cannot be trusted"):
            upstream_at(url).describe()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert upstream_at(url).describe().catalog.version == 3


@pytest.mark.skipif(OPENSSL is None, reason="no openssl to make a certificate with")
def test_an_answer_that_drips_over_tls_is_given_up(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    ended = threading.Event()
    with raw_server(tls(drips(head(Content_Length=1_000_000), b" ", ended), certificate)) as server:
        upstream = upstream_at(server.url.replace("http:", "https:"), connect_timeout_s=0.5, read_timeout_s=0.3)
        with pytest.raises(Unreachable, match=r"too long|in time"):
            upstream.describe()
        ended.set()


# --- connections ------------------------------------------------------------------------------------------------------


def test_one_connection_serves_all_requests_of_whichever_thread() -> None:
    with raw_server(keeping(answer(ACCEPTED))) as server:
        upstream = upstream_at(server.url)
        outcomes: list[object] = []
        for _ in range(5):
            thread = threading.Thread(target=lambda: outcomes.append(upstream.push(a_checkin(), force=False)))
            thread.start()
            thread.join()
        assert outcomes == [Accepted()] * 5
        assert server.connections == 1


def _first_connection_dies(body: bytes) -> tuple[Serve, list[int]]:
    """Serve one request, then read the next one on that connection and die without an answer."""
    seen: list[int] = []

    def serve(connection: Connection) -> None:
        while connection.request() is not None:
            seen.append(connection.number)
            if connection.number == 1 and len(seen) == 2:
                return
            connection.send(answer(body))

    return serve, seen


def test_a_question_over_a_connection_that_has_died_is_put_again() -> None:
    serve, seen = _first_connection_dies(STATUS)
    with raw_server(serve) as server:
        upstream = upstream_at(server.url)
        upstream.describe()
        upstream.describe()
        assert seen == [1, 1, 2]


def test_a_check_in_over_a_connection_that_has_died_is_left_to_the_next_push() -> None:
    serve, seen = _first_connection_dies(ACCEPTED)
    with raw_server(serve) as server:
        upstream = upstream_at(server.url)
        upstream.push(a_checkin(), force=False)
        with pytest.raises(Unreachable, match="broke off"):
            upstream.push(a_checkin(), force=False)
        assert seen == [1, 1]


def test_a_connection_that_was_silent_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebox.upstream.transport.MAX_IDLE_S", -1.0)
    with raw_server(keeping(answer(STATUS))) as server:
        upstream = upstream_at(server.url)
        upstream.describe()
        upstream.describe()
        assert server.connections == 2


# --- what surrounds it ------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(stub: StubUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{stub.port}")
    stub.key = KEY
    url = "http://tickets.invalid/pretixdroid/api/demoorga/democon/"
    assert upstream_at(url).describe().event == "democon"
    assert stub.seen("status")[0].headers["host"] == "tickets.invalid"


def test_a_proxy_that_is_not_there_is_named_as_the_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="HTTPS_PROXY"):
        upstream_at("https://tickets.invalid/pretixdroid/api/demoorga/democon/").describe()


def test_passwords_in_files_and_cookies_of_login_pages_are_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    heads: list[bytes] = []

    def serve(connection: Connection) -> None:
        while (request := connection.request()) is not None:
            heads.append(request.lower())
            connection.send(answer(STATUS, Set_Cookie="session=portal; Path=/"))

    with raw_server(serve) as server:
        upstream = upstream_at(server.url)
        upstream.describe()
        upstream.describe()
    assert len(heads) == 2
    assert [head for head in heads if b"authorization" in head or b"cookie" in head] == []


def _pull(upstream: PretixdroidUpstream) -> None:
    with upstream.pull(CATALOG) as told:
        list(told.tickets())


def _all_texts(error: BaseException) -> str:
    """The error as it would be shown anywhere, with what it came from."""
    texts = [str(error), repr(error)]
    for other in (error.__cause__, None if error.__suppress_context__ else error.__context__):
        if other is not None:
            texts.append(_all_texts(other))
    return " ".join(texts)

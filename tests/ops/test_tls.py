"""https in front of the box: Debian's nginx on loopback, with the configuration that systemd/nginx has."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import HTTPAdapter

from edgebox.web.guard import FREE_TRIES
from tests.support.box import REPOSITORY, BoxProcess, free_port, wait_until
from tests.support.event import StubEvent
from tests.support.machine import require

SITE = REPOSITORY / "systemd" / "nginx" / "edgebox.conf"
KEY = "GATE1SECRETKEY"
SECRET = "secret-of-ada"
TEMPORARY = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")


class Proxy:
    """nginx in front of a box, in a folder of its own."""

    def __init__(self, folder: Path, box_port: int) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        make_certificate(folder)
        site = SITE.read_text()
        for here, there in (
            ("127.0.0.1:8000", f"127.0.0.1:{box_port}"),
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("    listen [::]:443 ssl;\n", ""),
            ("/etc/ssl/edgebox/", f"{folder}/"),
            ("/var/log/nginx/", f"{folder}/"),
        ):
            assert site.count(here) >= 1, here
            site = site.replace(here, there)
        (folder / "edgebox.conf").write_text(site)
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{\n"
            + "".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMPORARY)
            + "\naccess_log off; include edgebox.conf; }\n"
        )  # fmt: skip
        self.output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            ["nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr"], stdout=self.output, stderr=self.output
        )
        wait_until(self._listens, 30, "nginx listens")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def logged(self) -> str:
        return "".join(path.read_text() for path in [*self.folder.glob("*.log"), self.folder / "output"])

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.output.close()

    def _listens(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edgebox")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip


class From(HTTPAdapter):
    """Speaks from one of the addresses that a loopback interface has."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, source_address=(self._address, 0))


def client(address: str, proxy: Proxy) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(proxy.folder / "certificate.pem")
    for prefix in ("http://", "https://"):
        session.mount(prefix, From(address))
    return session


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxProcess]:
    """One that believes a proxy on this machine, with a list and a scanner; for all tests here, which speak to it from
    addresses of their own."""
    event = StubEvent()
    event.add_ticket(SECRET)
    folder = tmp_path_factory.mktemp("box")
    saved = folder / "list.json"
    saved.write_text(json.dumps({"status": event.status(), "download": event.download()}))
    box = BoxProcess(folder / "data", env={"EDGEBOX_TRUSTED_PROXY": "127.0.0.1"})
    try:
        box.start()
        box.add_device("Gate 1", box.add_list(str(saved)), key=KEY)
        yield box
    finally:
        box.kill()
        print(f"--- output of the box ---\n{box.output}")


@pytest.fixture(scope="module")
def proxy(box: BoxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    require("nginx", package="nginx-light", root=False)
    proxy = Proxy(tmp_path_factory.mktemp("proxy") / "nginx", box.port)
    try:
        yield proxy
    finally:
        proxy.close()


def redeem(session: requests.Session, base: str) -> requests.Response:
    return session.post(
        f"{base}/pretixdroid/api/demoorga/democon/redeem/", params={"key": KEY}, data={"secret": SECRET}, timeout=15
    )


def try_a_code(session: requests.Session, base: str, **headers: str) -> str:
    """What the page says to a wrong code for the lead's first password."""
    page = session.get(f"{base}/first", headers=headers, timeout=15)
    assert page.status_code == 200
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token is not None
    form = {"csrf_token": token[1], "name": "Eve", "password": "long enough", "again": "long enough", "code": "NO"}
    answer = session.post(f"{base}/first", data=form, headers={"Referer": f"{base}/first", **headers}, timeout=15)
    assert answer.status_code == 401, answer.text
    return answer.text


def test_a_scan_by_https_is_let_in_once(proxy: Proxy) -> None:
    phone = client("127.0.0.7", proxy)
    assert redeem(phone, proxy.url).json()["status"] == "ok"
    assert redeem(phone, proxy.url).json()["reason"] == "already_redeemed"


def test_who_guesses_is_slowed_down_by_the_address_that_the_proxy_tells(proxy: Proxy, box: BoxProcess) -> None:
    """Also where he makes up another one for each try; and nobody else is."""
    eve = client("127.0.0.7", proxy)
    for number in range(FREE_TRIES):
        assert "Too many wrong tries" not in try_a_code(eve, proxy.url, **{"X-Forwarded-For": f"203.0.113.{number}"})
    eve.cookies.clear()
    assert "Too many wrong tries" in try_a_code(eve, proxy.url, **{"X-Forwarded-For": "203.0.113.9"})

    assert "Too many wrong tries" not in try_a_code(client("127.0.0.8", proxy), proxy.url)
    # The proxy's own address is a client like any other.
    assert "Too many wrong tries" not in try_a_code(client("127.0.0.1", proxy), box.url)


def test_nobody_but_the_proxy_is_believed(proxy: Proxy, box: BoxProcess) -> None:
    eve = client("127.0.0.9", proxy)
    for number in range(FREE_TRIES):
        made_up = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "https"}
        assert "Too many wrong tries" not in try_a_code(eve, box.url, **made_up)
    eve.cookies.clear()
    assert "Too many wrong tries" in try_a_code(eve, box.url, **{"X-Forwarded-For": "203.0.113.9"})


def test_without_the_setting_nobody_at_all_is_believed(box: BoxProcess, proxy: Proxy) -> None:
    box.stop()
    del box.env["EDGEBOX_TRUSTED_PROXY"]
    try:
        box.start()
        me = client("127.0.0.1", proxy)
        for number in range(FREE_TRIES):
            assert "Too many" not in try_a_code(me, box.url, **{"X-Forwarded-For": f"203.0.113.{number}"})
        assert "Too many wrong tries" in try_a_code(me, box.url, **{"X-Forwarded-For": "203.0.113.9"})
    finally:
        box.stop()
        box.env["EDGEBOX_TRUSTED_PROXY"] = "127.0.0.1"
        box.start()


def test_a_session_of_https_is_not_told_on_plain_http(proxy: Proxy, box: BoxProcess) -> None:
    over_https = client("127.0.0.7", proxy).get(f"{proxy.url}/first", timeout=15)
    assert over_https.headers["Set-Cookie"].startswith("edgebox-https=")
    assert "; Secure" in over_https.headers["Set-Cookie"]
    assert "plain http" not in over_https.text
    over_http = client("127.0.0.7", proxy).get(f"{box.url}/first", timeout=15)
    assert over_http.headers["Set-Cookie"].startswith("edgebox=")
    assert "; Secure" not in over_http.headers["Set-Cookie"]
    assert "plain http" in over_http.text


def test_a_page_that_needs_a_log_in_stays_with_https(proxy: Proxy) -> None:
    answer = client("127.0.0.7", proxy).get(proxy.url, timeout=15)
    assert answer.url.startswith(proxy.url)
    assert answer.status_code == 200


def test_no_key_and_no_name_is_in_its_logs(proxy: Proxy, box: BoxProcess) -> None:
    phone = client("127.0.0.7", proxy)
    search = f"{proxy.url}/pretixdroid/api/demoorga/democon/search/"
    assert redeem(phone, proxy.url).status_code == 200
    assert phone.get(search, params={"key": KEY, "query": "Lovelace"}, timeout=15).status_code == 200
    box.stop()
    try:
        assert redeem(phone, proxy.url).status_code == 502
    finally:
        box.start()
    wait_until(lambda: '/redeem/" 502 ' in proxy.logged(), 30, "the last scan is logged")

    logged = proxy.logged()
    assert re.search(
        r'^127\.0\.0\.7 \[.*\] "POST /pretixdroid/api/demoorga/democon/redeem/" 200 ', logged, re.MULTILINE
    )
    for told in (KEY, "Lovelace", "key=", "query", SECRET, "?"):
        assert told not in logged

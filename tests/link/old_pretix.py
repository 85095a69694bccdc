"""An evening with a ticket server that speaks the pretixdroid API."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from edgebox.box import Box
from edgebox.config import Config
from tests.link.road import HOST, Answered, Asked
from tests.link.venue import Evening, Put, Times
from tests.support.upstream import METHODS, Request, StubUpstream

GUESTS = ("ada", "bob", "cem", "dora", "eve", "gus", "hana", "ines")


class OldServer:
    """The scripted ticket server, as a function of a request."""

    def __init__(self) -> None:
        self.stub = StubUpstream()

    def __call__(self, asked: Asked) -> Answered:
        address = urlsplit(asked.target)
        verb = address.path.rstrip("/").rpartition("/")[2]
        request = Request(
            method=asked.method,
            verb=verb if verb in METHODS else "",
            path=address.path,
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            form=dict(parse_qsl(asked.body.decode(), keep_blank_values=True)),
            headers=asked.headers,
            arrived=datetime.now(UTC),
        )
        said = self.stub.response_to(request)
        assert said.status is not None
        date = format_datetime(datetime.now(UTC), usegmt=True)
        headers = {"Content-Type": said.content_type, "Date": date, **said.headers}
        return Answered(said.status, said.body.encode(), headers)


def prepare(directory: Path, scheme: str, server: OldServer) -> None:
    """A box that knows the list and has a device, but no ticket yet."""
    box = Box(Config(data_dir=directory), Times().clock)
    try:
        list_ = box.add_list(f"{scheme}://{HOST}/pretixdroid/api/demoorga/democon/", "UPSTREAMKEY")
        box.scanners.add("door", list_.id)
    finally:
        box.close()


class OldEvening(Evening):
    """Eight guests at first; another gate lets one of them in as well, one is cancelled, one more is sold."""

    new_server = OldServer

    def __init__(self, prepared: Path, directory: Path, **options: Any) -> None:
        super().__init__(prepared, directory, **options)
        self.server = self.new_server()
        self.stub = self.server.stub
        for number, secret in enumerate(GUESTS):
            self.stub.add_ticket(f"secret of {secret}", order=f"ORDER{number}", attendee_name=secret.title())
        self.spare = ["secret of ines", "secret of hana", "secret of gus"]

    def act(self) -> None:
        self.pull()
        assert self.scan("secret of ada")
        assert self.scan("secret of bob")
        assert not self.scan("secret of ada")
        assert not self.scan("secret of nobody")
        self.stub.redeem({"secret": "secret of cem", "nonce": "another gate's"})
        assert self.scan("secret of cem")
        assert self.scan("secret of dora", is_forced=True)
        self.push()
        del self.stub.tickets["secret of eve"]
        self.stub.add_ticket("secret of fay", order="ORDER9")
        self.pull()
        assert self.scan("secret of fay")
        assert not self.scan("secret of eve")

    def put(self) -> list[Put]:
        """A ticket that is in already has one check-in there; each that comes with force is but a line in a log, and
        where the answer to it is lost there may be two."""
        mine = [each for each in self.stub.log if each.nonce != "another gate's"]
        forced = dict.fromkeys(Put(each.secret, each.nonce or "") for each in mine if not each.first)
        return [*(Put(each.secret, each.nonce or "") for each in mine if each.first), *forced]

    def told(self) -> dict[str, bool]:
        return {row["secret"]: row["redeemed"] for row in self.stub.download()["results"]}

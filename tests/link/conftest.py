"""Where evenings begin, and the certificates of the road."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.link.dialects import Yard
from tests.link.road import HOST, Certificates

OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Yard:
    directory = tmp_path_factory.mktemp("link")

    @cache
    def certificates() -> Certificates:
        """Two for HOST, each of which vouches for itself; the box is told to trust one."""
        if OPENSSL is None:
            pytest.skip("no openssl to make a certificate with")
        good, strange = (_certificate(directory / f"{name}.pem") for name in ("good", "strange"))
        return Certificates(str(good), str(strange))

    return Yard(directory, certificates)


def _certificate(path: Path) -> Path:
    subprocess.run(
        [OPENSSL or "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", str(path),
         "-out", str(path) + ".crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path

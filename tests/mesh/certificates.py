"""The certificate that every application with a TLS port shows: self-signed, and no one checks it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.parts import missing


@dataclass(frozen=True)
class Certificate:
    """Two files in PEM."""

    chain: Path
    key: Path


def made(folder: Path) -> Certificate:
    """A new one."""
    openssl = shutil.which("openssl") or missing("openssl", "apt-get install openssl")
    found = Certificate(folder / "tls.pem", folder / "tls.key")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-subj", "/CN=mesh", "-out", str(found.chain), "-keyout", str(found.key))
    subprocess.run([openssl, *new, *files], check=True, capture_output=True)
    return found

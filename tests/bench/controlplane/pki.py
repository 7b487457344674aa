"""Certificates and kubeconfigs of one control plane, made with the openssl command."""

import base64
import json
import re
import subprocess
import tempfile
from pathlib import Path

from ..failure import Failure

_SERVER_NAMES = (
    "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
    "DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:10.0.0.1"
)
_CA = "subjectKeyIdentifier=hash\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
_LEAF = "authorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
_SERVER = f"{_LEAF}extendedKeyUsage=serverAuth\nsubjectAltName={_SERVER_NAMES}\n"
_CLIENT = f"{_LEAF}extendedKeyUsage=clientAuth\n"


class Pki:
    """The certificate authority of one control plane, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def create(self) -> None:
        """Makes the authority, the server's certificate, the admin's, and the key that signs tokens."""
        self.folder.mkdir(mode=0o700)
        self._certificate(self.path("ca"), "/CN=controlplane", _CA)
        self._certificate(self.path("apiserver"), "/CN=kube-apiserver", _SERVER)
        self._certificate(self.path("admin"), "/O=system:masters/CN=admin", _CLIENT)
        self._certificate(self.path("service-account"), "/CN=service-account", _LEAF)

    def path(self, file: str) -> Path:
        return self.folder / file

    def admin_kubeconfig(self, server: str) -> str:
        """The kubeconfig of the admin, whom RBAC never refuses."""
        return self._kubeconfig(self.path("admin"), "admin", server)

    def user_kubeconfig(self, name: str, groups: list[str], server: str) -> str:
        """The kubeconfig of a new client certificate: its CN is the user, each O is a group."""
        for part in (name, *groups):
            if not re.fullmatch(r"[A-Za-z0-9@._:-]{1,64}", part):
                raise Failure(f"cannot be put into a certificate: {part!r}")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        with tempfile.TemporaryDirectory() as folder:
            self._certificate(Path(folder, "user"), subject, _CLIENT)
            return self._kubeconfig(Path(folder, "user"), name, server)

    def _kubeconfig(self, base: Path, user: str, server: str) -> str:
        """Needs no other file. It is JSON, of which YAML is a superset."""

        def inline(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        cluster = {"server": server, "certificate-authority-data": inline(self.path("ca.crt"))}
        identity = {
            "client-certificate-data": inline(base.with_name(f"{base.name}.crt")),
            "client-key-data": inline(base.with_name(f"{base.name}.key")),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "controlplane", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": "controlplane", "context": {"cluster": "controlplane", "user": user}}],
            "current-context": "controlplane",
        }
        return json.dumps(config, indent=2)

    def _certificate(self, base: Path, subject: str, extensions: str) -> None:
        """Writes base.key and base.crt, signed by the authority unless it is the authority."""
        # A config of our own, since the system's openssl.cnf adds extensions that contradict these.
        config = "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n" + extensions
        # PKCS#8 and P-256: what Go and rustls both read, and quick to make.
        command = ["openssl", "req", "-x509", "-config", "/dev/stdin", "-subj", subject, "-days", "365", "-sha256"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-keyout", f"{base}.key", "-out", f"{base}.crt"]
        if extensions != _CA:
            command += ["-CA", str(self.path("ca.crt")), "-CAkey", str(self.path("ca.key"))]
        done = subprocess.run(command, input=config, text=True, capture_output=True)
        if done.returncode:
            raise Failure(f"openssl could not make the certificate {subject}:\n{done.stderr}")

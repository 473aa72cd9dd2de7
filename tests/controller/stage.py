"""A stage for the real operator: a subprocess, a product on loopback, the vendor's receiver."""

import asyncio
import datetime as dt
import ipaddress
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, date, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hack.controlplane import pods as fake
from licenseusage.controller.process.login import connect
from licenseusage.controller.rules.resources import PODS, REPORTS, USAGES
from licenseusage.reports.content import Kind
from licenseusage.reports.keys import SigningKey, VendorKey, VendorKeys
from licenseusage.reports.licence import LicenseTerms, build_license
from licenseusage.reports.report import read_report
from licenseusage.reports.terms import CycleTerms
from licenseusage.reports.typs import LICENSE, RECEIPT, REPORT
from tests.controller.sample import TOKEN
from trials.forked import Forked

CLI = [str(Path(sys.executable).parent / "licenseusage")]
DAY = 86_400


PATIENCE = 4  # a busy machine is slow, and how fast the operator is has no place in a verdict


def until(what, seconds=30.0, step=0.1):
    """Ask ``what`` until it answers something true; return that.

    ``seconds`` is what an idle machine needs at most. Where asking is dear, as by kubectl, it is
    done a quarter of the time: what is waited for needs the processor, too.
    """
    deadline = time.monotonic() + PATIENCE * seconds
    begun = time.monotonic()
    while not (found := what()):
        ended = time.monotonic()
        assert ended < deadline, f"not within {PATIENCE * seconds} s: {what}"
        time.sleep(max(step, 3 * (ended - begun)))
        begun = time.monotonic()
    return found


def offset_before_midnight(seconds: int) -> int:
    """Offset of a clock that shows ``seconds`` before the last midnight, UTC."""
    now = time.time()
    return -int(now % DAY) - seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A process of ours, with its log in a file."""

    def __init__(self, args, env, log: Path, *, script=False):
        self.log = log
        with log.open("ab") as out:
            self.process = Forked(args, env, out, script=script)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Operator:
    """The real ``licenseusage operator`` against the control plane, in one namespace."""

    def __init__(
        self, control_plane, namespace, folder: Path, *, offset=0, kubeconfig=None, **settings
    ):
        self.cp, self.namespace, self.folder = control_plane, namespace, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = folder / "operator.log"
        self.process = None
        self.env = {
            **control_plane.environment(kubeconfig),
            "LICENSEUSAGE_DEV": "1",
            "LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS": str(offset),
            "LICENSEUSAGE_NAMESPACES": namespace,
            "LICENSEUSAGE_OPERATOR_NAMESPACE": namespace,
            "LICENSEUSAGE_DATABASE_URL": f"sqlite:///{folder}/ledger.sqlite",
            "LICENSEUSAGE_HTTP_ADDRESS": f"127.0.0.1:{self.port}",
            "LICENSEUSAGE_FIRST_SEND_SPREAD_SECONDS": "0",
            **{f"LICENSEUSAGE_{k.upper()}": str(v) for k, v in settings.items()},
        }

    def start(self, *, wait=True, script: Path | None = None):
        """Start it; ``script`` is a program that does something to it first."""
        args = ["operator"] if script is None else [str(script)]
        self.process = Process(args, self.env, self.log, script=script is not None)
        if wait:
            until(lambda: not self.process.alive or self.ready, 60)
            assert self.process.alive, self.log.read_text()[-3000:]
        return self

    def start_to_die_at(self, point: str, seconds=60) -> int:
        """Run it until it is killed at a point (see ``killed_operator``); return its exit code."""
        script = Path(__file__).with_name("killed_operator.py")
        self.process = Process([str(script), point], self.env, self.log, script=True)
        try:
            return self.process.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return 0

    @property
    def ready(self) -> bool:
        return self.http("/readyz")[0] == 200

    def http(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def reconciles(self) -> float:
        """How often it has looked at an object."""
        lines = self.http("/metrics")[1].splitlines()
        (line,) = [one for one in lines if one.startswith("licenseusage_reconciles_total")]
        return float(line.split()[1])

    def kill(self):
        self.process.kill()

    def stop(self):
        if self.process is not None and self.process.alive:
            return self.process.stop()
        return None

    # -- what it wrote

    def get(self, name, kind=USAGES, *, check=True):
        seen = self.cp.get(kind.path(self.namespace, name))
        assert seen is not None or not check, f"no {kind.plural} {name}"
        return seen

    def reports(self):
        return self.cp.get(REPORTS.path(self.namespace))["items"]

    def status(self, name):
        return self.get(name).get("status", {})

    def condition(self, name, kind):
        found = [c for c in self.status(name).get("conditions", ()) if c["type"] == kind]
        return found[0] if found else None

    def wait_condition(self, name, kind, status, reason=None, seconds=40):
        def holds():
            seen = self.condition(name, kind)
            good = seen is not None and seen["status"] == status
            return seen if good and (reason is None or seen["reason"] == reason) else None

        try:
            return until(holds, seconds, 0.25)
        except AssertionError:
            raise AssertionError(
                f"{name}: {kind}={status}/{reason} not reached: "
                f"{json.dumps(self.status(name).get('conditions'), indent=1)}\n"
                f"{self.log.read_text()[-3000:]}"
            ) from None


class Authority:
    """A throw-away CA and one certificate for 127.0.0.1."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        ca_key, self.ca_file = ec.generate_private_key(ec.SECP256R1()), folder / "ca.pem"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throw-away CA")])
        ca = self._certificate(name, name, ca_key.public_key(), ca_key, ca=True)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        certificate = self._certificate(leaf, name, key.public_key(), ca_key, ca=False)
        self.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @staticmethod
    def _certificate(subject, issuer, public, signer, *, ca):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
            builder = builder.add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public), critical=False
            )
        else:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        return builder.add_extension(identifier, critical=False).sign(signer, hashes.SHA256())


class Vendor:
    """The vendor's side: keys, licences, and the real receiver behind https."""

    def __init__(self, folder: Path, *, offset=0):
        self.folder, self.offset = folder, offset
        folder.mkdir(parents=True, exist_ok=True)
        self.tls = Authority(folder / "tls")
        self.license_key = SigningKey.from_seed(os.urandom(32))
        self.receipt_key = SigningKey.from_seed(os.urandom(32))
        self.jwks = VendorKeys(
            [
                VendorKey(self.license_key.public, frozenset({LICENSE})),
                VendorKey(self.receipt_key.public, frozenset({RECEIPT})),
            ]
        ).to_jwks()
        keys = folder / "keys"
        keys.mkdir(exist_ok=True)
        (keys / "jwks.json").write_text(self.jwks)
        (keys / "receipt.jwk").write_text(self.receipt_key.to_jwk())
        self.port = free_port()
        self.process = None

    @property
    def endpoint(self):
        return f"https://127.0.0.1:{self.port}"

    def start(self):
        env = {
            **os.environ,
            "LICENSEUSAGE_DEV": "1",
            "LICENSEUSAGE_DEV_CLOCK_OFFSET_SECONDS": str(self.offset),
        }
        args = [
            *("receiver", "--keys", str(self.folder / "keys")),
            *("--address", f"127.0.0.1:{self.port}"),
            *("--database-url", f"sqlite:///{self.folder}/receiver.sqlite"),
            *("--tls-cert", str(self.tls.cert_file), "--tls-key", str(self.tls.key_file)),
        ]
        self.process = Process(args, env, self.folder / "receiver.log")

        def listening():
            assert self.process.alive, (self.folder / "receiver.log").read_text()[-2000:]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(listening, 60)
        return self

    def stop(self):
        if self.process is not None and self.process.alive:
            self.process.stop()

    def documents(self) -> int:
        """How many reports the receiver holds."""
        with sqlite3.connect(f"file:{self.folder}/receiver.sqlite?mode=ro", uri=True) as database:
            return database.execute("select count(*) from reports").fetchone()[0]

    def chain(self, chain_id):
        """Tokens of a chain that the receiver holds, in order."""
        with sqlite3.connect(f"file:{self.folder}/receiver.sqlite?mode=ro", uri=True) as database:
            query = "select token from documents where chain_id = ? order by sequence"
            return [token for (token,) in database.execute(query, (chain_id,))]

    def finals(self):
        """Token and verdict of every final report that the receiver holds, conflicts too."""
        with sqlite3.connect(f"file:{self.folder}/receiver.sqlite?mode=ro", uri=True) as database:
            rows = database.execute("select token, verdict from documents where typ = ?", (REPORT,))
            return [row for row in rows if read_report(row[0]).content.kind is Kind.FINAL]

    def license(self, *, product="shop", anchor: date, days=1, subscription="sub-1", **changes):
        now = int(time.time()) + self.offset
        terms = {
            "vendor": "vendor.example",
            "subscription": subscription,
            "license_id": f"lic-{os.urandom(4).hex()}",
            "issued_at_s": now - 60,
            "not_before_s": now - 60,
            "expires_s": now + 400 * DAY,
            "product": product,
            "cycle": CycleTerms(anchor, length_days=days),
            "interval_hours": 24,
            "reporting_required": True,
            "maximum_active_users": 500,
            "endpoint": self.endpoint,
        }
        return build_license(LicenseTerms(**{**terms, **changes}), self.license_key)


# -- objects


def create_pods(namespace, pods):
    """Create pods that look alive: name -> (port, ready); quicker than one kubectl per pod."""

    async def create():
        client = await connect()
        try:
            for name, (port, ready) in pods.items():
                body = fake.pod(namespace, f"{name}-0", {"app": name}, {"http": port})
                await client.create(PODS, namespace, body)
                told = fake.status("127.0.0.1", ready=ready)
                await client.apply_status(PODS, namespace, f"{name}-0", "Pod", told)
        finally:
            await client.close()

    asyncio.run(create())


def usage(namespace, name="shop", *, spec=None, source=None, product="shop"):
    """A LicenseUsage of the Standard convention, without a licence unless ``spec`` names one."""
    listed = {
        "name": "list",
        "preset": "Standard",
        "pods": {"selector": {"matchLabels": {"app": name}}, "port": "http", "scheme": "HTTP"},
        "auth": {"header": {"secretRef": {"name": "meter", "key": "token"}}},
        "guarantees": {"lagSeconds": 1},
        **(source or {}),
    }
    whole = {"product": product, "sources": [listed], **(spec or {})}
    if "license" not in whole and "cycle" not in whole:
        whole["cycle"] = {"anchorDate": "2026-01-15", "lengthDays": 30}
    return {
        "apiVersion": "licenseusage.dev/v1alpha1",
        "kind": "LicenseUsage",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {name: value for name, value in whole.items() if value is not None},
    }


def secret(namespace, name, **values):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": values,
    }


def vendor_keys(namespace, jwks):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "licenseusage-vendor-keys", "namespace": namespace},
        "data": {"jwks.json": jwks},
    }


def credentials(namespace, name, **values):
    """A Secret that may be sent to a product."""
    return {**secret(namespace, name, **values), "type": "licenseusage.dev/credentials"}


def meter_secret(namespace):
    return credentials(namespace, "meter", token=TOKEN)

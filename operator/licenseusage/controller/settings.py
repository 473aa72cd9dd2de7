"""The operator's settings: ``LICENSEUSAGE_*`` variables, or flags of the same name.

Every setting is checked once, at start, with a message that names it. Secrets are never settings:
they live in Kubernetes Secrets, so that no environment dump shows one.
"""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

PREFIX = "LICENSEUSAGE_"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]*):(?P<port>[0-9]{1,5})")
_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
MIB = 1024 * 1024
EXPORT, ELSEWHERE = "Export", "Elsewhere"
ALLOWED, REFUSED = "Allowed", "Refused"


def _setting(default: object, help_text: str, least: int = 0, most: int = 2**53) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"help": help_text, "least": least, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings; ``LICENSEUSAGE_<FIELD IN CAPITALS>`` sets each.

    Sizes are bytes, spans seconds. The defaults of the poll limits are MEASUREMENT §0's.
    """

    namespaces: tuple[str, ...] = _setting(
        (), "Namespaces to watch, separated by commas; empty: all of them."
    )
    operator_namespace: str = _setting(
        "", "Namespace of the operator's own Secrets; empty: that of its service account."
    )
    pod_name: str = _setting("", "Name of the operator's pod, for events; empty: the host name.")
    database_url: str = _setting(
        "sqlite:////var/lib/licenseusage/ledger.sqlite", "Location of the ledger."
    )
    identity_secret: str = _setting(
        "licenseusage-identity",
        "Secret with the key that signs reports; created at the first start.",
    )
    pseudonym_secret: str = _setting(
        "licenseusage-pseudonym",
        "Secret with the key of the pseudonyms; created at the first start.",
    )
    keys_backup: str = _setting(
        EXPORT,
        "How the two keys are backed up: Export (by `keys export`; a condition says so as long as "
        "they were not) or Elsewhere (nothing is said).",
    )
    person_requests: str = _setting(
        REFUSED,
        "Whether commands may look for one person in the ledger (explain, erase, report prove): "
        "Refused or Allowed; each use is logged.",
    )
    vendor_keys_configmap: str = _setting(
        "licenseusage-vendor-keys", "ConfigMap with the vendor's public keys (jwks.json)."
    )
    key_statements_configmap: str = _setting(
        "licenseusage-key-statements",
        "ConfigMap that the operator writes: its enrolments and successions, and which keys sign.",
    )
    endpoints_configmap: str = _setting(
        "licenseusage-endpoints",
        "ConfigMap with the servers outside the product's namespace that sources may name.",
    )
    vendor_endpoint: str = _setting(
        "",
        "https address of a gateway to use instead of the licence's endpoint; keys stay the same.",
    )
    vendor_ca_file: str = _setting(
        "", "PEM file with the certificate authority of the vendor's endpoint or a proxy."
    )
    vendor_proxy: str = _setting(
        "", "Proxy to reach the vendor, http://host:port; it sees only the host name."
    )
    vendor_no_proxy: str = _setting(
        "", "Vendor hosts to reach without the proxy: names, separated by commas."
    )
    http_address: str = _setting(
        ":8080", "Address of /healthz, /readyz and /metrics: [host]:port; port 0 is any free port."
    )
    intake_address: str = _setting(
        "",
        "Address of the intake, to which products push their activity: [host]:port; port 0 is any "
        "free port; empty: the intake is off.",
    )
    intake_audience: str = _setting(
        "licenseusage.dev", "Audience that the service account tokens of the intake's callers have."
    )
    intake_certificate_file: str = _setting(
        "", "PEM file with the intake's certificate and chain; empty: it speaks plain HTTP."
    )
    intake_key_file: str = _setting("", "PEM file with the key of the intake's certificate.")
    intake_events_per_second: int = _setting(
        1000, "How many events one namespace may push in a second, on average.", 1, 1_000_000
    )
    first_send_spread_seconds: int = _setting(
        3600,
        "Longest random delay before a final is sent first; for interims a twelfth of it.",
        most=86_400,
    )
    poll_request_seconds: int = _setting(
        60, "How long a product may send nothing during a request.", 1, 3600
    )
    poll_seconds: int = _setting(300, "Time limit of one poll (all its pages).", 1, 3600)
    poll_bytes: int = _setting(256 * MIB, "Limit of the bytes read in one poll.", 1024)
    poll_pages: int = _setting(10_000, "Limit of the pages read in one poll.", 1, 1_000_000)
    poll_users: int = _setting(2_000_000, "Limit of the users in one list.", 1)
    worker_bytes: int = _setting(
        384 * MIB, "Memory limit of one worker process; keep it below the pod's limit.", 64 * MIB
    )
    poll_workers: int = _setting(
        4, "Number of polls at the same time, each in its own process.", 1, 64
    )
    reconcile_workers: int = _setting(8, "Number of objects reconciled at the same time.", 1, 64)
    keep_facts_cycles: int = _setting(
        3, "Facts about users are deleted this many cycles after their final.", 1, 24
    )
    roster_gap_seconds: int = _setting(
        86_400,
        "Longest time between two complete polls of a list that removes users; we assume that "
        "nobody is created, active and removed within it.",
        3600,
        30 * 86_400,
    )
    log_level: str = _setting("info", "debug, info, warning or error.")

    def __post_init__(self) -> None:
        """Check every value; see `from_mapping`."""
        for name in self.namespaces:
            _check_name("namespaces", name)
        for name in (
            "identity_secret",
            "pseudonym_secret",
            "vendor_keys_configmap",
            "key_statements_configmap",
            "endpoints_configmap",
        ):
            _check_name(name, getattr(self, name))
        if self.operator_namespace:
            _check_name("operator_namespace", self.operator_namespace)
        if self.vendor_endpoint:
            _check_endpoint(self.vendor_endpoint)
        if self.vendor_ca_file and not os.access(self.vendor_ca_file, os.R_OK):
            raise _invalid("vendor_ca_file", self.vendor_ca_file, "must be a readable file")
        if not self.database_url.startswith("sqlite:"):
            raise _invalid(
                "database_url",
                self.database_url.partition(":")[0] + ":…",
                "must be sqlite:////absolute/path",
            )
        _check_address("http_address", self.http_address)
        self._check_intake()
        if self.keys_backup not in (EXPORT, ELSEWHERE):
            raise _invalid("keys_backup", self.keys_backup, f"must be {EXPORT} or {ELSEWHERE}")
        if self.person_requests not in (ALLOWED, REFUSED):
            rule = f"must be {ALLOWED} or {REFUSED}"
            raise _invalid("person_requests", self.person_requests, rule)
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise _invalid("log_level", self.log_level, "must be debug, info, warning or error")
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, int):
                least, most = f.metadata["least"], f.metadata["most"]
                if not least <= value <= most:
                    raise _invalid(f.name, str(value), f"must be {least} to {most}")

    def watches(self, namespace: str) -> bool:
        """Whether objects of a namespace are this operator's business."""
        return not self.namespaces or namespace in self.namespaces

    def _check_intake(self) -> None:
        if self.intake_address:
            _check_address("intake_address", self.intake_address)
        if not self.intake_audience:
            raise _invalid("intake_audience", "", "must name an audience")
        files = ("intake_certificate_file", "intake_key_file")
        for name in files:
            path = getattr(self, name)
            if path and not os.access(path, os.R_OK):
                raise _invalid(name, path, "must be a readable file")
        if bool(self.intake_certificate_file) != bool(self.intake_key_file):
            missing = next(name for name in files if not getattr(self, name))
            raise _invalid(missing, "", "is missing: a certificate needs its key")

    @property
    def http_host_port(self) -> tuple[str | None, int]:
        """Host (None: every interface) and port of `http_address`."""
        return _host_port(self.http_address)

    @property
    def intake_host_port(self) -> tuple[str | None, int] | None:
        """Host (None: every interface) and port of the intake; None: it is off."""
        return _host_port(self.intake_address) if self.intake_address else None


def from_mapping(env: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings that environment and flags ask for; a flag wins over a variable.

    Args:
        env: Usually ``os.environ``; names are ``LICENSEUSAGE_DATABASE_URL`` and so on.
        flags: Field name to text; None where the flag was not given.

    Raises:
        Stalled: ``SettingsInvalid``, naming the setting, what was given and what is allowed.
    """
    values: dict[str, Any] = {}
    types = get_type_hints(Settings)
    for f in fields(Settings):
        text = (flags or {}).get(f.name)
        if text is None:
            text = env.get(PREFIX + f.name.upper())
        if text is None or text == "":
            continue
        if types[f.name] is int:
            try:
                values[f.name] = int(text)
            except ValueError:
                raise _invalid(f.name, text, "must be a whole number") from None
        elif types[f.name] is str:
            values[f.name] = text
        else:
            values[f.name] = tuple(part.strip() for part in text.split(",") if part.strip())
    settings = Settings(**values)
    return replace(
        settings,
        operator_namespace=settings.operator_namespace or _own_namespace(),
        pod_name=settings.pod_name or socket.gethostname(),
    )


def _own_namespace() -> str:
    """The service account's namespace inside a pod, else the usual one of our manifests."""
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text("utf-8").strip() or "licenseusage-system"
    except OSError:
        return "licenseusage-system"


def _check_name(setting: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise _invalid(setting, value, "must be a Kubernetes name (a-z, 0-9, '-', '.')")


def _check_address(setting: str, value: str) -> None:
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match["port"]) > 65_535:
        raise _invalid(setting, value, "must be [host]:port")


def _host_port(address: str) -> tuple[str | None, int]:
    match = _ADDRESS.fullmatch(address)
    assert match is not None  # noqa: S101 - checked at construction
    return match["host"].strip("[]") or None, int(match["port"])


def _check_endpoint(value: str) -> None:
    try:
        url = urlsplit(value)
        ok = url.scheme == "https" and bool(url.hostname) and (url.port or 443) > 0
    except ValueError:
        ok = False
    if not ok or url.username or url.password or url.query or url.fragment:
        raise _invalid(
            "vendor_endpoint", "…", "must be an https address without user, query and fragment"
        )


def _invalid(setting: str, seen: str, rule: str) -> Stalled:
    return Stalled(Reason.SETTINGS_INVALID, f"{PREFIX}{setting.upper()}={seen!r} {rule}.")

"""Where a source is read: the pods or the Service that are asked, as the user writes them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from licenseusage.api.model import INT_OR_STRING, ApiModel, DnsLabel, Rule, SecretKeyRef, rules
from licenseusage.api.selector import LabelSelector

Scheme = Literal["HTTP", "HTTPS", "NATS", "REDIS", "TLS"]
PodsMode = Literal["AnyReady"]

HOST_NAME = (
    "([A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?[.])*"
    "[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
)
"""Pattern of a host's name as DNS and certificates write it: labels of at most 63 signs."""

HostName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            Rule(
                f"self.matches('^{HOST_NAME}$')",
                "not a host's name: letters, digits, '-', '_' and '.' only, such as "
                "wiki.example.org; no scheme, port or '*'",
            )
        ),
    ),
]

HOST_HEADER = f"{HOST_NAME}(:[0-9]{{1,5}})?"
"""Pattern of a ``Host`` header: a host's name, and perhaps a port."""

HostHeader = Annotated[
    str,
    Field(
        min_length=1,
        max_length=259,
        json_schema_extra=rules(
            Rule(
                f"self.matches('^{HOST_HEADER}$')",
                "not a Host header: a host's name, and perhaps a port, such as wiki.example.org "
                "or wiki.example.org:8443",
            )
        ),
    ),
]

Port = Annotated[
    int | str,
    Field(
        json_schema_extra={
            INT_OR_STRING: True,
            "maxLength": 15,
            **rules(
                Rule(
                    "type(self) == int ? self >= 1 && self <= 65535 "
                    ": self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.matches('[a-z]')",
                    "must be a number from 1 to 65535, or the name of a container port "
                    "(lower-case letters, digits and '-', at least one letter)",
                )
            ),
        }
    ),
]
"""A container port by number or by name; a name lets every pod use another number."""


class Tls(ApiModel):
    """How the pods' certificates are verified."""

    ca_secret_ref: SecretKeyRef | None = Field(
        default=None,
        description="caSecretRef names the Secret and the key that hold the CA certificates (PEM) "
        "by which the pods' certificates are verified. Nothing else of that Secret is used. "
        "Default: the operator's own trust store. Verification cannot be switched off.",
    )
    server_name: HostName | None = Field(
        default=None,
        description="serverName is the host name that the pods' certificates are issued for. Pods "
        "are called by IP address, and certificates rarely name one. It is also sent as the Host "
        "header, unless hostHeader is set.",
    )


_NO_HOST_OF_NATS = Rule(
    "!has(self.hostHeader) || !has(self.scheme) || self.scheme in ['HTTP', 'HTTPS']",
    "hostHeader is for HTTP and HTTPS: remove it",
    field_path=".hostHeader",
)


class Pods(ApiModel):
    """The pods to ask."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.tls) || !has(self.scheme) || self.scheme in ['HTTPS', 'TLS']",
                "tls is given, but scheme has none: use scheme: HTTPS (TLS for message brokers), "
                "or remove tls",
                "'tls is given, but scheme is ' + self.scheme + ': use scheme: ' + (self.scheme == "
                "'HTTP' ? 'HTTPS' : 'TLS') + ', or remove tls'",
                field_path=".tls",
            ),
            _NO_HOST_OF_NATS,
        )
    )

    selector: LabelSelector | None = Field(
        default=None,
        description="selector selects the product's pods by their labels, in the namespace of "
        "this object. Required. Only ready pods are asked.",
    )
    port: Port | None = Field(
        default=None,
        description="port is the number or the name of the container port. Required, unless the "
        "preset gives it.",
    )
    scheme: Scheme | None = Field(
        default=None,
        description="scheme is HTTP or HTTPS; for jetstream NATS or TLS, for redis REDIS or TLS. "
        "Default: the preset's, otherwise HTTPS (TLS for message brokers). With HTTP, NATS and "
        "REDIS the credentials cross the cluster unencrypted.",
    )
    mode: PodsMode | None = Field(
        default=None,
        description="mode is AnyReady: all pods serve the same data, so one ready pod is asked, "
        "and another one if it does not answer. Where acrossPods of users or count says Same, all "
        "are asked.",
    )
    tls: Tls | None = Field(
        default=None, description="tls sets how the pods' certificates are verified."
    )
    host_header: HostHeader | None = Field(
        default=None,
        description="hostHeader is sent as the Host header, for products that answer only to "
        "their public name. Default: tls.serverName, otherwise the pod's address.",
    )


class Service(ApiModel):
    """The Service to ask if pods cannot be called one by one (a mesh with strict mTLS)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.tls) || !has(self.scheme) || self.scheme in ['HTTPS', 'TLS']",
                "tls is given, but scheme has none: use scheme: HTTPS (TLS for message brokers), "
                "or remove tls",
                field_path=".tls",
            ),
            _NO_HOST_OF_NATS,
        )
    )

    name: DnsLabel = Field(
        description="name is the name of a Service in the namespace of this object. The Service "
        "must have a cluster IP and select pods. Any other Service could lead to an arbitrary "
        "address and is not asked."
    )
    port: Port = Field(description="port is the number or the name of a port of the Service.")
    scheme: Scheme | None = Field(
        default=None,
        description="scheme is HTTP or HTTPS; for jetstream NATS or TLS, for redis REDIS or TLS. "
        "Default: HTTPS (TLS for message brokers).",
    )
    tls: Tls | None = Field(
        default=None, description="tls sets how the certificate of the Service is verified."
    )
    host_header: HostHeader | None = Field(
        default=None,
        description="hostHeader is sent as the Host header. Default: tls.serverName, otherwise "
        "the name of the Service.",
    )

"""Who the operator is for the API server: kopf's logins, for its watch and for our client alike.

A pod has a service account; elsewhere ``KUBECONFIG`` or ``~/.kube/config`` names a cluster and a
user. A pod with ``KUBECONFIG`` uses that. Plug-ins that fetch a token (``exec``) are not run.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import replace

import kopf
import yaml

from licenseusage.controller.effects.access import Access
from licenseusage.controller.effects.kube import Kube, KubeError

_FIX = "set KUBECONFIG, or run as a pod"


async def connect() -> Kube:
    """Return a client that signs in as a pod or as kubectl does, and again as files are renewed.

    Raises:
        KubeError: There is no usable configuration; the message says which was tried.
    """
    return Kube(Login())


def connection() -> kopf.ConnectionInfo:
    """Read where the API server is, and with what to sign in there; a renewed token is seen.

    Raises:
        KubeError: There is none, or it lacks something.
    """
    settings = kopf.OperatorSettings()
    try:
        if not os.environ.get("KUBECONFIG"):
            pod = kopf.login_with_service_account(settings=settings)
            if pod is not None:
                return replace(pod, server=_in_the_cluster(os.environ) or pod.server)
        info = kopf.login_with_kubeconfig(settings=settings)
    except KeyError as error:
        raise _refused(f"{_kubeconfig()} names {error}, which is not in it") from None
    except yaml.YAMLError:
        raise _refused(f"{_kubeconfig()} is not YAML") from None
    except (kopf.LoginError, OSError, ValueError, TypeError, AttributeError) as error:
        raise _refused(f"{_kubeconfig()}: {error}") from None
    if info is None:
        raise _refused("there is neither a service account nor a kubeconfig")
    if not info.server:
        raise _refused(f"{_kubeconfig()} has no server for its cluster")
    known = info.token or info.username or info.certificate_path or info.certificate_data
    if not known and info.server.startswith("https:"):
        raise _refused(
            f"{_kubeconfig()} has neither token nor certificate nor password for its user (a "
            "plug-in, exec, is not run): use one that has, such as a service account's"
        )
    return info


class Login:
    """Signs in anew whenever it is called; TLS is prepared again only if its files changed."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._prepared: tuple[object, ssl.SSLContext] | None = None

    def __call__(self) -> Access:
        """Return how the API server is reached now.

        Raises:
            KubeError: There is no usable configuration.
        """
        info = connection()
        try:
            tls = self._tls(info)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise _refused(f"the certificates to reach {info.server} with: {error}") from None
        return Access(info.server.rstrip("/"), info.as_http_headers(), tls, info.proxy_url)

    def _tls(self, info: kopf.ConnectionInfo) -> ssl.SSLContext:
        files = (info.ca_path, info.certificate_path, info.private_key_path)
        version = (replace(info, token=None), [os.stat(name).st_mtime_ns for name in files if name])
        if self._prepared is None or self._prepared[0] != version:
            self._prepared = version, info.as_ssl_context()
        return self._prepared[1]


def _in_the_cluster(environment: Mapping[str, str]) -> str | None:
    """Return the address that every pod is given: unlike kopf's, it needs no DNS."""
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        return None
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _kubeconfig() -> str:
    set_to = os.environ.get("KUBECONFIG")
    return f"KUBECONFIG={set_to}" if set_to else "~/.kube/config"


def _refused(what: str) -> KubeError:
    return KubeError(0, "connect to a cluster", f"{what}; {_FIX}")

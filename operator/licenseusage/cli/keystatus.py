"""``licenseusage keys status``: which keys there are, since when, and what the vendor knows."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.output import Output, OutputOption, print_fields, print_json, print_table
from licenseusage.controller.rules.keystatus import STATUS_MEMBER
from licenseusage.controller.settings import Settings
from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

OperatorNamespace = Annotated[
    str, typer.Option("--operator-namespace", help="Namespace of the operator.")
]
ConfigMapName = Annotated[
    str, typer.Option("--configmap", help="ConfigMap that the operator writes; see its settings.")
]
DEFAULTS = Settings()
"""The names that the operator's settings have unless somebody changes them."""


def status(
    operator_namespace: OperatorNamespace = "licenseusage-system",
    configmap: ConfigMapName = DEFAULTS.key_statements_configmap,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show ids and dates of the operator's keys, which key signs, and what the vendor receipted.

    Never shows a key. Reads one ConfigMap, which contains public knowledge only; the right to get
    it is enough. The operator writes it within a minute after a change.

    Exit code 0: shown. 3: it could not be read.

    Examples:
        kubectl licenseusage keys status

        kubectl licenseusage keys status --output json
    """
    kubectl = Kubectl(context, kubeconfig)
    seen = read_status(kubectl, operator_namespace, configmap)
    if output is Output.JSON:
        print_json(seen)
        return
    print_fields(_fields(seen))
    typer.echo()
    print_table(
        ("SUBSCRIPTION", "POSITION", "STATEMENT", "SIGNED", "KEY", "SIGNS", "RECEIPT"),
        [row for chain in seen.get("keyChains") or [] for row in _rows(chain)],
    )


def read_status(kubectl: Kubectl, namespace: str, configmap: str) -> Mapping[str, Any]:
    """Return what the operator has published about its keys.

    Raises:
        Stalled: ``NotEnrolled``: it has published nothing; ``NoDocument``: the ConfigMap is another
            one; or as `Kubectl.get`.
    """
    named = f"ConfigMap {namespace}/{configmap}"
    try:
        manifest = kubectl.get("configmap", configmap, f"--namespace={namespace}")
    except Stalled as error:
        if error.reason is Reason.KUBECTL_FAILED and "(NotFound)" in error.message:
            raise Stalled(
                Reason.NOT_ENROLLED,
                f"{named} does not exist: the operator writes it within a minute after its first "
                f"licence became valid. If it runs in another namespace, name it with "
                f"--operator-namespace.",
            ) from None
        raise
    try:
        seen = json.loads((manifest.get("data") or {}).get(STATUS_MEMBER, ""))
    except ValueError:
        seen = None
    if not isinstance(seen, dict):
        raise Stalled(
            Reason.NO_DOCUMENT,
            f"{named} has no {STATUS_MEMBER} that can be read. If it was edited, delete it: the "
            f"operator writes it again.",
        )
    return seen


def _fields(seen: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    identity, pseudonym = seen.get("identity"), seen.get("pseudonym")
    yield "identity key", identity["keyId"] if identity else "cannot be read by the operator now"
    if identity and identity.get("nextKeyId"):
        yield "next identity key", identity["nextKeyId"]
    if identity and identity.get("rotation"):
        yield "rotation", f"{identity['rotation']}, under way"
    yield "pseudonym key", pseudonym["keyId"] if pseudonym else "cannot be read by the operator now"
    yield "exported", seen.get("exportTime") or "never"


def _rows(chain: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for statement in chain["statements"]:
        what = statement["kind"]
        reason = statement.get("reason")
        receipt = statement["receiptTime"]
        yield (
            chain["subscription"],
            str(statement["sequence"]),
            f"{what} ({reason})" if reason else what,
            statement["time"],
            statement["keyId"],
            "yes" if statement["keyId"] == chain["signs"] else "no",
            f"Accepted {receipt}" if receipt else statement["delivery"],
        )

"""``licenseusage keys rotate``: ask the operator for another identity key.

The command writes a reason into the identity's Secret, and the operator does the rest. It makes no
key itself, and nobody needs to come near one: only the operator holds the ledger, in which the
succession must be committed before the new key signs. The right to write that Secret is the right
to rotate, and the API server's audit log has the name.
"""

from typing import Annotated

import typer

from licenseusage.cli.keycopies import IdentitySecret
from licenseusage.cli.keystatus import DEFAULTS, ConfigMapName, OperatorNamespace, read_status
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.controller.rules.keysecrets import ROTATE

SCHEDULED, SUSPECTED = "Scheduled", "Suspected"


def rotate(
    reason: Annotated[
        str,
        typer.Option(metavar="Scheduled|Suspected", help="Why; the vendor is told."),
    ],
    operator_namespace: OperatorNamespace = "licenseusage-system",
    identity_secret: IdentitySecret = DEFAULTS.identity_secret,
    configmap: ConfigMapName = DEFAULTS.key_statements_configmap,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Have another key take over the signing of reports; the installation stays the same.

    Within a minute the operator makes a key, signs one succession per subscription with the current
    key, and sends it. Once the vendor has receipted it, the new key signs. Until then both keys are
    kept and the former one signs. Without a network the succession travels in the next bundle.
    Reports of the past stay as they were signed.

    Suspected means that somebody else may have the key: do what docs/keys.md says, too.

    Exit code 0: the operator was asked, or a rotation is under way already. 3: it could not be
    asked.

    Examples:
        kubectl licenseusage keys rotate --reason Scheduled

        kubectl licenseusage keys status
    """
    if reason not in (SCHEDULED, SUSPECTED):
        raise typer.BadParameter(f"{reason!r} is neither {SCHEDULED} nor {SUSPECTED}")
    kubectl = Kubectl(context, kubeconfig)
    identity = read_status(kubectl, operator_namespace, configmap).get("identity") or {}
    if identity.get("nextKeyId"):
        typer.echo(
            f"a rotation is under way: key {identity['nextKeyId']} takes over once the vendor has "
            f"receipted its successions (keys status); nothing was changed"
        )
        return
    wish = {"stringData": {ROTATE: reason}}
    kubectl.merge("secret", operator_namespace, identity_secret, wish)
    typer.echo(
        f"asked for a key to succeed {identity.get('keyId', 'the current one')}; keys status shows "
        f"how far it is. Export the keys again when it is done (keys export)."
    )

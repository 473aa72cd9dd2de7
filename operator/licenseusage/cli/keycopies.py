"""``licenseusage keys export`` and ``import``: the operator's keys as one encrypted file.

The keys pass through the memory of the machine of whoever calls, whose kubeconfig may read the
Secrets anyway; they are written nowhere unencrypted. (Not in the operator's pod: the function that
makes guessing passphrases slow needs more memory than the pod may use.)
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from licenseusage.cli.documents import read_bytes
from licenseusage.cli.keyfile import (
    ExportedKeys,
    SecretObject,
    acceptable,
    exported_mark,
    keys_of,
    opened,
    sealed,
)
from licenseusage.cli.keystatus import DEFAULTS, OperatorNamespace
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.passphrase import PassphraseFile, passphrase
from licenseusage.cli.times import show_time
from licenseusage.cli.written import write_whole
from licenseusage.clock import clock_from
from licenseusage.controller.rules.keysecrets import EXPORTED
from licenseusage.errors import Stalled, UsageError
from licenseusage.reasons import Reason

IdentitySecret = Annotated[
    str, typer.Option("--identity-secret", help="Its name, as in the operator's settings.")
]
PseudonymSecret = Annotated[
    str, typer.Option("--pseudonym-secret", help="Its name, as in the operator's settings.")
]


def export(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="The encrypted file to write.")
    ],
    passphrase_file: PassphraseFile = None,
    operator_namespace: OperatorNamespace = "licenseusage-system",
    identity_secret: IdentitySecret = DEFAULTS.identity_secret,
    pseudonym_secret: PseudonymSecret = DEFAULTS.pseudonym_secret,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Write the operator's keys into one file, encrypted with a passphrase.

    The file holds both Secrets: the key that signs, with the key statements, and the pseudonym key.
    Together with a backup of the ledger it is all that is needed to go on elsewhere. Its format is
    that of age (age-encryption.org), so that the program age opens it, too. It is opened again
    before the command ends, as a proof. Keep file and passphrase apart.

    The passphrase is asked for, or read from a file or standard input. It is never an argument.

    Exit code 0: written. 3: it could not be done; no file was written.

    Examples:
        kubectl licenseusage keys export -o keys.age

        pass show licenseusage | kubectl licenseusage keys export -o keys.age --passphrase-file -
    """
    kubectl = Kubectl(context, kubeconfig)
    keys = keys_of(
        _secret(kubectl, operator_namespace, identity_secret),
        _secret(kubectl, operator_namespace, pseudonym_secret),
    )
    phrase = acceptable(passphrase(passphrase_file, again=True))
    time = show_time(clock_from(os.environ).now_ms() // 1000)
    data = sealed(keys, phrase, time)
    opened(data, phrase, str(out))
    write_whole(out, data)
    typer.echo(f"wrote {out}: {_described(keys)}", err=True)
    mark = {"stringData": {EXPORTED: exported_mark(keys, time)}}
    try:
        kubectl.merge("secret", operator_namespace, identity_secret, mark)
    except UsageError as error:
        typer.echo(
            f"note: the operator was not told ({error.message}), so it goes on to ask for an "
            f"export. The file is whole.",
            err=True,
        )


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - is stdin.")],
    passphrase_file: PassphraseFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only open the file and say what it holds.")
    ] = False,
    operator_namespace: Annotated[
        str | None,
        typer.Option("--operator-namespace", help="Namespace; without it, that of the export."),
    ] = None,
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Create the operator's Secrets from a file that `keys export` wrote.

    A Secret that is there already is never overwritten. If it holds the same key, it stays as it
    is; if it holds another one, nothing at all is created. Restore the ledger before the operator
    starts again (docs/keys.md).

    Exit code 0: both Secrets are there. 3: it could not be done.

    Examples:
        kubectl licenseusage keys import keys.age

        licenseusage keys import keys.age --check
    """
    if (file, passphrase_file) == ("-", "-"):
        raise typer.BadParameter("file and passphrase cannot both come from standard input")
    data = read_bytes(file)
    keys = opened(data, passphrase(passphrase_file, again=False), file)
    typer.echo(f"{file} holds {_described(keys)}", err=True)
    if check:
        return
    kubectl = Kubectl(context, kubeconfig)
    wanted = [_in(secret, operator_namespace) for secret in keys.secrets]
    there = [_present(kubectl, secret) for secret in wanted]
    _refuse_another_key(keys, there)
    for secret, present in zip(wanted, there, strict=True):
        named = f"Secret {secret.namespace}/{secret.name}"
        if present is None:
            kubectl.create(secret.manifest())
            typer.echo(f"created {named}")
        else:
            typer.echo(f"{named} is there already and holds the same key: unchanged")


def _refuse_another_key(keys: ExportedKeys, there: list[SecretObject | None]) -> None:
    """Refuse to import where a Secret holds another key.

    Raises:
        Stalled: ``AnotherKey``.
    """
    ours = keys.secrets
    together = [present or own for present, own in zip(there, ours, strict=True)]
    present = keys_of(together[0], together[1])
    known = {key.brings.thumbprint for chain in keys.ring.chains.values() for key in chain}
    known |= {key.kid for key in keys.ring.keys}
    same_identity = present.ring.current == keys.ring.current
    if same_identity and present.pseudonym_id == keys.pseudonym_id:
        return
    if not same_identity:
        what, which = there[0] or ours[0], f"key {present.ring.current.kid}"
        own = f"key {keys.ring.current.kid}"
        newer = keys.ring.current.kid in present.ring.public_keys()
        why = (
            "It has succeeded the file's key, so that the file is outdated: make a new export."
            if newer
            else "If the cluster's installation is to be given up, delete its Secret first."
        )
    else:
        what, which = there[1] or ours[1], f"pseudonym key {present.pseudonym_id}"
        own, why = keys.pseudonym_id, "If that key is to be given up, delete its Secret first."
    raise Stalled(
        Reason.ANOTHER_KEY,
        f"Secret {what.namespace}/{what.name} holds {which}, and the file {own}. Nothing was "
        f"changed. {why}",
    )


def _described(keys: ExportedKeys) -> str:
    names = [f"identity key {key.kid}" for key in keys.ring.keys]
    subscriptions = ", ".join(sorted(keys.ring.installation_ids())) or "none yet"
    return (
        f"{' and '.join(names)}, pseudonym key {keys.pseudonym_id}; enrolled subscriptions: "
        f"{subscriptions}"
    )


def _in(secret: SecretObject, namespace: str | None) -> SecretObject:
    return SecretObject(namespace or secret.namespace, secret.name, secret.values)


def _present(kubectl: Kubectl, secret: SecretObject) -> SecretObject | None:
    try:
        return _secret(kubectl, secret.namespace, secret.name)
    except Stalled as error:
        if error.reason is Reason.SECRET_NOT_FOUND:
            return None
        raise


def _secret(kubectl: Kubectl, namespace: str, name: str) -> SecretObject:
    """Return a Secret of the cluster.

    Raises:
        Stalled: ``SecretNotFound``, ``ForbiddenByCluster``; or as `Kubectl.get`.
    """
    named = f"Secret {namespace}/{name}"
    try:
        return SecretObject.read(kubectl.get("secret", name, f"--namespace={namespace}"))
    except ValueError:
        raise Stalled(Reason.KUBECTL_FAILED, f"{named}: kubectl's answer is no Secret.") from None
    except Stalled as error:
        if error.reason is Reason.KUBECTL_FAILED and "(NotFound)" in error.message:
            raise Stalled(
                Reason.SECRET_NOT_FOUND,
                f"{named} does not exist. If the operator runs in another namespace, name it with "
                f"--operator-namespace.",
            ) from None
        if error.reason is Reason.FORBIDDEN_BY_CLUSTER:
            raise Stalled(
                Reason.FORBIDDEN_BY_CLUSTER,
                f"You may not get {named}. Exporting and importing keys needs the right to get, "
                f"create and patch Secrets in namespace {namespace}.",
            ) from None
        raise

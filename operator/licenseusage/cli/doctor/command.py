"""``licenseusage doctor``: the command, and how its findings are shown."""

from collections.abc import Sequence

import typer

from licenseusage import __version__
from licenseusage.cli.doctor import installation, keys, products, usages
from licenseusage.cli.doctor.facts import Facts
from licenseusage.cli.doctor.findings import EXIT_CODES, Finding, Level, result
from licenseusage.cli.doctor.looking import look, shipped
from licenseusage.cli.inpod import OperatorNamespaceOption
from licenseusage.cli.kubectl import ContextOption, KubeconfigOption, Kubectl
from licenseusage.cli.operatorpods import Wanted
from licenseusage.cli.output import Output, OutputOption, print_json, print_table

app = typer.Typer()


@app.command()
def doctor(
    operator_namespace: OperatorNamespaceOption = "licenseusage-system",
    context: ContextOption = None,
    kubeconfig: KubeconfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check an installation: what is wrong, what was seen, and the fix.

    It looks at the definitions, the operator's Deployment and pod, the rights of its account, the
    clocks, the volume, the keys and their backup, the vendor's keys, and at each LicenseUsage: its
    conditions, licence, delivery, and the pods or the Service that it asks.

    It only reads, with your own rights; what you may not see is shown as "could not look". It never
    reads the content of a Secret.

    Exit code 0: nothing has failed (there may be warnings). 1: something has. 3: nothing has, but
    something could not be looked at.

    Examples:
        kubectl licenseusage doctor

        kubectl licenseusage doctor --output json
    """
    facts = look(Kubectl(context, kubeconfig), Wanted.read(operator_namespace))
    findings = judged(facts)
    outcome = result(findings)
    if output is Output.JSON:
        print_json(
            {
                "licenseusage": __version__,
                "operatorNamespace": facts.namespace,
                "result": outcome.value,
                "checks": [_as_json(item) for item in findings],
            }
        )
    else:
        _print(findings)
        typer.echo(outcome.value)
    raise typer.Exit(EXIT_CODES[outcome])


def judged(facts: Facts) -> list[Finding]:
    """Return what all checks found, in the order in which things depend on each other."""
    return [
        *installation.definitions(facts, shipped()),
        *installation.operator(facts),
        *installation.rights(facts),
        *installation.clock(facts),
        *usages.operator_clock(facts),
        *installation.storage(facts),
        *keys.keys(facts),
        *keys.vendor_keys(facts),
        *usages.usages(facts),
        *products.products(facts),
    ]


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "object": finding.about,
        "result": finding.level.value,
        "seen": finding.seen,
        "fix": finding.fix,
    }


def _print(findings: Sequence[Finding]) -> None:
    print_table(
        ("CHECK", "RESULT", "OBJECT", "SEEN"),
        [(item.check, item.level.value, item.about, item.seen) for item in findings],
    )
    fixes = dict.fromkeys(
        f"- {item.check}, {item.about}: {item.fix}"
        for item in findings
        if item.level is not Level.GOOD and item.fix
    )
    typer.echo("".join(f"\n{fix}" for fix in fixes) + "\n" if fixes else "")

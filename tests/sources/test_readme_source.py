"""Who follows the README, or applies the sample, counts people and not the collector."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from licenseusage.api.source import Source
from licenseusage.sources.definition.presets import effective
from tests.sources.product import answer, at, poll

ROOT = Path(__file__).resolve().parents[2]


def of_the_readme() -> str:
    text = (ROOT / "README.md").read_text()
    (block,) = [part for part in text.split("```") if part.startswith("yaml\napiVersion")]
    return block.removeprefix("yaml\n")


def of_the_sample() -> str:
    return (ROOT / "manifests" / "samples" / "opencloud" / "licenseusage.yaml").read_text()


SHOWN = {"README": of_the_readme, "sample": of_the_sample}


def account(number: int, name: str) -> dict[str, Any]:
    """A user as OpenCloud lists one."""
    return {
        "id": f"4c510ada-c86b-4815-8820-{number:012}",
        "onPremisesSamAccountName": name,
        "signInActivity": {"lastSuccessfulSignInDateTime": at("05T10:00:00")},
    }


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_the_collectors_account_that_signed_in_once_is_not_counted(serve, text):
    (usage,) = [one for one in yaml.safe_load_all(text()) if one["kind"] == "LicenseUsage"]
    (source,) = usage["spec"]["sources"]
    product = serve(answer({"value": [account(1, "ada"), account(2, "license-meter")]}))
    result = poll(product.port, effective(Source.model_validate(source)))
    assert (result.failure, result.counted) == (None, 1)
    assert result.skipped == {"Excluded": 1}
    assert result.notes == ()


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_an_exclusion_of_another_name_than_the_accounts_is_said(serve, text):
    (usage,) = [one for one in yaml.safe_load_all(text()) if one["kind"] == "LicenseUsage"]
    (source,) = usage["spec"]["sources"]
    product = serve(answer({"value": [account(1, "ada"), account(2, "admin-of-the-meter")]}))
    result = poll(product.port, effective(Source.model_validate(source)))
    assert result.counted == 2
    assert "users.exclude matches none of 2 users" in " ".join(result.notes)

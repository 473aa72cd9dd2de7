"""``report import``: receipts become objects in the namespaces of their reports, by kubectl."""

import pytest
import yaml

from licenseusage.api.usagereport import UsageReportSpec
from licenseusage.reports.bundle import Parties, make_bundle
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import ReceiptVerdict, Subject
from licenseusage.reports.tokens import sign
from licenseusage.reports.typs import BUNDLE, REPORT
from tests.cli.cluster import CHAIN_NAMESPACE, TOKENS, Cluster, report, text
from tests.delivery.people import INSTALLATION_KEY, NOW_S, VendorDesk, enrolment, key


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    return Cluster(folder, monkeypatch)


@pytest.fixture
def vendor():
    return VendorDesk()


def test_receipts_are_applied_in_the_namespace_of_their_reports(run, cluster, vendor, tmp_path):
    receipts = [vendor.receipt(token) for token in TOKENS]
    (tmp_path / "receipts.txt").write_text(text(*receipts))
    done = run("report", "import", "receipts.txt")
    assert done.code == 0, done.err
    (made,) = cluster.applied
    assert (made["kind"], made["metadata"]["namespace"]) == ("UsageReceipt", CHAIN_NAMESPACE)
    assert made["spec"]["receipts"] == receipts
    assert made["metadata"]["name"] == f"receipts-{digest(text(*receipts))[7:19]}"
    assert made["metadata"]["name"] in done.out
    assert "kubectl get usagereceipts" in done.out
    asked, applied = cluster.calls
    assert "get usagereports.licenseusage.dev --all-namespaces" in asked
    assert "apply --server-side --field-manager=licenseusage-import --filename=-" in applied


def test_the_same_file_twice_makes_the_same_objects(run, cluster, vendor):
    receipts = text(*(vendor.receipt(token) for token in TOKENS))
    run("report", "import", "-", stdin=receipts)
    before = cluster.applied
    run("report", "import", "-", stdin=receipts)
    assert cluster.applied == before


def test_it_reads_the_objects_that_the_vendors_page_gives(run, cluster, vendor):
    receipts = [vendor.receipt(TOKENS[0]), vendor.receipt(TOKENS[1])]
    given = {"kind": "UsageReceipt", "metadata": {"name": "x"}, "spec": {"receipts": receipts}}
    assert run("report", "import", "-", stdin=yaml.safe_dump(given)).code == 0
    assert cluster.applied[0]["spec"]["receipts"] == receipts


def test_a_dry_run_prints_yaml_to_commit_and_applies_nothing(run, cluster, vendor):
    receipt = vendor.receipt(TOKENS[0])
    done = run("report", "import", "-", "--dry-run", stdin=text(receipt))
    assert done.code == 0
    (made,) = yaml.safe_load_all(done.out)
    assert made["metadata"]["namespace"] == CHAIN_NAMESPACE
    assert made["spec"]["receipts"] == [receipt]
    assert cluster.applied == []
    assert len(cluster.calls) == 1


def test_the_receipt_of_an_enrolment_goes_wherever_its_reports_are(run, cluster, vendor):
    cluster.has(report(TOKENS[0]), report(TOKENS[0].upper(), "damaged"))
    enrolled, first = vendor.receipt(enrolment()), vendor.receipt(TOKENS[0])
    assert run("report", "import", "-", stdin=text(enrolled, first)).code == 0
    (made,) = cluster.applied
    assert made["spec"]["receipts"] == [enrolled, first]


def test_the_receipt_of_an_enrolment_alone_is_imported(run, cluster, vendor):
    enrolled = vendor.receipt(enrolment())
    assert run("report", "import", "-", stdin=text(enrolled)).code == 0
    assert cluster.applied[0]["spec"]["receipts"] == [enrolled]


def test_unknown_subjects_are_named_and_the_others_imported(run, cluster, vendor):
    foreign = vendor.receipt(
        TOKENS[0], chain_id="0" * 32, subject=_subject("0" * 32), installation=_other()
    )
    good = vendor.receipt(TOKENS[0])
    done = run("report", "import", "-", stdin=text(foreign, good))
    assert done.code == 1
    assert "standard input:1 is for " + "0" * 32 + "-0000000001" in done.err
    assert _other() in done.err
    assert "--context" in done.err
    assert cluster.applied[0]["spec"]["receipts"] == [good]


def _other():
    return key("other").installation


def _subject(chain):
    return Subject(REPORT, f"{chain}-0000000001", 1, digest("x"))


def test_a_line_that_is_no_receipt_is_named_and_the_others_imported(run, cluster, vendor):
    good = vendor.receipt(TOKENS[0])
    done = run("report", "import", "-", stdin=text(good[:-40] + "=" * 40, good, TOKENS[1]))
    assert done.code == 1
    assert "standard input:1 is not a receipt" in done.err
    assert "standard input:3 is not a receipt" in done.err
    assert cluster.applied[0]["spec"]["receipts"] == [good]


def test_a_bundle_is_not_taken_for_receipts(run, cluster):
    manifest = sign(BUNDLE, {"ver": 1}, INSTALLATION_KEY)
    done = run("report", "import", "-", stdin=text(manifest))
    assert done.code == 3
    assert "it goes to the vendor" in done.err
    assert cluster.applied == []


@pytest.mark.parametrize("stdin", ["", "\n", "kind: ConfigMap\n"])
def test_a_file_without_receipts_is_refused(run, cluster, stdin):
    done = run("report", "import", "-", stdin=stdin)
    assert done.code == 3
    assert "holds no signed document" in done.err


def test_only_the_namespace_that_was_named_is_looked_at(run, cluster, vendor):
    run("report", "import", "-", "-n", "collab", stdin=text(vendor.receipt(TOKENS[0])))
    assert "--namespace=collab" in cluster.calls[0]


def test_what_the_cluster_refuses_is_passed_on(run, cluster, vendor):
    (cluster.folder / "refuse").write_text(
        'Error from server (Forbidden): usagereceipts is forbidden: User "jo" cannot patch'
    )
    done = run("report", "import", "-", stdin=text(vendor.receipt(TOKENS[0])))
    assert done.code == 3
    assert 'User "jo" cannot patch' in done.err
    assert "licenseusage-edit" in done.err


def test_the_same_receipt_twice_is_in_the_object_once(run, cluster, vendor):
    receipt = vendor.receipt(TOKENS[0])
    done = run("report", "import", "-", stdin=text(receipt, receipt))
    assert done.code == 0
    assert cluster.applied[0]["spec"]["receipts"] == [receipt]


def test_receipts_that_contradict_each_other_are_the_operators_to_judge(run, cluster, vendor):
    accepted = vendor.receipt(TOKENS[0])
    rejected = vendor.receipt(TOKENS[0], verdict=ReceiptVerdict.REJECTED, error="CycleMismatch")
    done = run("report", "import", "-", stdin=text(accepted, rejected))
    assert done.code == 0
    assert cluster.applied[0]["spec"]["receipts"] == [accepted, rejected]


def test_100_mb_are_not_read(run, cluster, tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(100_000_000)
    done = run("report", "import", "big")
    assert done.code == 3
    assert done.err == "error: FileUnreadable: big: longer than 16 MiB\n"
    assert cluster.applied == []


# -- reports that come back


def made(cluster):
    return {each["metadata"]["name"]: each for each in cluster.applied}


def test_after_a_loss_the_reports_of_a_bundle_become_usagereports_again(run, cluster):
    parties = Parties.of(TOKENS[0])
    (bundle,) = make_bundle(
        parties, INSTALLATION_KEY, key_statements=[enrolment()], reports=TOKENS, now_s=NOW_S
    )
    done = run("report", "import", "-", "--reports", stdin=bundle)
    assert done.code == 0, done.err
    assert [each["spec"]["token"] for each in cluster.applied] == list(TOKENS)
    (first, *_) = cluster.applied
    assert first["kind"] == "UsageReport"
    assert first["metadata"]["namespace"] == CHAIN_NAMESPACE
    assert first["metadata"]["labels"] == {"licenseusage.dev/usage": "production"}
    assert (first["spec"]["sequence"], first["spec"]["kind"]) == (1, "Interim")
    assert UsageReportSpec.model_validate(first["spec"]).usage_name == "production"


def test_only_reports_that_are_not_there_are_made(run, cluster):
    run("report", "import", "-", "--reports", stdin=text(*TOKENS))
    names = list(made(cluster))
    cluster.has(*(report(token, name=name) for name, token in zip(names, TOKENS, strict=True)))
    (cluster.folder / "applied").unlink()
    done = run("report", "import", "-", "--reports", stdin=text(*TOKENS))
    assert (done.code, cluster.applied) == (0, [])
    assert "Every report in the file is in the cluster" in done.out


def test_the_vendors_history_brings_reports_and_receipts_and_its_key_statements_stay_out(
    run, cluster, vendor
):
    cluster.has()
    receipt = vendor.receipt(TOKENS[2])
    done = run("report", "import", "-", "--reports", stdin=text(enrolment(), *TOKENS, receipt))
    assert done.code == 0, done.err
    kinds = [each["kind"] for each in cluster.applied]
    assert kinds == ["UsageReport"] * 3 + ["UsageReceipt"]
    assert cluster.applied[-1]["spec"]["receipts"] == [receipt]


def test_a_bundle_that_was_damaged_on_its_way_brings_nothing(run, cluster):
    (bundle,) = make_bundle(Parties.of(TOKENS[0]), INSTALLATION_KEY, reports=TOKENS, now_s=NOW_S)
    done = run("report", "import", "-", "--reports", stdin=bundle[:-1])
    assert done.code == 3
    assert "is damaged" in done.err
    assert cluster.applied == []


def test_reports_are_brought_back_only_where_that_is_wanted(run, cluster):
    done = run("report", "import", "-", stdin=text(*TOKENS))
    assert done.code == 1
    assert "is not a receipt" in done.err
    assert cluster.applied == []


def test_one_namespace_gets_only_its_own_reports(run, cluster):
    done = run("report", "import", "-", "--reports", "-n", "elsewhere", stdin=text(*TOKENS))
    assert (done.code, cluster.applied) == (0, [])

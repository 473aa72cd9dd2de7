"""``report export``: what waits, as a file to carry; whole, or not at all."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from licenseusage.cli import exporting
from licenseusage.ledger.documents.closing import Signing
from licenseusage.ledger.documents.records import Delivery, DeliveryResult, SignedDocument
from licenseusage.ledger.records import MeterKey
from licenseusage.reports.bundle import read_lines, verify_bundle
from licenseusage.reports.enrolment import build_enrolment
from licenseusage.reports.keyring import KeyRing
from licenseusage.reports.names import digest
from licenseusage.reports.receipt import Sent
from licenseusage.reports.report import read_report
from licenseusage.reports.tokens import decode
from tests.cli.pods import showing
from tests.delivery.people import key
from tests.ledger import book
from tests.ledger.conftest import CYCLE, HOUR_MS, START, TERMS, declared
from trials import forked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """The ledger beside which the command runs: an interim was accepted, a final waits."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    path.parent.mkdir()
    with book.opened(path) as opened:
        book.begin(opened)
        book.count(opened, START + HOUR_MS, "ada", "bob")
        book.interim(opened, 0, START + 2 * HOUR_MS)
        book.accept_all(opened, START + 3 * HOUR_MS)
        book.count(opened, CYCLE.end_ms + 120_000, "ada", "bob", "eve")
        book.final(opened)
    monkeypatch.setenv("LICENSEUSAGE_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setattr(exporting, "key_ring", lambda settings: KeyRing(book.KEY))
    return path


def refuse(ledger, reason, *, receipt, state=Delivery.REJECTED):
    item = ledger.claim(CYCLE.end_ms + 3 * HOUR_MS)
    ledger.record_result(
        item, DeliveryResult(state, reason, receipt=receipt), CYCLE.end_ms + 3 * HOUR_MS
    )


def accept(path):
    with book.opened(path) as opened:
        book.accept_all(opened, CYCLE.end_ms + 3 * HOUR_MS)


def kinds(data):
    return [read_report(token).content.kind.value for token in read_lines(data).reports]


def exported(run, tmp_path, *more):
    done = run("report", "export", *more, "-o", "out.usage-bundle")
    assert done.code == 0, done.err
    return (tmp_path / "out.usage-bundle").read_text("ascii")


class TestWhatIsInIt:
    def test_what_the_vendor_has_not_acknowledged_and_the_key_statements(
        self, run, ledger, tmp_path
    ):
        lines = read_lines(exported(run, tmp_path))
        assert len(lines.key_statements) == 1
        assert [read_report(token).content.kind.value for token in lines.reports] == ["final"]

    def test_the_octets_are_those_that_were_signed(self, run, ledger, tmp_path):
        (token,) = read_lines(exported(run, tmp_path)).reports
        with book.opened(ledger) as opened:
            assert opened.reports(1)[0].token == token

    def test_the_vendor_can_verify_it_together_with_what_he_holds(self, run, ledger, tmp_path):
        with book.opened(ledger) as opened:
            held = [item.token for item in opened.reports(1) if item.state is Delivery.ACCEPTED]
        found = verify_bundle(
            exported(run, tmp_path),
            book.VENDOR_KEYS,
            license_=book.ISSUER.license,
            keys={},
            now_s=CYCLE.end_ms // 1000 + 86_400,
            received=held,
        )
        assert found.heads[book.CHAIN.id].sequence == 2

    def test_all_is_the_whole_chain(self, run, ledger, tmp_path):
        assert kinds(exported(run, tmp_path, "--all")) == ["interim", "final"]

    def test_since_adds_what_was_signed_since_then(self, run, ledger, tmp_path):
        assert kinds(exported(run, tmp_path, "--since", "2026-11-01")) == ["interim", "final"]
        assert kinds(exported(run, tmp_path, "--since", "2026-11-03")) == ["final"]
        assert kinds(exported(run, tmp_path, "--since", "2027-01-01")) == ["final"]

    def test_twice_is_the_same_documents(self, run, ledger, tmp_path):
        first, second = (read_lines(exported(run, tmp_path)).content for _ in range(2))
        assert first == second

    def test_exporting_changes_nothing(self, run, ledger, tmp_path):
        before = ledger.read_bytes()
        exported(run, tmp_path)
        assert ledger.read_bytes() == before
        assert sorted(os.listdir(ledger.parent)) == ["ledger.sqlite", "ledger.sqlite.lock"]

    def test_works_while_the_operator_has_the_ledger(self, run, ledger, tmp_path):
        with book.opened(ledger):
            assert kinds(exported(run, tmp_path)) == ["final"]

    def test_a_refusal_that_nobody_signed_goes_along(self, run, ledger, tmp_path):
        with book.opened(ledger) as opened:
            refuse(opened, "MalformedToken", receipt=None)
        assert kinds(exported(run, tmp_path)) == ["final"]

    def test_a_signed_refusal_alone_is_nothing_that_waits(self, run, ledger):
        with book.opened(ledger) as opened:
            refuse(opened, "CycleMismatch", receipt="r")
        done = run("report", "export", "-o", "out.usage-bundle")
        assert (done.code, done.err) == (0, "nothing waits: nothing to write (see --all)\n")

    def test_what_the_vendor_has_lost_waits_again(self, run, ledger, tmp_path):
        accept(ledger)
        with book.opened(ledger) as opened:
            opened.resend_key_statements(book.CHAIN.key_chain_id, CYCLE.end_ms)
        assert kinds(exported(run, tmp_path)) == []

    def test_a_chain_that_is_stopped_is_left_out_and_named(self, run, ledger, tmp_path):
        with book.opened(ledger) as opened:
            opened.stop_chain(book.CHAIN.id, "LocalHistoryLost", START)
        done = run("report", "export", "-o", "out.usage-bundle")
        assert done.code == 0
        assert "default/opencloud: its chain is stopped (LocalHistoryLost)" in done.err
        assert not (tmp_path / "out.usage-bundle").exists()
        assert kinds(exported(run, tmp_path, "--all")) == ["interim", "final"]

    def test_what_waits_for_approval_stays_with_all_that_follows(self, run, ledger, tmp_path):
        hold_back(ledger, 1)
        done = run("report", "export", "--all", "-o", "out.usage-bundle")
        assert done.code == 0
        assert "default/opencloud: left out until approved: 2 reports, from " in done.err
        assert "(kubectl licenseusage approve -n default --all)." in done.err
        hold_back(ledger, 2, state="Pending")


def hold_back(path, sequence, state="AwaitingApproval"):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "update outbox set state = ? where kind in ('Interim', 'Final') and sequence = ?",
            (state, sequence),
        )


class TestAfterARotation:
    NEW = key("new")

    @pytest.fixture
    def rotated(self, ledger, monkeypatch):
        """A succession is in the chain; the vendor has not receipted it yet."""
        from licenseusage.ledger.documents.records import ReportKind
        from licenseusage.reports.succession import build_succession

        with book.opened(ledger) as opened:
            (first,) = opened.key_statements(book.CHAIN.key_chain_id)
            sent = Sent.from_token(first.token)
            token = build_succession(
                vendor=sent.vendor,
                subscription=sent.subscription,
                installation=sent.installation,
                signer=book.KEY,
                new=self.NEW.public,
                reason="Scheduled",
                sequence=2,
                previous=first.digest,
                issued_at_s=CYCLE.end_ms // 1000,
            )
            document = SignedDocument(Sent.from_token(token).subject.jti, digest(token), token)
            opened.add_key_statement(
                book.CHAIN.key_chain_id, ReportKind.SUCCESSION, 2, document, CYCLE.end_ms
            )
        ring = KeyRing(book.KEY, self.NEW)
        monkeypatch.setattr(exporting, "key_ring", lambda settings: ring)
        return ledger

    def signer(self, data):
        return decode(read_lines(data).manifest)[0]["kid"]

    def test_the_former_key_signs_until_the_vendor_knows_the_new_one(self, run, rotated, tmp_path):
        data = exported(run, tmp_path, "--all")
        assert self.signer(data) == book.KEY.kid
        assert self.verified(data) == 2

    def test_then_the_new_one_signs(self, run, rotated, tmp_path):
        accept(rotated)
        data = exported(run, tmp_path, "--all")
        assert self.signer(data) == self.NEW.kid
        assert self.verified(data) == 2

    def verified(self, data):
        now_s = CYCLE.end_ms // 1000 + 86_400
        found = verify_bundle(
            data, book.VENDOR_KEYS, license_=book.ISSUER.license, keys={}, now_s=now_s
        )
        return len(found.keys)

    def test_without_the_key_that_the_vendor_knows_nobody_signs(
        self, run, rotated, tmp_path, monkeypatch
    ):
        accept(rotated)
        monkeypatch.setattr(exporting, "key_ring", lambda settings: KeyRing(book.KEY))
        done = run("report", "export", "--all", "-o", "out")
        assert done.code == 3
        assert done.err.startswith("error: KeyUnknown: ")


class TestWhichObjects:
    def second(self, path):
        """Another object of the same subscription, with a report that waits."""
        issuer = replace(book.ISSUER, name="forum")
        with book.opened(path) as opened:
            meter = opened.ensure_meter(MeterKey("default", "forum", "opencloud"), START)
            opened.keep_terms(meter.id, TERMS, START)
            statement = opened.statement(meter.id, CYCLE, sources=[declared()])
            opened.add_interim(
                meter.id,
                0,
                statement,
                START + HOUR_MS,
                Signing(issuer.chain, issuer.sign, START),
            )

    def test_one_bundle_holds_all_objects_of_a_subscription(self, run, ledger, tmp_path):
        self.second(ledger)
        assert sorted(kinds(exported(run, tmp_path))) == ["final", "interim"]

    def test_only_the_named_one(self, run, ledger, tmp_path):
        self.second(ledger)
        assert kinds(exported(run, tmp_path, "forum")) == ["interim"]
        assert kinds(exported(run, tmp_path, "-n", "default", "opencloud")) == ["final"]

    def test_only_those_of_a_namespace(self, run, ledger, tmp_path):
        assert kinds(exported(run, tmp_path, "-n", "default")) == ["final"]
        done = run("report", "export", "-n", "elsewhere", "-o", "none")
        assert (done.code, done.err) == (0, "nothing waits: nothing to write (see --all)\n")

    def test_a_name_that_is_unknown_lists_those_that_are_known(self, run, ledger):
        done = run("report", "export", "forum", "-o", "out")
        assert done.code == 3
        assert done.err == (
            "error: NoDocument: The ledger knows no LicenseUsage 'forum'; it knows: "
            "default/opencloud.\n"
        )

    def test_a_name_in_two_namespaces_asks_for_the_namespace(self, run, ledger):
        with book.opened(ledger) as opened:
            opened.ensure_meter(MeterKey("other", "opencloud", "opencloud"), START)
        done = run("report", "export", "opencloud", "-o", "out")
        assert done.code == 3
        assert (
            "There are default/opencloud and other/opencloud: name the namespace (-n)" in done.err
        )


class TestWhereItGoes:
    def test_a_file_and_a_sentence_about_it(self, run, ledger, tmp_path):
        done = run("report", "export", "-o", "out.usage-bundle")
        assert (done.code, done.out) == (0, "")
        assert done.err == (
            "wrote out.usage-bundle: 1 report (1 of ended cycles; signed since 2026-11-05) and 1 "
            "key statement of subscription sub-1 for vendor.example\n"
        )

    def test_standard_output_is_the_bundle_and_nothing_else(self, run, ledger):
        done = run("report", "export", "-o", "-")
        assert kinds(done.out) == ["final"]
        assert done.err.startswith("1 report (")

    def test_a_folder_gets_a_file_named_by_the_subscription(self, run, ledger, tmp_path):
        (tmp_path / "exports").mkdir()
        assert run("report", "export", "-o", "exports").code == 0
        name = f"sub-1-{book.CHAIN.key_chain_id[:8]}.usage-bundle"
        assert os.listdir(tmp_path / "exports") == [name]

    def test_several_subscriptions_are_several_files(self, run, ledger, tmp_path):
        another_subscription(ledger)
        (tmp_path / "exports").mkdir()
        assert run("report", "export", "-o", "exports").code == 0
        assert len(os.listdir(tmp_path / "exports")) == 2
        done = run("report", "export", "-o", "one.usage-bundle")
        assert done.code == 3
        assert "This makes 2 files" in done.err
        assert "name an existing folder" in done.err
        assert not (tmp_path / "one.usage-bundle").exists()

    def test_nothing_that_waits_is_no_file(self, run, ledger, tmp_path):
        accept(ledger)
        done = run("report", "export", "-o", "out.usage-bundle")
        assert (done.code, done.err) == (0, "nothing waits: nothing to write (see --all)\n")
        assert not (tmp_path / "out.usage-bundle").exists()

    def test_a_ledger_without_documents_says_so(self, run, ledger, tmp_path):
        ledger.unlink()
        with book.opened(ledger):
            pass
        done = run("report", "export", "-o", "out")
        assert done.code == 0
        assert "nothing was signed yet" in done.err

    def test_a_folder_that_is_missing_is_named(self, run, ledger):
        done = run("report", "export", "-o", "none/out.usage-bundle")
        assert done.code == 3
        assert done.err.startswith("error: NotWritable: none/out.usage-bundle cannot be written")

    def test_it_has_to_go_somewhere(self, run, ledger):
        assert run("report", "export").code == 2
        assert run("report", "export", "-o", "x", "--directory", ".").code == 2

    def test_a_time_that_is_none(self, run, ledger):
        done = run("report", "export", "--since", "yesterday", "-o", "out")
        assert done.code == 2
        assert "'yesterday' is no day and no RFC 3339 time" in " ".join(done.err.split())

    def test_documents_of_a_lost_installation_are_named(self, run, ledger, monkeypatch):
        monkeypatch.setattr(exporting, "key_ring", lambda settings: KeyRing(key("another")))
        done = run("report", "export", "-o", "out")
        assert done.code == 3
        assert done.err.startswith("error: KeyUnknown: 1 report of subscription sub-1")
        assert "kubectl get usagereports" in done.err

    def test_a_ledger_of_another_version_is_not_read(self, run, ledger):
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(ledger)) as newer, newer:
            newer.execute("update ledger set schema_version = 99, written_by = '9.8.7'")
        done = run("report", "export", "-o", "out")
        assert done.code == 3
        assert "schema 99, written by licenseusage 9.8.7" in done.err

    def test_more_than_memory_holds_is_refused(self, run, ledger, monkeypatch):
        monkeypatch.setattr(exporting, "MOST_BESIDE_OPERATOR", 1000)
        done = run("report", "export", "-o", "out")
        assert done.code == 3
        assert "Leave out --all and --since" in done.err


def another_subscription(path):
    """Another contract of the same installation, of which only the enrolment waits."""
    from dataclasses import fields

    from licenseusage.ledger.documents.records import ReportKind
    from licenseusage.reports.licence import LicenseTerms, build_license, read_license

    terms = {one.name: getattr(book.ISSUER.license, one.name) for one in fields(LicenseTerms)}
    other = build_license(LicenseTerms(**{**terms, "subscription": "sub/2"}), book._VENDOR)
    license_ = read_license(other, book.VENDOR_KEYS)
    token = build_enrolment(license_, book.KEY, issued_at_s=START // 1000)
    sent = Sent.from_token(token)
    document = SignedDocument(sent.subject.jti, digest(token), token)
    with book.opened(path) as opened:
        opened.add_key_statement(sent.chain_id, ReportKind.ENROLMENT, 1, document, START)


class TestFromElsewhere:
    @pytest.fixture
    def kubectl(self, ledger, tmp_path, monkeypatch):
        """A kubectl that runs the command beside the ledger, and then does what it is told."""
        program = tmp_path / "bin" / "kubectl"
        program.parent.mkdir()
        with_key = (
            "import licenseusage.cli.exporting as e; from tests.ledger import book; "
            "from licenseusage.reports.keyring import KeyRing; "
            "e.key_ring = lambda settings: KeyRing(book.KEY)"
        )
        ours = forked.program(program.parent / "licenseusage", with_key)
        url = os.environ["LICENSEUSAGE_DATABASE_URL"]
        monkeypatch.delenv("LICENSEUSAGE_DATABASE_URL")
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

        def does(then=""):
            program.write_text(
                f"#!/bin/sh\n{showing()}cd {ROOT}\n"
                'while [ "$1" != licenseusage ]; do shift; done; shift\n'
                f'LICENSEUSAGE_DATABASE_URL={url} {ours} "$@" {then}\n'
                "code=$?\n"
                '[ $code = 0 ] || echo "command terminated with exit code $code" >&2\n'
                "exit $code\n"
            )
            program.chmod(0o755)

        does()
        return does

    def test_the_file_is_written_on_the_callers_side(self, run, kubectl, tmp_path):
        done = run("report", "export", "-o", "out.usage-bundle", name="kubectl-licenseusage")
        assert done.code == 0, done.err
        assert kinds((tmp_path / "out.usage-bundle").read_text("ascii")) == ["final"]
        assert done.err.startswith("wrote out.usage-bundle: 1 report (")

    def test_what_was_asked_for_is_passed_on(self, run, kubectl, tmp_path):
        out = exported(run, tmp_path, "-n", "default", "opencloud", "--since", "2026-11-01")
        assert kinds(out) == ["interim", "final"]
        assert kinds(exported(run, tmp_path, "--all")) == ["interim", "final"]

    def test_several_files_come_out_of_the_pod(self, run, kubectl, ledger, tmp_path):
        another_subscription(ledger)
        (tmp_path / "exports").mkdir()
        assert run("report", "export", "-o", "exports").code == 0
        assert len(os.listdir(tmp_path / "exports")) == 2

    def test_a_failure_in_the_pod_is_told_here_and_leaves_no_file(self, run, kubectl, tmp_path):
        done = run("report", "export", "forum", "-o", "out.usage-bundle")
        assert done.code == 3
        assert done.err.startswith("error: NoDocument: The ledger knows no LicenseUsage 'forum'")
        assert not (tmp_path / "out.usage-bundle").exists()

    @pytest.mark.parametrize("bytes_", [0, 300, 1024, 3000])
    def test_a_connection_that_is_cut_leaves_no_file(self, run, kubectl, tmp_path, bytes_):
        kubectl(f"| head -c {bytes_}")
        done = run("report", "export", "-o", "out.usage-bundle")
        assert done.code == 3
        assert "error: BundleInvalid: What came out of the operator's pod is not whole" in done.err
        assert not (tmp_path / "out.usage-bundle").exists()

    def test_a_folder_is_kept_only_where_the_ledger_is(self, run, kubectl):
        done = run("report", "export", "--directory", ".")
        assert done.code == 2
        assert "manifests/components/export" in done.err

"""Full disks, locks and failing signatures: nothing is stored then, and a 503 says so."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from licenseusage.errors import Retryable, Stalled
from licenseusage.receiver.store import Hold, ReceiverDatabase
from tests.receiver.people import ANCHOR, CYCLE, chain_id, error_of, jti, unavailable


def rows(receiver, token):
    with receiver.store.read() as views:
        return [document for document, _ in views.documents(chain_id(token), limit=100)]


@pytest.mark.parametrize("when", ["write", "commit"])
def test_full_disk_stores_nothing(receiver, customer, when):
    token = customer.report()
    engine = receiver.store._engine
    if when == "write":

        @event.listens_for(engine, "before_cursor_execute")
        def fill(_c, _cursor, statement, *_):
            if statement.startswith("INSERT INTO documents"):
                raise sqlite3.OperationalError("database or disk is full")
    else:

        @event.listens_for(engine, "commit")
        def fill(connection):
            if "licenseusage_hold" in connection.get_execution_options():
                raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    assert unavailable(receiver.put_report(token))
    event.remove(engine, "before_cursor_execute" if when == "write" else "commit", fill)
    assert rows(receiver, token) == []
    assert receiver.put_report(token).status_code == 201


def test_really_full_database_stores_nothing_and_recovers(receiver, customer, clock):
    clock.now_s = ANCHOR + 20 * CYCLE
    engine = receiver.store._engine

    def limit(pages):
        engine.dispose()

        @event.listens_for(engine, "connect")
        def connect(connection, _):
            connection.execute(f"PRAGMA max_page_count={pages}")

    tokens = customer.chain(30)
    limit(1)  # SQLite rounds this up to what the file has now
    answers = [receiver.put_report(token) for token in tokens]
    refused = [
        token for token, answer in zip(tokens, answers, strict=True) if answer.status_code == 503
    ]
    assert refused
    assert all(answer.status_code in (201, 503) for answer in answers)
    limit(1_000_000)
    assert {receiver.put_report(token).status_code for token in refused} == {201}
    assert len(rows(receiver, tokens[0])) == len(tokens)


def test_locked_database_is_a_503(receiver, customer, tmp_path, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.store.engines.BUSY_SECONDS", 0)
    impatient = ReceiverDatabase.open(f"sqlite:///{tmp_path / 'receiver.sqlite'}")
    other = sqlite3.connect(tmp_path / "receiver.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retryable, match="locked"):
        impatient.write(lambda writing: None, Hold.register())
    other.execute("ROLLBACK")
    other.close()
    assert impatient.write(lambda writing: writing.document("none"), Hold.register()) is None
    impatient.close()


def test_position_is_guarded_by_the_database_itself(receiver, customer, tmp_path):
    token = customer.report()
    receiver.put_report(token)
    database = sqlite3.connect(tmp_path / "receiver.sqlite")
    copied = "INSERT INTO documents SELECT 'sha256:other', chain_id, sequence, typ, jti, previous, rank, token, {}, error, findings, received_ms, receipt, receipt_kid FROM documents WHERE jti = ?"  # noqa: E501
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        database.execute(copied.format("verdict"), [jti(token)])
    database.execute(copied.format("'Conflict'"), [jti(token)])
    database.close()


def test_database_is_durable_and_private(tmp_path):
    path = tmp_path / "receiver.sqlite"
    store = ReceiverDatabase.open(f"sqlite:///{path}")
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_database_of_another_version_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'receiver.sqlite'}"
    ReceiverDatabase.open(url).close()
    database = sqlite3.connect(tmp_path / "receiver.sqlite")
    database.executescript("UPDATE receiver_schema SET version = 4; DROP TABLE licenses;")
    database.close()
    with pytest.raises(Stalled, match="schema version 4") as caught:
        ReceiverDatabase.open(url)
    assert caught.value.reason == "SchemaUnsupported"
    with (
        sqlite3.connect(tmp_path / "receiver.sqlite") as untouched,
        pytest.raises(sqlite3.OperationalError, match="no such table"),
    ):
        untouched.execute("SELECT * FROM licenses")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite:////nowhere/receiver.sqlite", "DatabaseUnavailable"),
        ("mysql://root:secret@localhost/x", "SettingsInvalid"),
        ("not a url", "SettingsInvalid"),
    ],
)
def test_unusable_database_is_said_without_its_password(url, reason):
    with pytest.raises((Stalled, Retryable)) as caught:
        ReceiverDatabase.open(url)
    assert caught.value.reason == reason
    assert "secret" not in caught.value.message


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "receiver.sqlite").write_text("this is not a database, but it is long enough" * 99)
    with pytest.raises(Retryable, match="not a database"):
        ReceiverDatabase.open(f"sqlite:///{tmp_path / 'receiver.sqlite'}")


def test_health_tells_whether_the_database_answers(receiver, tmp_path, clock):
    assert receiver.get("/healthz").json() == {"status": "ok"}
    receiver.store.close()
    for file in tmp_path.iterdir():
        file.unlink()
    clock.now_s += 5
    assert unavailable(receiver.get("/healthz"))


def test_health_tells_that_nothing_can_be_stored_although_all_can_be_read(receiver, clock):
    def fill(_c, _cursor, statement, *_):
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise sqlite3.OperationalError("database or disk is full")

    event.listen(receiver.store._engine, "before_cursor_execute", fill)
    assert unavailable(receiver.get("/healthz"))
    assert receiver.get("/").status_code == 200
    event.remove(receiver.store._engine, "before_cursor_execute", fill)
    clock.now_s += 5
    assert receiver.get("/healthz").status_code == 200


def test_asking_for_health_again_and_again_does_not_keep_the_disk_busy(receiver, clock):
    commits = []

    @event.listens_for(receiver.store._engine, "commit")
    def count(connection):
        if "licenseusage_hold" in connection.get_execution_options():
            commits.append(1)

    for _ in range(20):
        assert receiver.get("/healthz").status_code == 200
    assert len(commits) == 1


def test_slow_body_is_given_up(receiver, customer, monkeypatch):
    monkeypatch.setattr("licenseusage.receiver.requestbody.READ_SECONDS", 0.01)
    token = customer.report()

    async def ask():
        sent = iter([{"type": "http.request", "body": token[:9].encode(), "more_body": True}])
        answer = []

        async def receive():
            for message in sent:
                return message
            return await asyncio.Event().wait()

        async def send(message):
            answer.append(message)

        scope = {
            "type": "http",
            "method": "PUT",
            "path": f"/v1/reports/{jti(token)}",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "server": ("usage.vendor.example", 443),
            "headers": [(b"content-type", b"application/jose"), (b"host", b"usage.vendor.example")],
        }
        await receiver.app(scope, receive, send)
        return answer

    answer = asyncio.run(ask())
    assert answer[0]["status"] == 408


def test_unexpected_failure_is_a_500_that_tells_nothing(receiver, customer, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("licenseusage.receiver.intake.place_report", fail)
    answer = receiver.put_report(customer.report())
    assert (answer.status_code, error_of(answer)) == (500, "InternalError")
    assert "secret" not in answer.text

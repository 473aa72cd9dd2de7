"""How the receiver gets into a PostgreSQL server: passwords, files that change, certificates."""

import os
import re
import shutil
import subprocess
import tempfile
import traceback
from pathlib import Path

import pytest

from hack.brokers import NOBODY
from licenseusage.errors import Retryable, Stalled
from licenseusage.receiver.store import DatabaseAddress, ReceiverDatabase
from tests.receiver.people import Customer, Receiver, unavailable
from tests.receiver.processes import LICENSEUSAGE
from tests.receiver.tls import write_certificate

CANARY = "correct-horse-4711"


@pytest.fixture
def guarded(postgres):
    """A database of a role that needs a password; its address without one, and its name."""
    postgres.execute("DROP ROLE IF EXISTS guarded")
    postgres.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{CANARY}'")
    name = postgres.create()
    postgres.execute(f"ALTER DATABASE {name} OWNER TO guarded")
    yield postgres.url(name, user="guarded")
    postgres.drop(name)
    postgres.execute("DROP ROLE guarded")


def with_password(url, password):
    return url.replace("guarded@", f"guarded:{password}@")


def test_a_wrong_password_is_said_without_it(guarded):
    with pytest.raises(Retryable, match=r"password authentication failed.*Correct user") as caught:
        ReceiverDatabase.open(with_password(guarded, CANARY[::-1]))
    assert caught.value.reason == "DatabaseUnavailable"
    assert CANARY[::-1] not in "".join(traceback.format_exception(caught.value))


def test_a_missing_password_is_said(guarded):
    with pytest.raises(Retryable, match=r"no password supplied.*Correct user"):
        ReceiverDatabase.open(guarded)


def test_a_password_that_changes_while_the_receiver_runs_is_read_again(
    guarded, postgres, tmp_path, clock, logged, capsys
):
    file = tmp_path / "password"
    file.write_text(f"{CANARY}\n")
    receiver = Receiver(DatabaseAddress(guarded, password_file=file), clock)
    customer = Customer()
    receiver.put_key(customer.enrolment)
    first, second = customer.chain(2)
    postgres.execute("ALTER ROLE guarded PASSWORD 'changed-4712'")
    kick = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guarded'"
    assert receiver.put_report(first).status_code == 201  # the old connection lives on
    postgres.execute(kick)
    assert unavailable(receiver.put_report(second))
    file.write_text("changed-4712")
    assert receiver.put_report(second).status_code == 201
    file.unlink()
    postgres.execute(kick)
    assert unavailable(receiver.put_report(second))
    said = f"{logged}{capsys.readouterr()}"
    assert f"--database-password-file {file} cannot be read (No such file" in said
    assert CANARY not in said
    assert "changed-4712" not in said
    receiver.close()


def test_an_address_in_a_file_is_that_of_a_secret(guarded, tmp_path):
    file = tmp_path / "uri"
    file.write_text(with_password(guarded, CANARY).replace("+psycopg", "") + "\n")
    address = DatabaseAddress.given(None, file, None)
    ReceiverDatabase.open(address).close()
    assert CANARY not in repr(address)
    file.write_text(f"mysql://root:{CANARY}@localhost/x")
    with pytest.raises(Stalled, match=f"{file} names 'mysql'") as caught:
        ReceiverDatabase.open(address)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "password_file", "words"),
    [
        (f"postgresql://u:{CANARY}@h/d", True, "--database-url has a password, and"),
        (f"postgresql://u:x@{CANARY}@h/d", False, "write an @ in user or password as %40"),
        ("sqlite:///x", True, "SQLite has no passwords"),
        (f"postgresql://u:{CANARY}@h:port/d", False, "--database-url is no address"),
        (CANARY, False, "--database-url is no address"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_without_its_password(
    tmp_path, url, password_file, words
):
    file = tmp_path / "password"
    file.write_text(CANARY)
    address = DatabaseAddress.given(url, None, file if password_file else None)
    with pytest.raises(Stalled, match=re.escape(words)) as caught:
        ReceiverDatabase.open(address)
    assert caught.value.reason == "SettingsInvalid"
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(address)


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_file_without_an_address_is_named(tmp_path, content, words):
    file = tmp_path / "uri"
    if content is not None:
        file.write_text(content)
    with pytest.raises(Stalled, match=f"--database-url-file {file} {words}"):
        DatabaseAddress.given(None, file, None).now()


def test_an_address_and_a_file_with_one_contradict_each_other(tmp_path):
    with pytest.raises(Stalled, match="contradict"):
        DatabaseAddress.given("sqlite:///x", tmp_path / "uri", None)
    assert DatabaseAddress.given(None, None, None).url == "sqlite:///receiver.sqlite"


def test_the_process_ends_with_one_line_that_names_database_and_fix(guarded, keys, tmp_path):
    file = tmp_path / "password"
    file.write_text(CANARY[::-1])
    done = subprocess.run(
        [LICENSEUSAGE, "receiver", "--keys", keys, "--database-password-file", file],
        env={
            "PATH": "/usr/bin",
            "LICENSEUSAGE_RECEIVER_ADDRESS": "127.0.0.1:0",
            "LICENSEUSAGE_RECEIVER_DATABASE_URL": guarded,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert re.fullmatch(
        r"error: DatabaseUnavailable: .+ t\d+ at 127\.0\.0\.1:\d+ .+\n", done.stderr
    )
    assert CANARY[::-1] not in done.stdout + done.stderr


@pytest.fixture
def served(postgres, tmp_path):
    """Have the server speak TLS with a new certificate; return that as its CA's file."""

    def serve() -> Path:
        with tempfile.TemporaryDirectory(dir=tmp_path) as made:
            ca = tmp_path / "ca.crt"
            for path in write_certificate(Path(made)):
                target = postgres.data / f"server{path.suffix}"
                shutil.copy(path, target)
                target.chmod(0o600)
                if os.geteuid() == 0:
                    os.chown(target, NOBODY, NOBODY)
            shutil.copy(postgres.data / "server.crt", ca)
        postgres.execute("ALTER SYSTEM SET ssl = on")
        mark = len(postgres.log)
        postgres.reload()
        while "reloading configuration files" not in postgres.log[mark:]:
            pass
        while postgres.execute("SHOW ssl") != [("on",)]:
            pass
        return ca

    yield serve
    postgres.execute("ALTER SYSTEM RESET ssl")
    postgres.reload()


def verified(postgres, ca, host="127.0.0.1"):
    url = postgres.url("receiver_template", sslmode="verify-full", sslrootcert=str(ca))
    return url.replace("@127.0.0.1", f"@{host}")


def test_a_server_is_verified_by_its_ca_which_may_be_renewed(postgres, served, tmp_path):
    ca = served()
    store = ReceiverDatabase.open(verified(postgres, ca))
    with store.read() as views:
        assert views._connection.exec_driver_sql(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).scalar()
    served()  # another certificate, in the same file
    store._engine.dispose()
    with store.read() as views:
        assert views.document("none") is None
    store.close()


def test_a_server_with_another_certificate_is_refused(postgres, served, tmp_path):
    served()
    stranger, _ = write_certificate(tmp_path)
    with pytest.raises(Retryable, match=r"certificate verify failed.*correct sslrootcert"):
        ReceiverDatabase.open(verified(postgres, stranger))


def test_a_server_with_a_certificate_of_another_name_is_refused(postgres, served):
    with pytest.raises(Retryable, match=r"does not match host name.*or the host in"):
        ReceiverDatabase.open(verified(postgres, served(), host="localhost"))


def test_a_ca_file_that_is_not_there_is_named(postgres, served, tmp_path):
    served()
    with pytest.raises(Retryable, match=r"nowhere\.crt.*sslrootcert"):
        ReceiverDatabase.open(verified(postgres, tmp_path / "nowhere.crt"))


def test_a_server_without_tls_is_refused_if_it_must_have_it(postgres, tmp_path):
    ca, _ = write_certificate(tmp_path)
    with pytest.raises(Retryable, match=r"does not support SSL.*sslmode"):
        ReceiverDatabase.open(verified(postgres, ca))

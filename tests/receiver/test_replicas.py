"""Receivers in processes of their own on one PostgreSQL: replicas, a full disk, a backup."""

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from hack.brokers import NOBODY
from licenseusage.reports.receipt import Sent, verify_receipt
from tests.receiver.conftest import postgres_server
from tests.receiver.people import ANCHOR, VENDOR_KEYS, Customer, Receiver, jti, unavailable
from tests.receiver.processes import Process
from tests.receiver.test_races import rows


def test_two_processes_on_one_database_are_one_receiver(postgres, keys, tmp_path, clock):
    url = postgres.url(postgres.create("receiver_template"))
    here = Receiver(url, clock)  # the machine's clock may be after the licence's end
    customers = [Customer(f"customer {number}") for number in range(6)]
    for customer in customers:
        here.put_key(customer.enrolment)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(Process, folder, keys, "--database-url", url) for folder in folders]
        processes = [each.result() for each in started]
        clients = [httpx.Client(base_url=each.url, trust_env=False) for each in processes]

        def put(client, token):
            sent = {"content-type": "application/jose"}
            return client.put(f"/v1/reports/{jti(token)}", content=token, headers=sent)

        try:
            for customer in customers[:3]:
                token = customer.report()
                answers = list(pool.map(put, clients, [token, token]))
                assert sorted(answer.status_code for answer in answers) == [200, 201]
                assert answers[0].content == answers[1].content
                verify_receipt(answers[0].text, VENDOR_KEYS, Sent.from_token(token))
            for customer in customers[3:]:
                tokens = [customer.report(users=users) for users in (40, 41)]
                answers = list(pool.map(put, clients, tokens))
                assert sorted(answer.status_code for answer in answers) == [201, 409]
                verdicts = sorted(row.verdict for row in rows(here, tokens[0]))
                assert verdicts == ["Accepted", "Conflict"]
        finally:
            for client, process in zip(clients, processes, strict=True):
                client.close()
                process.stop()
    for process in processes:
        assert "Traceback" not in process.log.read_text()
    here.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
def test_a_server_whose_disk_is_full_is_a_503_until_there_is_room(clock, logged):
    with (
        tempfile.TemporaryDirectory(prefix="licenseusage-small-") as small,
        postgres_server() as server,
    ):
        mount = ["mount", "-t", "tmpfs", "-o", f"size=16m,uid={NOBODY},gid={NOBODY},mode=700"]
        if subprocess.run([*mount, "tmpfs", small], capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount")
        try:
            server.execute(f"CREATE TABLESPACE small LOCATION '{small}'")
            server.execute("CREATE DATABASE small OWNER receiver TABLESPACE small")
            receiver, customer = Receiver(server.url("small"), clock), Customer()
            tokens = customer.chain(16)
            clock.now_s = ANCHOR + 300 * 86400
            assert receiver.put_key(customer.enrolment).status_code == 201
            others = Path(small, "others")
            with pytest.raises(OSError, match="No space"):
                others.write_bytes(bytes(2**24))
            answers = [receiver.put_report(token) for token in tokens]
            refused = [each for each in answers if each.status_code == 503]
            assert refused
            assert all(unavailable(answer) for answer in refused)
            assert unavailable(receiver.get("/healthz"))
            assert "No space left on device" in str(logged)
            assert receiver.get("/").status_code == 200
            others.unlink()
            assert {receiver.put_report(token).status_code for token in tokens} <= {200, 201}
            assert len(rows(receiver, tokens[0])) == len(tokens)
            receiver.close()
        finally:
            server.stop()
            subprocess.run(["umount", small], check=True)


def test_a_dump_is_a_backup_that_gives_the_same_receipts(postgres, clock):
    url = postgres.url(postgres.create("receiver_template"))
    receiver, customer = Receiver(url, clock), Customer()
    receiver.put_key(customer.enrolment)
    tokens = customer.chain(3)
    receipts = [receiver.put_report(token).content for token in tokens]
    name = url.rpartition("/")[2].partition("?")[0]
    copy = postgres.create()
    postgres.restore(copy, postgres.dump(name))
    restored = Receiver(postgres.url(copy), clock)
    answers = [restored.put_report(token) for token in tokens]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.content for answer in answers] == receipts
    assert rows(restored, tokens[0]) == rows(receiver, tokens[0])
    receiver.close()
    restored.close()

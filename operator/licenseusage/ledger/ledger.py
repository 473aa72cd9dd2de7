"""The ledger's surface: every writing method is one transaction, every reading one a snapshot."""

from types import TracebackType
from typing import Self

from licenseusage.ledger.documents.surface import DocumentMethods
from licenseusage.ledger.facts.surface import FactMethods
from licenseusage.ledger.storage.database import forget_log, open_beside, open_database


class Ledger(FactMethods, DocumentMethods):
    """The embedded ledger of one operator: `FactMethods` and `DocumentMethods` of an open file.

    Any thread may call it, one at a time: calls are serialised inside. The controller uses one
    writer thread, so that the event loop never waits for the disk.

    Every method raises ``Retryable`` (``LedgerDiskFull``, ``LedgerReadOnly``, or for an I/O error
    ``LedgerUnavailable``) or ``Stalled`` (``LedgerCorrupt``) and then has changed nothing; after a
    ``Retryable`` the next call may succeed.
    """

    @classmethod
    def open(cls, url: str, *, now_ms: int, ledger_id: str, lock_wait_seconds: float = 0.0) -> Self:
        """Open the ledger, or create it where no file exists.

        Args:
            url: ``sqlite:////absolute/path/ledger.db``.
            now_ms: The time.
            ledger_id: Random name for a ledger created by this call; ignored for an existing one.
            lock_wait_seconds: How long to wait for another process to release the ledger.

        Raises:
            Stalled: ``LedgerCorrupt``: the file cannot be read as a ledger;
                ``LedgerSchemaUnsupported``: it was written by a newer version;
                ``LedgerUpgradeFailed``: it is older, and could not be brought up to date;
                ``SettingsInvalid``: the URL names no such store, or the folder is missing.
            Waiting: ``LedgerLocked``: another process holds it.
            Retryable: ``LedgerDiskFull``, ``LedgerReadOnly``, ``LedgerUnavailable`` (permissions).
        """
        return cls(
            open_database(
                url, now_ms=now_ms, ledger_id=ledger_id, lock_wait_seconds=lock_wait_seconds
            )
        )

    @classmethod
    def beside(cls, url: str) -> Self:
        """Open the ledger for a short work, while an operator uses it; see ``open_beside``."""
        return cls(open_beside(url))

    def forget_log(self) -> bool:
        """Leave nothing in SQLite's log of what was deleted; False: it is in use, try again."""
        with self._one_at_a_time:
            return forget_log(self._database)

    def close(self) -> None:
        """Close the file and release the lock."""
        with self._one_at_a_time:
            self._database.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

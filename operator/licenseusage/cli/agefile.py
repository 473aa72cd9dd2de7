"""Bytes under a passphrase, in the format of age, by its library.

The library decides how costly a guess is (scrypt's work factor) by timing one call of some
milliseconds. Where that call has to wait for the processor, as on a busy machine, the library
believes that the machine is slow: it would write a file that is cheap to guess, or refuse to open
one that it could open in a second. So what it decided is looked at here, and it is asked again.
"""

import re
import time

from licenseusage.errors import Stalled
from licenseusage.reasons import Reason

_MAGIC = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_COST = re.compile(rb"\Aage-encryption\.org/v1\n-> scrypt \S+ (\d+)\n")

STRONG = 18
"""Cost that is not improved upon, as exponent of two: what the program age takes."""
WEAKEST = 15
"""Cheapest cost that is written at all."""
_WRITES = 5
_OPENINGS = 20
_PAUSE_SECONDS = 0.05
_TOO_COSTLY = "Excessive work"


def encrypted(text: bytes, passphrase: str) -> bytes:
    """Return the text, encrypted: the costliest to guess of a few tries.

    Raises:
        Stalled: ``KeyFileTooWeak``: even that is cheaper than `WEAKEST`.
    """
    import pyrage  # a library of compiled code that no other command needs

    best, cost = b"", 0
    for _ in range(_WRITES):
        data: bytes = pyrage.passphrase.encrypt(text, passphrase)
        written = _COST.match(data)
        if written is not None and int(written[1]) > cost:
            best, cost = data, int(written[1])
        if cost >= STRONG:
            break
    if cost < WEAKEST:
        raise Stalled(
            Reason.KEY_FILE_TOO_WEAK,
            f"The passphrase could be guessed too quickly: this machine is so busy or so slow that "
            f"the file would cost 2^{cost} steps a guess, and 2^{WEAKEST} are needed. Nothing was "
            f"written. Try again when it is idle, or on another machine.",
        )
    return best


def decrypted(data: bytes, passphrase: str, source: str) -> bytes:
    """Return the text of what `encrypted` returned, or the program age has written.

    Raises:
        Stalled: ``PassphraseWrong``; ``KeyFileInvalid``: it is none, or was cut or damaged;
            ``KeyFileTooCostly``: the library refuses for the time that it would take here.
    """
    import pyrage

    if not data.lstrip().startswith(_MAGIC):
        raise Stalled(
            Reason.KEY_FILE_INVALID,
            f"{source} is no file that `licenseusage keys export` wrote: it does not begin as a "
            f"file encrypted by age does.",
        )
    for _ in range(_OPENINGS):
        try:
            text: bytes = pyrage.passphrase.decrypt(data, passphrase)
        except pyrage.DecryptError as error:
            refusal = _refusal(str(error), source)
        else:
            return text
        if refusal.reason is not Reason.KEY_FILE_TOO_COSTLY:
            break
        time.sleep(_PAUSE_SECONDS)
    raise refusal


def _refusal(message: str, source: str) -> Stalled:
    if message == "Decryption failed":
        return Stalled(
            Reason.PASSPHRASE_WRONG,
            f"The passphrase does not open {source}. Nothing was changed.",
        )
    if message.startswith(_TOO_COSTLY):
        return Stalled(
            Reason.KEY_FILE_TOO_COSTLY,
            f"{source} was made on a much faster machine, or its header was changed: to open it "
            f"here would take too long ({message.splitlines()[-1]}). Open it on a faster machine, "
            f"or with `age -d`, whose limit is another one. Nothing was changed.",
        )
    return Stalled(
        Reason.KEY_FILE_INVALID,
        f"{source} was cut or damaged, or was not encrypted with a passphrase ({message}). Take "
        f"another copy. Nothing was changed.",
    )

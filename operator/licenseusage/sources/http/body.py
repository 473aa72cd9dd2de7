"""An answer's content, decompressed a little at a time so that no few bytes become many at once."""

import zlib
from collections.abc import Callable, Iterable, Iterator

from licenseusage.reasons import Reason
from licenseusage.sources.failures import PollError

STEP_BYTES = 1024 * 1024


def decoded(chunks: Iterable[bytes], encoding: str | None) -> Iterator[bytes]:
    """Yield the content in steps of at most 1 MiB where it is compressed.

    Compression is never asked for, but a proxy may compress all the same.

    Raises:
        PollError: ``UnknownEncoding``, ``AnswerTruncated`` or ``AnswerInvalidJSON``.
    """
    match (encoding or "identity").strip().lower():
        case "identity" | "":
            yield from chunks
        case "gzip" | "x-gzip":
            yield from _inflated(chunks, _gzip)
        case "deflate":
            yield from _inflated(chunks, zlib.decompressobj)
        case _:
            raise PollError(
                Reason.UNKNOWN_ENCODING,
                "the answer is compressed in a way that was not asked for (Content-Encoding). Only "
                "gzip and deflate are understood; switch compression off for these requests.",
            )


def _gzip() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


def _inflated(chunks: Iterable[bytes], begin: Callable[[], "zlib._Decompress"]) -> Iterator[bytes]:
    inflater = begin()
    try:
        for chunk in chunks:
            left = chunk
            while left:
                if inflater.eof:  # another member follows (RFC 1952 §2.2), or what is none
                    inflater = begin()
                yield inflater.decompress(left, STEP_BYTES)
                while inflater.unconsumed_tail:
                    yield inflater.decompress(inflater.unconsumed_tail, STEP_BYTES)
                left = inflater.unused_data.lstrip(b"\0")  # some pad it
        yield inflater.flush()
    except zlib.error:
        raise PollError(
            Reason.ANSWER_INVALID_JSON,
            "the answer says that it is compressed, but cannot be decompressed; a proxy may have "
            "changed it.",
        ) from None
    if not inflater.eof:
        raise PollError(
            Reason.ANSWER_TRUNCATED, "the compressed answer ends too early; the product cut it off."
        )

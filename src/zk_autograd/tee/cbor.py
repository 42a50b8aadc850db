"""CBOR (RFC 8949) as attestations and devices use it: strict reading of one value, and writing.

Reading takes what real documents hold (indefinite lengths among it), and refuses what only an
attacker writes: duplicate keys, tags, deep nesting, and bytes that follow the value.
"""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

from zk_autograd.core.errors import AttestationError, AttestationShort
from zk_autograd.core.text import printable

MAX_DEPTH = 4
"""Containers in containers, one more than a document's payload has."""

MISSING = "the package cbor2 is missing, which reads attestation documents: pip install 'zk-autograd[tee]'"
_OLD = "the package cbor2 is older than 6.2.1 and can't read strictly: pip install --upgrade 'zk-autograd[tee]'"


def decode(data: bytes, what: str) -> object:
    """The one value that `data` is; `what` has it in messages. Its types are the caller's to check.

    AttestationError for anything else, AttestationShort where cbor2 is missing or too old. A length
    that is declared takes no memory before its bytes are there, so that what is made is bounded by
    `data`, whose size the caller bounds.
    """
    decoder, stream = _decoder(data)
    try:
        value: object = decoder.decode()
    except Exception as error:  # CBORDecodeError, and what a value's own making raises
        raise AttestationError(f"{what} is not CBOR as it should be: {printable(str(error))[:200]}") from error
    left = len(data) - stream.tell()
    if left:
        raise AttestationError(f"{what} goes on after its end", expected="no byte more", found=f"{left} more")
    return value


def encode(value: object) -> bytes:
    """The value in the shortest form. AttestationShort where cbor2 is missing."""
    try:
        from cbor2 import dumps
    except ImportError as error:
        raise AttestationShort(MISSING) from error
    return dumps(value)


class _NoTags(Mapping[int, Callable[..., Any]]):
    """Stands for the meaning of every tag, and refuses it: big numbers, references and their like
    are nothing that a document has, and several ways to write one value."""

    def __getitem__(self, tag: int) -> Callable[..., Any]:
        return _refuse

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


def _refuse(*_: Any) -> Any:
    from cbor2 import CBORDecodeError

    raise CBORDecodeError("it has a tag, and none is taken")


def _decoder(data: bytes) -> tuple[Any, BytesIO]:
    try:
        from cbor2 import CBORDecoder
    except ImportError as error:
        raise AttestationShort(MISSING) from error
    stream = BytesIO(data)
    try:
        decoder = CBORDecoder(
            stream,
            tag_hook=_refuse,
            semantic_decoders=_NoTags(),
            max_depth=MAX_DEPTH,
            allow_indefinite=True,
            allow_duplicate_keys=False,
        )
    except TypeError as error:
        raise AttestationShort(_OLD) from error
    return decoder, stream

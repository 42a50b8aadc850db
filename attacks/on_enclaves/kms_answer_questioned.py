"""Attack: ask an enclave about the padding of AWS KMS's answer, one launch after the other.

Gain: the job's key, byte for byte, and so the whole table: KMS answers every instance of the
measured image under the same key, CBC says nothing of changed blocks, and some 256 launches tell a
byte if an enclave says whether a padding was right, or how long the content then was.

Why it fails: a content has one length and its padding is compared as a whole, so that a question is
a guess of 16 bytes; and whatever does not open is one sentence outside (enclave.release.cms,
enclave.main.said_of).

The host of this program begins close to the right guess: it makes 32 of 256, for its time.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attacks.tools.enclaves import Attempt
from attacks.tools.enclaves import outcome as outcome_of
from attacks.tools.outcome import Outcome
from zk_autograd.core.errors import ZkError
from zk_autograd.enclave import main
from zk_autograd.vault.context import of_enclave

NAME = "an answer of KMS questioned"
GAIN = "the job's key in the host's hands, and with it the table"
RUN = bytes(range(16))
ARN = "arn:aws:kms:us-east-1:111122223333:key/of-the-owner"
DEK = bytes(range(200, 232))
"""In KMS; only `_near` looks at it, and who judges what was found."""

BLOCK = 16


def missing() -> str:
    """What isn't here; "" if nothing is."""
    lacking = [name for name in ("boto3", "asn1crypto") if find_spec(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


@cache
def _release_key() -> Any:
    """Of each instance; in truth each has its own, and no question is about it."""
    from zk_autograd.enclave.release.kms import ReleaseKey

    return ReleaseKey.generate()


def _launched(altered: Callable[[Any], Any]) -> str:
    """What an enclave says outside of KMS's answer to it, altered on its way; "" if it is taken."""
    from tests.enclave.release.enveloped import message
    from zk_autograd.enclave.release.kms import decrypt

    own = _release_key()

    class Host:
        def decrypt(self, **_: object) -> dict[str, object]:
            answer = altered(message(own.private.public_key(), DEK))
            return {"KeyId": ARN, "CiphertextForRecipient": answer.encode()}

    try:
        decrypt(Host(), ARN, b"wrapped", of_enclave(RUN), own, b"a document")
    except ZkError as error:
        return main.said_of(error)
    return ""


def _last_block(number: int, guess: int) -> Callable[[Any], Any]:
    """An answer that ends with this block of its content; the block before it is changed so that
    its last byte is a padding of 1, if `guess` is that byte."""
    from tests.enclave.release.enveloped import AES_256_CBC, indefinite, tlv

    def altered(answer: Any) -> Any:
        content = answer.content[4:-2]
        chain = answer.algorithm[-BLOCK:] + content
        before = bytearray(chain[BLOCK * number : BLOCK * (number + 1)])
        before[-1] ^= guess ^ 1
        answer.algorithm = tlv(0x30, AES_256_CBC, tlv(0x04, bytes(before)))
        answer.content = indefinite(0xA0, tlv(0x04, chain[BLOCK * (number + 1) : BLOCK * (number + 2)]))
        return answer

    return altered


def _asked_of(number: int) -> str:
    """The last byte of this block of the key, by the one guess that is answered otherwise."""
    near = DEK[BLOCK * (number + 1) - 1] & 0xE0
    said = {guess: _launched(_last_block(number, guess)) for guess in range(near, near + 32)}
    answers = set(said.values())
    if len(answers) == 1:
        return answers.pop()
    odd = [guess for guess, answer in said.items() if list(said.values()).count(answer) == 1]
    return "" if DEK[BLOCK * (number + 1) - 1] in odd else "the answers differ, and say nothing of the key"


def the_first_half(folder: Path) -> str:
    """Under the IV, which the host may choose."""
    return _asked_of(0)


def the_second_half(folder: Path) -> str:
    """Under the first half's ciphertext."""
    return _asked_of(1)


ATTEMPTS = (
    Attempt("the key's first half", "does not open here", the_first_half),
    Attempt("the key's second half", "does not open here", the_second_half),
)


def run() -> Outcome:
    """All attempts."""
    if why := missing():
        return Outcome(NAME, False, "", GAIN, skipped=why)
    return outcome_of(NAME, "the enclave", GAIN, ATTEMPTS)

"""What enclave and broker say to each other, held against docs/formats.md by a reader that is
written from it."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import SupportsBytes

import pytest

from tests.test_docs import FORMATS, section
from zk_autograd.broker import decision, messages
from zk_autograd.broker.decision import MAX_DECISION, MAX_TEXT, Decision, is_broker_key, signer_of, told
from zk_autograd.broker.messages import Answer, Nonce, Release, Request, encode_asking
from zk_autograd.core.attestation import Collateral, Document
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.merkle import leaf_hash
from zk_autograd.core.note import checkpoint_text, sign
from zk_autograd.vault.context import of_enclave

SIGNER = signer_of(b"\7" * 32)
RUN, NONCE = bytes(range(16)), bytes(range(32))
DECISION = Decision(
    1_800_000_000, RUN, True, "released", NONCE, b"\1" * 32, b"\2" * 32, b"\3" * 32, "nitro", "aws-nitro", "PCR0 00", 1
)


def answer(found: Decision = DECISION, wrapped: bytes = b"w") -> Answer:
    checkpoint = sign(checkpoint_text(SIGNER.name, 1, leaf_hash(found.encode())), [SIGNER])
    return Answer(found, 0, (), checkpoint, wrapped)


def test_the_documents_say_what_is_written() -> None:
    text = section(FORMATS, "The broker of keys")
    written = [
        json.loads(encode_asking(RUN)),
        json.loads(Nonce(RUN, NONCE, 300).encode()),
        json.loads(Request(RUN, Document("snp", b"\0", b"k", NONCE), Collateral()).encode()),
        json.loads(answer().encode(SIGNER).decode().split("\n")[1]),
        DECISION.json,
    ]
    for value in written:
        for name in value:
            assert f"`{name}`" in text, name
        assert f"`{value.get('format', messages.ANSWER_FORMAT)}`" in text
    assert f"at most {messages.MAX_ASKING:,} bytes" in text
    assert messages.MAX_REQUEST == 2**20


def test_the_leaf_byte_for_byte() -> None:
    assert DECISION.encode().decode() == (
        '{"document":"' + "02" * 32 + '","format":"zk-autograd/broker-decision/v0","granted":true,"kind":"nitro",'
        '"measurement":"PCR0 00","nonce":"' + NONCE.hex() + '","policy":"' + "03" * 32 + '","reason":"released",'
        '"release":1,"release_key":"' + "01" * 32 + '","root":"aws-nitro","run":"' + RUN.hex() + '","time":1800000000}'
    )
    assert Decision.parse(DECISION.encode()) == DECISION


def test_what_a_key_is_wrapped_for_byte_for_byte() -> None:
    parts = [b"release", b"zk-autograd/broker-release/v0", RUN.hex().encode(), NONCE.hex().encode()]
    assert bytes(Release(RUN, NONCE)) == b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    others: list[SupportsBytes] = [Release(RUN, bytes(32)), Release(bytes(16), NONCE), of_enclave(RUN)]
    assert len({bytes(Release(RUN, NONCE)), *map(bytes, others)}) == 4


def test_a_brokers_key_is_named_by_its_log() -> None:
    key = SIGNER.public_key
    assert key.name == f"zk-autograd/broker/{sha256(key.raw).hexdigest()}"
    assert is_broker_key(key)
    assert not is_broker_key(replace(key, name=signer_of(b"\6" * 32).name))


def test_the_longest_decision_can_be_read() -> None:
    """Else an answer that was logged could not be, and would be lost."""
    for text in ("\U0001f600" * 2000, '"' * 2000, "\\" * 2000, "\x00\x9b\ud800" * 2000):
        long = replace(
            DECISION, reason=told(text), root=told(text), measurement=told(text), kind="\U0001f600" * 20, granted=False
        )
        assert len(long.encode()) <= MAX_DECISION
        assert Decision.parse(long.encode()) == long
        assert len(told(text)) == MAX_TEXT
        assert Answer.parse(answer(long, b"").encode(SIGNER), SIGNER.public_key).decision == long


def test_other_notes_of_the_brokers_key_are_no_answer() -> None:
    own = answer()
    assert Answer.parse(own.encode(SIGNER), SIGNER.public_key) == own
    line = own.encode(SIGNER).decode().split("\n")[1]
    for text in (
        f"{decision.FORMAT}\n{line}\n",
        f"{messages.ANSWER_FORMAT}\n{line}\n{line}\n",
        f"{messages.ANSWER_FORMAT}\n",
        checkpoint_text(SIGNER.name, 1, bytes(32)),
    ):
        with pytest.raises(VerificationError):
            Answer.parse(sign(text, [SIGNER]), SIGNER.public_key)


def test_the_checkpoint_is_of_the_brokers_own_log() -> None:
    other = sign(checkpoint_text("zk-autograd/broker/other", 1, leaf_hash(DECISION.encode())), [SIGNER])
    with pytest.raises(VerificationError, match="of another log"):
        Answer.parse(replace(answer(), checkpoint=other).encode(SIGNER), SIGNER.public_key)


@pytest.mark.parametrize("what", ["run", "nonce", "release key", "document"])
def test_an_answer_is_about_one_request(what: str) -> None:
    """Attack: the broker's true answer to another instance, or to another document of this one."""
    request = Request(DECISION.run, Document("nitro", b"raw", b"a key", DECISION.nonce), Collateral())
    about = replace(DECISION, release_key=sha256(b"a key").digest(), document=sha256(b"raw").digest())
    answer(about).about(request)
    other = {
        "run": replace(request, run=bytes(16)),
        "nonce": replace(request, document=replace(request.document, nonce=bytes(32))),
        "release key": replace(request, document=replace(request.document, release_key=b"another")),
        "document": replace(request, document=replace(request.document, raw=b"another")),
    }[what]
    with pytest.raises(VerificationError, match=f"is for another {what}"):
        answer(about).about(other)


@pytest.mark.parametrize("nonce", [b"", b"x" * 31, b"x" * 33])
def test_a_request_has_a_brokers_nonce(nonce: bytes) -> None:
    with pytest.raises(VerificationError, match="is not a broker's"):
        Request.parse(Request(RUN, Document("snp", b"\0", b"k", nonce), Collateral()).encode())

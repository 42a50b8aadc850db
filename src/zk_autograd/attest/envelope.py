"""Signing a statement: its DSSE envelope, by whoever has a key."""

from typing import Protocol

from zk_autograd.core.canonical import Json, encode
from zk_autograd.core.dsse import IN_TOTO, Envelope, Signature, pae
from zk_autograd.core.ec_keys import EcPublicKey


class StatementSigner(Protocol):
    """An EC key in memory, or one that stays in a device."""

    @property
    def public_key(self) -> EcPublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, DER."""
        ...


def signed(statement: Json, signer: StatementSigner) -> Envelope:
    """The envelope of an in-toto Statement, whose payload is canonical JSON. VerificationError if
    the signer's signature doesn't verify."""
    payload = encode(statement)
    signature = signer.sign(pae(IN_TOTO, payload))
    envelope = Envelope(IN_TOTO, payload, (Signature(signature),))
    signer.public_key.verify(envelope.signed, signature)
    return envelope

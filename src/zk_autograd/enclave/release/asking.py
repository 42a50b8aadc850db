"""Who releases a job's key, and how it is asked: the broker or AWS KMS, by the wraps that the job's
key file has, through the relay's tunnels."""

import os
import socket
from dataclasses import dataclass, field

from zk_autograd.core.attestation import release_digest
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.keys import PublicKey
from zk_autograd.enclave.local_port import local_port
from zk_autograd.enclave.relay.client import Relay
from zk_autograd.enclave.start import BrokerPlace, KmsPlace, Start
from zk_autograd.tee.device import EMULATED, Device
from zk_autograd.vault.context import Context
from zk_autograd.vault.keys import KMS, KeyFile

BROKER_TUNNEL, KMS_TUNNEL = "broker", "kms"


@dataclass(frozen=True, slots=True)
class Released:
    """A job's key (32 bytes), and the public key that it was released to."""

    dek: bytes = field(repr=False)
    release_key: bytes


def released(key_file: KeyFile, run: bytes, start: Start, relay: Relay, device: Device) -> Released:
    """The key of the job of the run with this id. Whoever has one of several keys to give is asked:
    the broker, where the host named one. RunError and VaultError if it isn't released; UsageError
    for a host that names nobody who could."""
    by_kms = any(wrap.by == KMS for wrap in key_file.wraps)
    if start.broker is not None and any(wrap.by != KMS for wrap in key_file.wraps):
        return _by_broker(start.broker, run, relay, device)
    if start.kms is not None and by_kms:
        return _by_kms(start.kms, key_file, run, relay, device)
    holders = ", ".join(sorted({wrap.by for wrap in key_file.wraps}))
    raise UsageError(
        f"the job's key is wrapped by {holders}, and the host named {'no broker' if not by_kms else 'no AWS KMS'} to release it: start it "
        f"with {'--broker' if not by_kms else '--kms-region'}"
    )


def _by_broker(place: BrokerPlace, run: bytes, relay: Relay, device: Device) -> Released:
    from zk_autograd.enclave.release.broker import Broker, pinned_tls, release
    from zk_autograd.vault.holder.recipient import RecipientKey

    try:
        key = PublicKey.parse(place.key)
    except VerificationError as error:
        raise UsageError(f"the broker's key is none: {error}") from error

    def connect() -> socket.socket:
        try:
            return relay.tunnel(BROKER_TUNNEL)
        except RunError as error:
            raise OSError(str(error)) from error

    tls = pinned_tls(place.certificates) if place.certificates else None
    own = RecipientKey.generate()
    return Released(release(Broker(connect, place.host, key, tls), run, own, device), own.public)


def _by_kms(place: KmsPlace, key_file: KeyFile, run: bytes, relay: Relay, device: Device) -> Released:
    from zk_autograd.enclave.release.kms import ReleaseKey, decrypt
    from zk_autograd.vault.holder.kms import client

    if place.endpoint and device.name != EMULATED:
        raise UsageError(
            "a real enclave asks AWS's own KMS over TLS, and no other endpoint: start it without --kms-endpoint, which is for demonstrations"
        )
    wrap, own = key_file.wrap(KMS), ReleaseKey.generate()
    document = device.attest(release_digest(run, own.public, b""), public_key=own.public)
    _sign_in(place)
    with local_port(relay, KMS_TUNNEL, proxy=not place.endpoint) as port:
        if place.endpoint:  # what speaks KMS's protocol without TLS: its answers are for this enclave alone, too
            kms = client(place.region, f"http://127.0.0.1:{port}")
        else:
            os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{port}"
            kms = client(place.region)
        context: Context = key_file.context
        return Released(decrypt(kms, wrap.kek, wrap.wrapped, context, own, document), own.public)


def _sign_in(place: KmsPlace) -> None:
    """The host's credentials, where boto3 looks for them; this process asks nothing else of AWS."""
    named = {"AWS_ACCESS_KEY_ID": place.id, "AWS_SECRET_ACCESS_KEY": place.secret, "AWS_SESSION_TOKEN": place.token}
    os.environ.update({name: value for name, value in named.items() if value})
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

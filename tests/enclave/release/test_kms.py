"""Keys that AWS KMS releases to a measured enclave, by boto3, and by a stand-in that enforces the
key's policy: the measured image gets the key, and nobody else does."""

import logging
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("boto3", reason="AWS KMS needs the [aws] extra")
pytest.importorskip("asn1crypto", reason="answers of AWS KMS need the [tee] extra")
pytest.importorskip("cbor2", reason="attestation documents need the [tee] extra")

from tests.enclave.aws import configure, kms_client
from tests.enclave.kms_double import Key, KmsDouble, serving
from tests.enclave.release.enveloped import enveloped
from zk_autograd.core.attestation import release_digest
from zk_autograd.core.errors import UsageError
from zk_autograd.enclave.release.kms import ReleaseKey, decrypt, generate
from zk_autograd.tee.device.emulated import EmulatedDevice
from zk_autograd.vault.context import Context, of_enclave
from zk_autograd.vault.errors import KeyServiceDown, VaultError
from zk_autograd.vault.holder.kms import KmsKey

RUN = bytes(range(16))
CONTEXT = of_enclave(RUN)
PCRS = {0: b"\x10" * 48, 1: b"\x11" * 48, 2: b"\x12" * 48}
DEK = bytes(range(200, 232))
IMAGE = {"kms:RecipientAttestation:ImageSha384": [PCRS[0].hex()], "kms:RecipientAttestation:PCR2": [PCRS[2].hex()]}
BOUND = {"kms:EncryptionContext:run": [RUN.hex()]}
POLICY: dict[str, dict[str, list[str]]] = {"Encrypt": {}, "Decrypt": {**IMAGE, **BOUND}, "GenerateDataKey": IMAGE}

_KEYS = [ReleaseKey.generate() for _ in range(2)]
"""Made once: the tests are of what is asked with them."""


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch)


@pytest.fixture(scope="module")
def server() -> Iterator[KmsDouble]:
    with serving(KmsDouble()) as double:
        yield double


@pytest.fixture
def kms(server: KmsDouble) -> KmsDouble:
    """With no key, and honest."""
    server.reset()
    return server


@pytest.fixture
def key(kms: KmsDouble) -> Key:
    return kms.create(POLICY)


def document(release: ReleaseKey, pcrs: dict[int, bytes] = PCRS, **options: Any) -> bytes:
    public = release.public
    return EmulatedDevice(pcrs, **options).attest(release_digest(RUN, public, b""), public_key=public)


def released(kms: KmsDouble, key: Key, wrapped: bytes, context: Context = CONTEXT, doc: bytes | None = None) -> bytes:
    release = _KEYS[0]
    return decrypt(kms_client(kms.endpoint), key.arn, wrapped, context, release, doc or document(release))


@pytest.fixture
def wrapped(kms: KmsDouble, key: Key) -> bytes:
    """As the owner wraps it, outside of any enclave."""
    return KmsKey(kms_client(kms.endpoint), key.arn).wrap(DEK, CONTEXT)


def test_the_measured_image_gets_the_key(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    assert released(kms, key, wrapped) == DEK
    operation, asked = kms.requests[-1]
    assert operation == "Decrypt" and asked["KeyId"] == key.arn
    assert asked["EncryptionContext"] == {
        "purpose": "vault",
        "format": "zk-autograd/vault/v0",
        "tenant": "enclave",
        "run": RUN.hex(),
        "step": "0",
        "kind": "enclave",
    }


def test_the_answer_is_for_the_enclave_alone(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """What goes over the wire has neither the key nor a Plaintext; another key opens nothing."""
    seen: list[dict[str, Any]] = []

    def watch(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        seen.append(answer)
        return answer

    kms.spoil = watch
    assert released(kms, key, wrapped) == DEK
    assert seen[0].keys() == {"KeyId", "CiphertextForRecipient"}
    client, other = kms_client(kms.endpoint), _KEYS[1]
    with pytest.raises(VaultError, match="another recipient"):
        decrypt(client, key.arn, wrapped, CONTEXT, other, document(_KEYS[0]))


def test_a_key_for_a_file_of_the_enclaves_own(kms: KmsDouble, key: Key) -> None:
    context = of_enclave(RUN, 40, "checkpoint")
    dek, blob = generate(kms_client(kms.endpoint), key.arn, context, _KEYS[0], document(_KEYS[0]))
    key.policy = {**POLICY, "Decrypt": IMAGE}
    assert released(kms, key, blob, context) == dek and len(dek) == 32


def test_another_image_gets_nothing(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """The host starts an image of its own, with a real device."""
    for number in (0, 2):
        with pytest.raises(VaultError, match=r"AWS KMS refused \(AccessDeniedException\)"):
            released(kms, key, wrapped, doc=document(_KEYS[0], {**PCRS, number: b"\x99" * 48}))


def test_a_debug_enclave_gets_nothing(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """Its memory can be read by its host. Its registers are zero: not even a policy that allows
    zeros lets it have a key."""
    zeros = dict.fromkeys(range(3), bytes(48))
    with pytest.raises(VaultError, match="AccessDeniedException"):
        released(kms, key, wrapped, doc=document(_KEYS[0], zeros))
    key.policy = {**POLICY, "Decrypt": {"kms:RecipientAttestation:PCR0": [bytes(48).hex()]}}
    with pytest.raises(VaultError, match="AccessDeniedException"):
        released(kms, key, wrapped, doc=document(_KEYS[0], zeros))


def test_nobody_without_an_attestation_gets_the_key(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """The host has credentials of its own for the key, or the enclave's."""
    with pytest.raises(VaultError, match="AccessDeniedException"):
        KmsKey(kms_client(kms.endpoint), key.arn).unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize(
    "change", [{"run": "ff" * 16}, {"step": 1}, {"kind": "checkpoint"}, {"tenant": "acme", "kind": "model"}]
)
def test_another_context_gets_nothing(kms: KmsDouble, key: Key, wrapped: bytes, change: dict[str, Any]) -> None:
    """The measured image, which the host asks to open another run's job."""
    key.policy = {**POLICY, "Decrypt": IMAGE}  # so that it is the ciphertext itself that is bound
    with pytest.raises(VaultError, match="InvalidCiphertextException"):
        released(kms, key, wrapped, replace(CONTEXT, **change))


def test_the_policy_can_name_the_run(kms: KmsDouble, key: Key) -> None:
    context = of_enclave(b"\xff" * 16)
    blob = KmsKey(kms_client(kms.endpoint), key.arn).wrap(DEK, context)
    with pytest.raises(VaultError, match="AccessDeniedException"):
        released(kms, key, blob, context)


def test_another_keys_blob_gets_nothing(kms: KmsDouble, wrapped: bytes) -> None:
    other = kms.create(POLICY)
    with pytest.raises(VaultError, match="InvalidCiphertextException"):
        released(kms, other, wrapped)


def test_an_old_document_gets_nothing(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """A document of yesterday's enclave, whose release key may have leaked since."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(VaultError, match="ValidationException"):
        released(kms, key, wrapped, doc=document(_KEYS[0], clock=lambda: yesterday))


def test_an_altered_document_gets_nothing(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """The public key exchanged for one whose private half the host has."""
    mine, theirs = document(_KEYS[0]), _KEYS[1].public
    with pytest.raises(VaultError, match="ValidationException"):
        released(kms, key, wrapped, doc=mine.replace(_KEYS[0].public, theirs))


def test_the_host_can_have_the_key_for_its_own_public_key_only_with_a_document(kms: KmsDouble, key: Key) -> None:
    no_key = EmulatedDevice(PCRS).attest(release_digest(RUN, b"", b""))
    with pytest.raises(VaultError, match="ValidationException"):
        released(kms, key, b"x" * 60, doc=no_key)


def test_a_disabled_key_opens_nothing(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    key.enabled = False
    with pytest.raises(VaultError, match=r"refused \(DisabledException\): key arn:aws:kms.*nothing was opened"):
        released(kms, key, wrapped)


def test_an_answer_in_the_clear_is_refused(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    """With the right ciphertext beside it: the host has seen the key all the same."""
    kms.spoil = lambda operation, answer: {**answer, "Plaintext": "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc="}
    with pytest.raises(VaultError, match="key in the clear"):
        released(kms, key, wrapped)
    with pytest.raises(VaultError, match="key in the clear"):
        generate(kms_client(kms.endpoint), key.arn, CONTEXT, _KEYS[0], document(_KEYS[0]))


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_plaintext_is_none(kms: KmsDouble, key: Key, wrapped: bytes, empty: str | None) -> None:
    """KMS's documentation: with a recipient, the field is null or empty."""
    kms.spoil = lambda operation, answer: {**answer, "Plaintext": empty}
    assert released(kms, key, wrapped) == DEK


@pytest.mark.slow
def test_moto_answers_in_the_clear_and_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real program that ignores Recipient, as an old proxy would."""
    server = pytest.importorskip("moto.server", reason="moto's server isn't installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        client = kms_client(f"http://{host}:{port}")
        arn = client.create_key()["KeyMetadata"]["Arn"]
        blob = KmsKey(client, arn).wrap(DEK, CONTEXT)
        assert KmsKey(client, arn).unwrap(blob, CONTEXT) == DEK
        with pytest.raises(VaultError, match="key in the clear"):
            decrypt(client, arn, blob, CONTEXT, _KEYS[0], document(_KEYS[0]))
    finally:
        running.stop()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "half an answer"),
        ({"KeyId": "arn:aws:kms:us-east-1:111122223333:key/other"}, "answered for another key"),
        ({"KeyId": None}, "without a CiphertextForRecipient"),
        ({"KeyId": None, "CiphertextForRecipient": ""}, "without a CiphertextForRecipient"),
        ({"KeyId": None, "CiphertextForRecipient": "AAAA"}, "a tag that AWS KMS never uses"),
        ({"KeyId": None, "CiphertextForRecipient": "A" * 9000}, "without a CiphertextForRecipient"),
        (b"", r"can't be read|half an answer|another key"),
        (b"[]", "can't be read"),
        (b"{", r"can't be read|half an answer"),
        (b"null", r"can't be read|half an answer|another key"),
        (b'{"KeyId": 7}', r"can't be read|half an answer|another key"),
        (b"\xff" * 100, "can't be read"),
    ],
)
def test_half_an_answer_opens_nothing(kms: KmsDouble, key: Key, wrapped: bytes, answer: Any, said: str) -> None:
    if isinstance(answer, dict) and "KeyId" in answer and answer["KeyId"] is None:
        answer = {**answer, "KeyId": key.arn}
    kms.spoil = lambda operation, _: answer
    with pytest.raises(VaultError, match=said):
        released(kms, key, wrapped)


def test_a_key_of_another_size_is_refused(kms: KmsDouble, key: Key, wrapped: bytes) -> None:
    import base64

    short = base64.b64encode(enveloped(_KEYS[0].public, bytes(16))).decode()
    kms.spoil = lambda operation, answer: {**answer, "CiphertextForRecipient": short}
    with pytest.raises(VaultError, match="does not decrypt with this enclave's key"):  # the words of whatever doesn't
        released(kms, key, wrapped)


def test_no_answer_is_another_kind_of_error() -> None:
    """Worth trying again, and no word against the key."""
    with serving(KmsDouble()) as gone:
        endpoint = gone.endpoint
    client = kms_client(endpoint)
    client.meta.config.retries["total_max_attempts"] = 1
    with pytest.raises(KeyServiceDown, match="can't be asked") as error:
        decrypt(client, "k", b"x", CONTEXT, _KEYS[0], document(_KEYS[0]))
    assert error.value.exit_status == 4


@pytest.mark.parametrize("name", ["", "a key", "k\n", "ä", "k" * 2049])
def test_a_key_is_named(name: str) -> None:
    with pytest.raises(UsageError, match="named by its ARN"):
        decrypt(None, name, b"x", CONTEXT, _KEYS[0], b"doc")


@pytest.mark.parametrize("size", [0, 2**15 + 1])
def test_documents_are_bounded(size: int) -> None:
    with pytest.raises(VaultError, match="attestation document has 1 to"):
        decrypt(None, "k", b"x", CONTEXT, _KEYS[0], bytes(size))


def test_no_key_in_any_log_or_message(
    kms: KmsDouble, key: Key, wrapped: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """boto3 logs requests and answers at DEBUG."""
    for name in ("", "boto3", "botocore", "urllib3", "botocore.parsers", "botocore.endpoint"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            owner = KmsKey(kms_client(kms.endpoint), key.arn)
            owner.wrap(DEK, CONTEXT)
            assert released(kms, key, wrapped) == DEK
            kms.spoil = lambda operation, answer: {
                **answer,
                "Plaintext": "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=",
            }
            with pytest.raises(VaultError) as error:
                released(kms, key, wrapped)
    finally:
        for name in ("", "boto3", "botocore", "urllib3", "botocore.parsers", "botocore.endpoint"):
            logging.getLogger(name).setLevel(logging.NOTSET if name else logging.WARNING)
    streams = capfd.readouterr()
    told = caplog.text + streams.out + streams.err + "".join(traceback.format_exception(error.value))
    for secret in ("yMnKy8zN", DEK.hex(), repr(DEK)[2:-1]):
        assert secret not in told


def test_a_release_key_is_shown_by_nothing() -> None:
    assert repr(_KEYS[0]) == "ReleaseKey()"
    with pytest.raises(VaultError, match="can't be pickled"):
        pickle.dumps(_KEYS[0])

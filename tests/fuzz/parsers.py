"""Every parser of what a stranger wrote, with inputs that are right and what must hold of any.

`Parser.accepts` says whether an input is taken. Of errors only VerificationError, UnreadableError
and UsageError may leave a parser, which are a no; every other one leaves `accepts`, too. It raises
AssertionError if something was taken that isn't what it says: where a format has one form, the same
bytes must come out again.
"""

import io
import json
from base64 import b64decode
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np

from attacks.on_registers.quorum_made_up import WITNESSES, cosigned
from tests.anchor.dynamodb import test_receipt as dynamodb
from tests.anchor.evm.golden import LOG, SIZES, golden
from tests.anchor.rfc3161 import test_receipt as stamps
from tests.anchor.s3 import test_receipt as s3
from tests.anchor.tpm import test_receipt as tpms
from tests.anchor.witness.test_receipt import CHECKPOINT, ONE, TWO, TWO_OF_THREE, lines, receipt
from tests.attest.signed_runs import SIGNER as MODEL_SIGNER
from tests.core.graph import texts
from tests.core.test_tlog_policy import EXAMPLE, witness
from tests.enclave.instances import make_job
from tests.enclave.release.enveloped import definite, known
from tests.enclave.test_outside import small
from tests.evidence import test_openings as opened
from tests.evidence.bundles import SMALL, packed
from tests.fuzz.mutators import (
    Mutator,
    as_bundle,
    as_bytes,
    as_cbor,
    as_der,
    as_eif,
    as_headed,
    as_json,
    as_lines,
    as_records,
    as_safetensors,
)
from tests.tee.device.test_snp import TABLE
from tests.tee.eif import golden as eif
from tests.tee.nitro import documents as nitro
from tests.tee.snp import platforms as snp
from tests.verify import forks
from tests.verify.attested_runs import STAMPED, EnclaveRun, enclave_run
from tests.verify.attested_runs import policy as enclave_policy
from tests.verify.register_builder import PLACES, Tree, entered, registered
from tests.verify.run_builder import KEY, LOG_POLICY, POLICY, QUANTUM, SECOND, SIGNER, Run, honest, judge, stand_ins
from tests.verify.test_policy_file import HEAD, WHOLE
from tests.witness.witnesses import Register, body
from zk_autograd.anchor.evm.receipt import verify as verify_evm
from zk_autograd.anchor.kept import encode_kept, parse_kept
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.anchor.tpm.receipt import Trust as TpmTrust
from zk_autograd.anchor.tpm.receipt import verify as verify_tpm
from zk_autograd.anchor.witness import verify as verify_witnessed
from zk_autograd.attest.model_signing import model_signature
from zk_autograd.attest.published import published
from zk_autograd.broker.decision import Decision, signer_of
from zk_autograd.broker.messages import ANSWER_FORMAT, Nonce, encode_asking, parse_asking
from zk_autograd.broker.messages import Answer as ReleaseAnswer
from zk_autograd.broker.messages import Request as ReleaseRequest
from zk_autograd.core import canonical, tlog_policy
from zk_autograd.core.anchors import Receipt, SignedCheckpoint, Standing
from zk_autograd.core.attestation import Collateral, Document
from zk_autograd.core.cells import encoded, parsed
from zk_autograd.core.checkpoint import Checkpoint
from zk_autograd.core.dsse import Envelope
from zk_autograd.core.ec_keys import EcPublicKey
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.core.graph import Kind, Pass, require_acceptable
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.keys import parse_keys
from zk_autograd.core.merkle import EMPTY_ROOT, leaf_hash, node_hash
from zk_autograd.core.note import checkpoint_text, parse_checkpoint, parse_unverified, sign
from zk_autograd.core.record_bytes import parse, parse_log, to_bytes
from zk_autograd.core.records import ENCLAVE_FORMAT, INSIDE, TRAINER, Header
from zk_autograd.core.register import Entry as RegisterEntry
from zk_autograd.core.register import View
from zk_autograd.core.text import encode_base64
from zk_autograd.core.tiles import WIDTH, encode_bundle, parse_bundle
from zk_autograd.credentials import keyfile
from zk_autograd.enclave.job import Job
from zk_autograd.enclave.relay.channels import Hello
from zk_autograd.enclave.relay.frames import MAX_WORD
from zk_autograd.enclave.release.cms import open_enveloped
from zk_autograd.enclave.start import BrokerPlace, KmsPlace, Start
from zk_autograd.evidence.beside import Entry, EntryKind
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.fork_evidence import ForkEvidence
from zk_autograd.evidence.hashes import Hashes
from zk_autograd.evidence.layout import OPENING, WEIGHTS_FLOATS, WEIGHTS_INTEGERS
from zk_autograd.evidence.model_files import flat, salts
from zk_autograd.evidence.openings import FORMAT as OPENINGS
from zk_autograd.evidence.openings import Openings
from zk_autograd.evidence.run import Evidence
from zk_autograd.evidence.url import parse_url
from zk_autograd.prove.witness_bytes import Wanted
from zk_autograd.tee.eif import measure, read_image
from zk_autograd.tee.kinds import verifiers as attestation_verifiers
from zk_autograd.tee.nitro import verify as verify_nitro
from zk_autograd.tee.snp import leaf as snp_leaf
from zk_autograd.tee.snp.abi import VCEK, Report
from zk_autograd.tee.snp.table import table_certificates
from zk_autograd.vault.context import of_enclave
from zk_autograd.vault.errors import VaultError
from zk_autograd.vault.holder.keyfile import FileKey
from zk_autograd.vault.keys import KeyFile
from zk_autograd.vault.openings import MAGIC as SEALED_OPENINGS
from zk_autograd.vault.openings import OpeningsContext
from zk_autograd.vault.pairs import Holding, sealed_pair
from zk_autograd.verify import policy_file
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.earlier import Earlier
from zk_autograd.verify.model_signature import check_model_signature
from zk_autograd.verify.outcome import Level, Status, Step
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.verifier import Verifier
from zk_autograd.witness.request import Request

MAX_INPUT = 2**17
"""Bytes of an input: what is longer the readers bound by length, before they look at it."""


@dataclass(frozen=True, slots=True)
class Parser:
    """`corpus` makes inputs that are taken, `mutate` changes one, `take` reads one."""

    corpus: Callable[[], list[bytes]]
    mutate: Mutator
    take: Callable[[bytes], object]

    def accepts(self, data: bytes) -> bool:
        """Whether the parser takes the bytes."""
        try:
            self.take(data)
        except (VerificationError, UsageError) as error:
            assert str(error), "an error without a message"
            return False
        return True


class Memory(Evidence):
    """A run whose files are in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    @contextmanager
    def opened(self, path: str, limit: int) -> Generator[BinaryIO, None, None]:
        if path not in self._files:
            raise VerificationError(f"{path} can't be read: there is none")
        if len(self._files[path]) > limit:
            raise VerificationError(f"{path} is too large")
        yield io.BytesIO(self._files[path])

    def entries(self, folder: str) -> Generator[Entry, None, None]:
        for path in self._files:
            parent, _, name = path.rpartition("/")
            if parent == folder:
                yield Entry(name, EntryKind.FILE)

    def has_log(self) -> bool:
        return True

    def has(self, path: str) -> bool:
        return path in self._files

    def close(self) -> None:
        pass


class Bytes:
    """A bundle's bytes in memory."""

    name = "the input"

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read_at(self, start: int, size: int) -> bytes:
        if start + size > self.size:
            raise VerificationError("it ends early")
        return self._data[start : start + size]

    def close(self) -> None:
        pass


# ---- what is taken, and what it must be then -----------------------------------------------------


def _json(data: bytes) -> None:
    assert canonical.encode(canonical.decode(data, max_bytes=MAX_INPUT)) == data


def _records(data: bytes) -> None:
    """The two ways to read a segment agree, and records are what they were read from."""
    leaves = data.split(b"\n")[:-1]
    try:
        slow: list[object] | None = list(_one_by_one(leaves))
    except VerificationError:
        slow = None
    try:
        read = parse_log(leaves)
    except VerificationError:
        in_order = slow is not None and _is_in_order(slow)
        assert not in_order, "the log's reader refuses what the records' takes"
        raise
    assert slow is not None, "the log's reader takes what the records' refuses"
    found = [read.header, read.genesis, *read.segments, read.close]
    assert [record for record in found if record is not None] == slow
    assert [to_bytes(record) for record in slow] == leaves  # type: ignore[arg-type]


def _one_by_one(leaves: list[bytes]) -> Iterator[object]:
    first: Header | None = None
    for leaf in leaves:
        record = parse(leaf, first)
        first = record if isinstance(record, Header) else first
        yield record


def _is_in_order(records: list[Any]) -> bool:
    kinds = [type(record).__name__ for record in records]
    segments = ["Segment"] * kinds.count("Segment")
    return (
        kinds[:2] == ["Header", "Genesis"][: len(kinds)]
        and kinds[2:] in (segments, [*segments, "Close"])
        and bool(kinds)
    )


def _note(data: bytes) -> None:
    note = parse_unverified(data)
    lines = "".join(f"\u2014 {s.name} {encode_base64(s.key_id + s.signature)}\n" for s in note.lines)
    assert f"{note.text}\n{lines}".encode() == data
    found = parse_checkpoint(note.text)
    assert checkpoint_text(found.origin, found.size, found.root) == note.text


_GRAPHS = (
    texts.text(3, [4, 5], 3),
    texts.text(2, [], 1, "logistic"),
    texts.text(2, [3], 1, "mse", bias=False, skip=True),
)


def _graph(data: bytes) -> None:
    """What is accepted can be computed."""
    graph = graph_text.parse(data)
    assert graph_text.encode(graph) == data
    require_acceptable(graph, graph.size)
    if graph.count > 2**12:
        return
    cells = np.zeros((1, graph.stride), np.int32)
    if graph.outputs[0].kind is not Kind.VALUE:
        cells[0, -1] = 4096  # 1
    G, _ = Pass(graph).step(np.zeros(graph.size, np.int64), cells, 1, 0, -12)
    assert G.shape == (graph.size,)


def _cells(data: bytes) -> None:
    cells, features = parsed(data)
    assert encoded(cells, features) == data


def _keys(data: bytes) -> None:
    """A line may end in white space, as copied ones do; between them nothing else is free."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:  # cli.pinned refuses it before
        raise UsageError("no text") from error
    assert [key.encode() for key in parse_keys(text)] == [line.strip() for line in text.split("\n") if line.strip()]


def _key_file(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.key"
        path.touch(0o600)
        path.write_bytes(data)
        signers = keyfile.load(path)
    seeds = [signer.seed for signer in signers]
    assert all(encode_base64(seed).encode() in data for seed in seeds)
    if len(signers) == 2:
        assert keyfile.secret_text(signers).encode() == data


def _bundle(data: bytes) -> None:
    with Bundle(Bytes(data)) as bundle:
        found = {name: bundle.read(name, MAX_INPUT) for name in bundle.names()}
    assert packed(found) == data


def _policy(data: bytes) -> None:
    assert policy_file.parse(data, "the input").digest


def _tlog_policy(data: bytes) -> None:
    """A quorum doesn't come from nowhere, and all witnesses are one wherever one is possible."""
    policy = tlog_policy.parse(data)
    assert policy.quorum(()) is (policy.required == tlog_policy.NONE)
    assert policy.quorum(policy.witnesses)


def _witness_receipt(data: bytes) -> None:
    """A receipt that is changed shows no more than before."""
    receipt = Receipt.parse(data)
    assert receipt.encode() == data
    assert verify_witnessed(receipt, CHECKPOINT, TWO_OF_THREE).identity <= (ONE.name, TWO.name)


def _witness_request(data: bytes) -> None:
    request = Request.parse(data)
    assert body(request.old, request.proof, request.checkpoint.note) == data


def _anchor_policy(data: bytes) -> None:
    """What it demands of anchors is about kinds that are known, and whom it trusts too."""
    policy = policy_file.parse(data, "the input", anchors=verifiers())
    assert policy.anchors.keys() <= set(verifiers())
    assert all(demand.expected for demand in policy.demands)


def _entry(data: bytes) -> None:
    assert RegisterEntry.parse(data).encode() == data


def _fork(data: bytes) -> None:
    assert ForkEvidence.parse(data).encode() == data


def _hashes(data: bytes) -> None:
    assert Hashes.parse(data).encode() == data


def _dsse(data: bytes) -> None:
    value = canonical.decode_foreign(data, max_bytes=MAX_INPUT)
    envelope = Envelope.read(Fields(value, "the input"), MAX_INPUT)
    assert Envelope.read(Fields(envelope.to_json(), "again")) == envelope


def _ec_key(data: bytes) -> None:
    key = EcPublicKey.parse(data)
    assert EcPublicKey.parse(key.pem) == key


def _report(data: bytes) -> None:
    earlier = Earlier.read(data)
    assert earlier.proofs >= len(earlier.verified) > 0


def _url(data: bytes) -> None:
    """What is asked for is what is written, and without a cipher of this machine alone."""
    address = parse_url(data.decode("utf-8", "surrogateescape"))
    assert str(address).isascii()
    assert parse_url(str(address)) == address


def _head(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert str(TreeHead.parse(text)) == text


# ---- the model, through the whole verification ---------------------------------------------------


def _view(data: bytes) -> None:
    """A line of register/views.jsonl, and its proofs where they are taken."""
    view = View.parse(data)
    assert view.encode() == data
    head = view.head
    before = Checkpoint(head.origin, view.since, EMPTY_ROOT) if view.since == 0 else None
    if before is not None:
        assert view.verify(head.origin, None, []) == head
    with suppress(UsageError, VerificationError):
        view.verify(head.origin, Checkpoint(head.origin, view.since, bytes(32)), [KEY])


def _attestation(data: bytes) -> None:
    assert Document.parse(data).encode() == data


def _collateral(data: bytes) -> None:
    assert Collateral.parse(data).encode() == data


def _asking(data: bytes) -> None:
    """A request for a nonce, or the answer to one."""
    with suppress(VerificationError):
        assert encode_asking(parse_asking(data)) == data
        return
    assert Nonce.parse(data).encode() == data


def _release(data: bytes) -> None:
    """A request for a key."""
    assert ReleaseRequest.parse(data).encode() == data


def _job(data: bytes) -> None:
    """What an enclave's owner had sealed."""
    assert Job.parse(data).encode() == data


def _start(data: bytes) -> None:
    """What a host says to its enclave."""
    assert Start.parse(data).encode() == data


def _hello(data: bytes) -> None:
    """What an enclave says to its host first of all."""
    hello = Hello.of(_object(data))
    assert canonical.encode(hello.word()) == data


def _wanted(data: bytes) -> None:
    """A proof that an enclave has made outside."""
    assert canonical.encode(Wanted.parse(_object(data)).word()) == data


def _object(data: bytes) -> Fields:
    return Fields(canonical.decode(data, max_bytes=MAX_WORD), "word")


def _released(data: bytes) -> None:
    """A broker's answer: what its key signed, and what it didn't."""
    with suppress(UsageError, VerificationError):
        ReleaseAnswer.parse(data, _BROKER.public_key)
        raise AssertionError("nobody signed it")
    text = data.decode("utf-8", "surrogateescape")
    answer = ReleaseAnswer.parse(sign(f"{ANSWER_FORMAT}\n{text}\n", [_BROKER]), _BROKER.public_key)
    assert parse_unverified(answer.encode(_BROKER)).text == f"{ANSWER_FORMAT}\n{text}\n"


def _answers() -> list[bytes]:
    """Of a key that was released, and of one that was refused."""
    found = []
    for granted in (True, False):
        zero = bytes(32)
        decision = Decision(9, bytes(16), granted, "why", zero, zero, zero, zero, "nitro", "emulated", "", int(granted))
        leaf = leaf_hash(decision.encode())
        checkpoint = sign(checkpoint_text(_BROKER.name, 2, node_hash(leaf, leaf)), [_BROKER])
        note = ReleaseAnswer(decision, 1, (leaf,), checkpoint, b"wrapped" * granted).encode(_BROKER)
        found.append(parse_unverified(note).text.split("\n")[1].encode())
    return found


_BROKER = signer_of(b"\7" * 32)


def _receipt(data: bytes) -> None:
    """A line of anchors/receipts.jsonl, and what its kind makes of it."""
    receipt = Receipt.parse(data)
    assert receipt.encode() == data
    head = Checkpoint("zk-autograd/register/x", receipt.size, receipt.root)
    note = sign(checkpoint_text(head.origin, head.size, head.root), [SIGNER])
    kinds = verifiers()
    if receipt.kind in kinds:
        claim = kinds[receipt.kind].verify(receipt, SignedCheckpoint(note, head), None)
        assert claim.standing is not Standing.SHOWN and claim.beacon is None


def _entries(data: bytes) -> None:
    """A tile of entries, as wide as it may be."""
    width = 0
    at = 0
    while at < len(data) and width < WIDTH:
        at, width = at + 2 + int.from_bytes(data[at : at + 2], "big"), width + 1
    found = parse_bundle(data, width, "a tile")
    assert len(found) == width
    assert encode_bundle(found) == data


@cache
def _run() -> Run:
    return honest("none")


def _files(run: Run) -> dict[str, bytes]:
    return {
        "log/records.jsonl": b"".join(leaf + b"\n" for leaf in run.leaves()),
        "log/checkpoint": run.note(),
        **{f"model/{name}": data for name, data in run.model.items()},
    }


def _model(name: str) -> Callable[[bytes], None]:
    """A file of the model that the trainer's close record names as it is. It is taken only if it
    says what the committed weights say; else step 10 refuses it."""

    def take(data: bytes) -> None:
        run = replace(_run(), model={**_run().model, name: data})
        run.name_model()
        report = Verifier(LOG_POLICY, stand_ins()).verify(Memory(_files(run)))
        if report.failure is not None:
            assert report.failure.step == Step.MODEL, report.failure
            raise report.failure
        assert report.exit_status == 0
        own = _run().model[name]
        if name == OPENING:
            assert data == own
            assert salts(data, run.header) == run.salts
        else:
            assert np.array_equal(flat(data, name, run.header), flat(own, name, run.header))

    return take


@cache
def _registered() -> tuple[Run, Tree]:
    return registered(backend="none")


def _registers(name: str) -> Callable[[bytes], None]:
    """A file of a run's register or anchors, through the whole verification. Step 4 alone refuses
    it; of what it takes the keys signed every head, and a stranger's quorum never counts."""

    def take(data: bytes) -> None:
        run, tree = _registered()
        files = {**_files(run), **_register_files(), name: data}
        report = Verifier(LOG_POLICY, stand_ins(), verifiers()).verify(Memory(files))
        if report.failure is not None:
            assert report.failure.step == Step.ANCHORS, report.failure
            raise report.failure
        found = report.anchoring
        assert report.exit_status == 0 and found.registered is not None
        assert all(one.head == tree.head(size) for size, one in found.registered.heads.items())
        assert set(found.registered.entries) <= set(enumerate(tree.entries))
        assert not list(found.shown(0))

    return take


def _register_files() -> dict[str, bytes]:
    _, tree = _registered()
    receipts = [tree.receipt(2), cosigned(tree, 6, WITNESSES[:2]), tree.receipt(6, "later", more=["x"])]
    return {
        "register/views.jsonl": b"".join(view.encode() + b"\n" for view in tree.views(*PLACES)),
        "anchors/receipts.jsonl": b"".join(receipt.encode() + b"\n" for receipt in receipts),
    }


@cache
def _enclaves() -> tuple[EnclaveRun, Policy]:
    with TemporaryDirectory() as folder:
        return enclave_run(), enclave_policy(Path(folder))


def _attested(data: bytes) -> None:
    """An enclave's document, which the genesis names as it is, through the whole verification. Step
    8 alone refuses it, and no other document reaches L2."""
    made, asked = _enclaves()
    run, tree = replace(made.run), Tree()
    assert run.genesis is not None
    run.genesis = replace(run.genesis, attestation=sha256(data).digest())
    run.reprove()
    made = replace(made, run=run, tree=tree)
    made.enter()
    files = {
        **_files(run),
        **{f"proofs/{segment}-{block}": proof for (segment, block), proof in run.proofs.items()},
        "register/views.jsonl": b"".join(view.encode() + b"\n" for view in tree.views(*made.views)),
        "anchors/receipts.jsonl": made.receipt(2, STAMPED).encode() + b"\n",
        "attestation/document.json": data,
    }
    report = Verifier(asked, stand_ins(), verifiers(), attestation_verifiers()).verify(Memory(files))
    if report.failure is not None:
        assert report.failure.step == Step.ATTESTATION, report.failure
        raise report.failure
    if Level.L2 not in report.levels:
        raise UsageError("less than L2")
    assert data == _enclaves()[0].document.encode()


@cache
def _signature() -> bytes:
    with TemporaryDirectory() as folder:
        return model_signature(published(honest("none").write(Path(folder) / "run")), MODEL_SIGNER)


def _payload(data: bytes) -> bytes:
    return b64decode(json.loads(data)["dsseEnvelope"]["payload"])


def _model_signature(data: bytes) -> None:
    """Whatever the bundle's form, only what the key signed is taken."""
    policy = replace(LOG_POLICY, model_key=MODEL_SIGNER.public_key, model_signature=data)
    outcome = check_model_signature(parse_log(_run().leaves()), Memory({}), policy)
    if outcome.finding.status is not Status.PASSED:
        raise UsageError("not shown")
    assert _payload(data) == _payload(_signature())


# ---- inputs that are right -----------------------------------------------------------------------


def _logs() -> list[bytes]:
    runs = [honest("none", schedule="recorded"), honest("ezkl", groups=2), honest("none", lengths=(1,) * 6)]
    runs += [honest("none", beacon=bytes(32)), honest("ezkl", beacon=bytes(32), order_by=TRAINER)]
    attested = honest("none")
    attested.edit_header(format=ENCLAVE_FORMAT, proving=INSIDE)
    assert attested.genesis is not None
    runs.append(replace(attested, genesis=replace(attested.genesis, attestation=bytes(range(32)))))
    return [b"".join(leaf + b"\n" for leaf in run.leaves()) for run in runs]


def _notes() -> list[bytes]:
    run = _run()
    text = checkpoint_text(run.header.origin, 5, bytes(range(32)))
    return [sign(text, [SIGNER]), sign(text, [SIGNER, QUANTUM]), sign(checkpoint_text("x", 0, bytes(32)), [SECOND])]


def _reports() -> list[bytes]:
    with TemporaryDirectory() as folder:
        report = judge(honest(), Path(folder), replace(POLICY, sample=3, beacon="noon"))
    return [json.dumps(report.to_json()).encode()]


def _views() -> list[bytes]:
    tree = entered(_run())
    return [view.encode() for view in tree.views(*PLACES)]


def _receipts() -> list[bytes]:
    tree = entered(_run())
    return [tree.receipt(6).encode(), tree.receipt(2, "moon", of="cheese").encode()]


def _evidence() -> list[bytes]:
    one, other = forks.head(forks.log(6)), forks.head(forks.log(6, 2))
    same = ForkEvidence.of(one, other).encode()
    zero = ForkEvidence.of(forks.head([]), one).encode()
    shown = ForkEvidence.of(forks.head(forks.log(3)), other, bytes(32), (bytes(32), bytes(range(32)))).encode()
    return [same, zero, shown]


ANCHORS = f"""register = true
[anchors]
require = ["witness", "file"]
[anchors.witness]
authorities = 2
policy = '''
witness one {WITNESSES[0].public_key.encode()}
quorum one
'''
[freshness]
anchored_before = "2026-12-01T00:00:00Z"
"""

_HASHES = Hashes(bytes(32), bytes(range(32)), bytes(32), bytes(32), bytes(range(32)))


def _evm_receipt(data: bytes) -> None:
    receipt = Receipt.parse(data)
    assert receipt.encode() == data
    found = golden()
    size = min(SIZES, key=lambda size: abs(size - receipt.size))
    claim = verify_evm(receipt, LOG.checkpoint(size), found.trust)
    at = SIZES.index(size)
    assert claim.time in (None, found.times[at])
    assert claim.beacon in (None, (None, found.beacon)[at])
    assert (claim.standing is Standing.SHOWN) == (claim.time is not None)


def _stored_receipt(data: bytes) -> None:
    """What a bucket or a table holds confirms no receipt but its own, of which the lock may be
    shorter."""
    receipt = Receipt.parse(data)
    assert receipt.encode() == data
    of_kind = s3 if receipt.kind == "s3" else dynamodb
    assert of_kind.verify(receipt, of_kind.TREE.checkpoint(), None).standing is Standing.WORD
    until = of_kind.BODY.get("retain_until")
    own = {**receipt.body, "retain_until": until} if until is not None else receipt.body
    assert of_kind.confirms(of_kind.KEPT, receipt) is (
        own == of_kind.BODY and (until is None or receipt.body["retain_until"] <= until)
    )


def _kept(data: bytes) -> None:
    """What an anchor stores of a publication."""
    assert encode_kept(parse_kept(data)) == data


def _token(data: bytes) -> None:
    nonce = bytes.fromhex(str(stamps.golden()[0][0].body["nonce"]))
    claim = stamps.claim_of(data, stamps.GOLDEN_TRUST, nonce, stamps.golden()[0][1].head)
    assert claim.time in (None, stamps.GOLDEN_TIMES[0])


def _tpm_receipt(data: bytes) -> None:
    receipt = Receipt.parse(data)
    trust = TpmTrust(names=frozenset([bytes.fromhex(tpms.GOLDEN_NAME)]))
    honest, checkpoint = tpms.golden()[0]
    claim = verify_tpm(receipt, checkpoint, trust)
    if claim.standing is Standing.SHOWN:
        assert claim.position == verify_tpm(honest, checkpoint, trust).position


NITRO = "54ae0f973da0c740.cose"


def _nitro_document(data: bytes) -> None:
    """What is taken says what the real one says, in whatever form."""
    at = nitro.time_of(NITRO)
    assert verify_nitro(data, at=at) == verify_nitro(nitro.read(NITRO), at=at)


def _nitro_payload(data: bytes) -> None:
    """A payload as a device would sign it: what is taken has the fields that a lenient reader sees,
    and none besides."""
    import cbor2

    chain = nitro.honest()
    claim = chain.verify(chain.sign(data))
    seen = cbor2.loads(data)
    assert seen["pcrs"] == claim.pcrs and seen["module_id"] == claim.module
    assert seen["timestamp"] == int(claim.time.timestamp() * 1000)
    for name in ("public_key", "user_data", "nonce"):
        assert seen.pop(name, None) == getattr(claim, name)
    assert len(seen) == 6


def _nitro_payloads() -> list[bytes]:
    import cbor2

    payload = cbor2.dumps(nitro.honest().payload())
    return [
        payload,
        b"\xbf" + payload[1:] + b"\xff",
        cbor2.dumps(nitro.honest().payload(nonce=..., user_data=b"")),
    ]


def _snp_report(data: bytes) -> None:
    """Read whole; and of all that is read, only what the processor signed is vouched for."""
    report = Report.parse(data)
    assert snp.rebuilt(report) == data
    with suppress(VerificationError):
        assert snp.platform().verify(data).report.signed == snp.platform().report()[: len(report.signed)]


def _snp_leaf(data: bytes) -> None:
    """The certificate of a VCEK: what its issuer signed, or none that counts."""
    leaf, honest = snp_leaf.parse(data, VCEK), snp_leaf.parse(snp.platform().leaf, VCEK)
    with suppress(VerificationError):
        snp.platform().verify(vcek=data)
        assert leaf.certificate.tbs_certificate_bytes == honest.certificate.tbs_certificate_bytes


def _snp_issuer(data: bytes) -> None:
    """The certificate of an ASK, from which the chain goes on."""
    of = snp.platform()
    claim = of.verify(chain=[data, of.ark])
    assert claim.report == of.verify().report
    ours = [snp_leaf.certificate(one, "ours").tbs_certificate_bytes for one in of.chain]
    assert snp_leaf.certificate(data, "it").tbs_certificate_bytes in ours


@cache
def _snp_lists() -> tuple[bytes, ...]:
    day = snp.AT
    return snp.revocation_list(), snp.revocation_list([(7, day, ""), (8, day, "superseded")])


def _snp_list(data: bytes) -> None:
    """A revocation list clears nobody unless the root signed it."""
    if snp.platform().verify(crls=[data]).unrevoked:
        assert any(snp.signed_part(data) == snp.signed_part(one) for one in _snp_lists())


def _snp_table(data: bytes) -> None:
    """What the host lays beside a report; it says so itself where it can't be read."""
    try:
        found = table_certificates(data)
    except RunError as error:
        raise UsageError(str(error)) from error
    assert all(snp_leaf.certificate(one, "it").public_key() for one in found)


def _image(data: bytes) -> None:
    image = read_image(io.BytesIO(data))
    measure(image)
    again = eif.packed([(section.kind, b"".join(image.chunks(section))) for section in image.sections])
    assert again[26:544] == data[26:544] and again[548:] == data[548:]


_PARSERS_JSON = [b'{"a":[1,-2,true,"x\xc3\xa9"],"b":{}}', b"[]", b"0", b'""', b"9007199254740991"]

_HOLDINGS = (Holding(FileKey(bytes(32)), "a", "keyfile"), Holding(FileKey(bytes(32)), "b", "kms"))


def _key_files(data: bytes) -> None:
    with _as_false():
        assert KeyFile.parse(data).encode() == data


def _kms_answer(data: bytes) -> None:
    with _as_false():
        open_enveloped(data, known())


def _openings(data: bytes) -> None:
    """Openings of a run: the same bytes come out."""
    file = Openings(io.BytesIO(data), opened.LOGS["none"])
    assert opened.written(opened.LOGS["none"], file.index, list(file.segments())) == data


def _openings_heads(data: bytes) -> None:
    """The beginning of a file of sealed openings: what its key is unwrapped for."""
    file = io.BytesIO(data)
    with _as_false():
        context, wrapped = OpeningsContext.read(file)
    assert context.head(wrapped) == data[: file.tell()]


def _challenge(data: bytes) -> None:
    assert Challenge.parse(data).encode() == data


@contextmanager
def _as_false() -> Iterator[None]:
    """A VaultError is a no."""
    try:
        yield
    except VaultError as error:
        raise VerificationError(str(error)) from error


PARSERS = {
    "openings": Parser(
        lambda: [
            opened.a_file(data=DataSecrets((bytes(32),), opened.TABLE, 7)),
            opened.a_file(segments=(0, 1, 2), data=DataSecrets(())),
            opened.a_file(segments=(1,)),
        ],
        as_headed(OPENINGS, 8),
        _openings,
    ),
    "openings-heads": Parser(
        lambda: [OpeningsContext("c0" * 32, bytes(32), bytes(32), size).head(bytes(1168)) for size in (1, 99)],
        as_headed(SEALED_OPENINGS, 4),
        _openings_heads,
    ),
    "challenges": Parser(
        lambda: [
            Challenge(TreeHead(bytes(32), 12), 9, sample, seed, beacon).encode()
            for sample, seed, beacon in ((3, bytes(32), False), (20, b"a beacon", True))
        ],
        as_json,
        _challenge,
    ),
    "canonical-json": Parser(lambda: [*_PARSERS_JSON, *_run().leaves()], as_json, _json),
    "records": Parser(_logs, as_records, _records),
    "register-views": Parser(_views, as_json, _view),
    "attestations": Parser(
        lambda: [Document("nitro", bytes(9), b"\1", b"\2").encode(), Document("snp", b"\0").encode()],
        as_json,
        _attestation,
    ),
    "collateral": Parser(
        lambda: [Collateral((b"\1", b"\2"), (b"\3",)).encode(), Collateral().encode()], as_json, _collateral
    ),
    "release-nonces": Parser(
        lambda: [encode_asking(bytes(16)), Nonce(bytes(16), bytes(32), 300).encode()], as_json, _asking
    ),
    "release-requests": Parser(
        lambda: [ReleaseRequest(bytes(16), Document("snp", b"\0", b"\1", bytes(32)), Collateral((b"\1",))).encode()],
        as_json,
        _release,
    ),
    "release-answers": Parser(_answers, as_json, _released),
    "attested-documents": Parser(lambda: [_enclaves()[0].document.encode()], as_json, _attested),
    "enclave-jobs": Parser(
        lambda: [make_job().encode(), make_job(recipient=b"\1\2", table=b"").encode()], as_bytes, _job
    ),
    "enclave-starts": Parser(
        lambda: [
            Start(BrokerPlace("h:1", "key", "PEM\n"), nonce=bytes(16)).encode(),
            Start(kms=KmsPlace("here", "http://h:1", "id", "secret", "token")).encode(),
        ],
        as_json,
        _start,
    ),
    "relay-hellos": Parser(
        lambda: [canonical.encode(one.word()) for one in (Hello("say"), Hello("input", "job"))], as_json, _hello
    ),
    "relay-proofs": Parser(lambda: [canonical.encode(small()[0].word())], as_json, _wanted),
    "tiles-of-entries": Parser(
        lambda: [encode_bundle([view.entry.encode() for view in entered(_run()).views(*PLACES)]), b""],
        as_lines,
        _entries,
    ),
    "receipts": Parser(_receipts, as_json, _receipt),
    "notes": Parser(_notes, as_lines, _note),
    "keys": Parser(
        lambda: [KEY.encode().encode(), f"{KEY.encode()}\n{QUANTUM.public_key.encode()}\n".encode()], as_lines, _keys
    ),
    "key-file": Parser(lambda: [keyfile.secret_text([SIGNER, QUANTUM]).encode()], as_lines, _key_file),
    "bundles": Parser(lambda: [packed(SMALL), packed(dict(sorted(_files(_run()).items())))], as_bundle, _bundle),
    "weights-integers": Parser(lambda: [_run().model[WEIGHTS_INTEGERS]], as_safetensors, _model(WEIGHTS_INTEGERS)),
    "weights-floats": Parser(lambda: [_run().model[WEIGHTS_FLOATS]], as_safetensors, _model(WEIGHTS_FLOATS)),
    "graphs": Parser(lambda: [one.encode() for one in _GRAPHS], as_lines, _graph),
    "cells": Parser(lambda: [encoded(np.array([[5, -7, 4096, 0], [0, 1, 0, 4096]], np.int32), 2)], as_bytes, _cells),
    "opening": Parser(lambda: [_run().model[OPENING]], as_json, _model(OPENING)),
    "hashes": Parser(
        lambda: [_HASHES.encode(), replace(_HASHES, config=None, weights=None).encode()], as_json, _hashes
    ),
    "policies": Parser(lambda: [(HEAD + WHOLE).encode()], as_lines, _policy),
    "anchor-policies": Parser(lambda: [(HEAD + ANCHORS).encode()], as_lines, _anchor_policy),
    "register-entries": Parser(lambda: [entry.encode() for entry in _registered()[1].entries], as_json, _entry),
    "views-files": Parser(
        lambda: [_register_files()["register/views.jsonl"]], as_records, _registers("register/views.jsonl")
    ),
    "receipts-files": Parser(
        lambda: [_register_files()["anchors/receipts.jsonl"]], as_records, _registers("anchors/receipts.jsonl")
    ),
    "tlog-policies": Parser(
        lambda: [EXAMPLE, witness(b"A", 1, 6) + b"quorum A\n", b"quorum none\n"], as_lines, _tlog_policy
    ),
    "witness-receipts": Parser(
        lambda: [receipt(lines([(ONE.ed25519, 1), (TWO.ed25519, 2)])).encode()], as_json, _witness_receipt
    ),
    "witness-requests": Parser(lambda: [Register().body(0, 5), Register().body(3, 7)], as_lines, _witness_request),
    "fork-evidence": Parser(_evidence, as_lines, _fork),
    "dsse": Parser(lambda: [json.dumps(json.loads(_signature())["dsseEnvelope"]).encode()], as_json, _dsse),
    "model-signatures": Parser(lambda: [_signature()], as_json, _model_signature),
    "model-keys": Parser(lambda: [MODEL_SIGNER.public_key.pem], as_lines, _ec_key),
    "reports": Parser(_reports, as_json, _report),
    "urls": Parser(lambda: [b"https://example.org:8443/runs/one/", b"http://[::1]:80/b.tar"], as_lines, _url),
    "evm-receipts": Parser(lambda: list(golden().lines), as_json, _evm_receipt),
    "stored-receipts": Parser(lambda: [s3.receipt().encode(), dynamodb.receipt().encode()], as_json, _stored_receipt),
    "publications": Parser(lambda: [encode_kept(one.KEPT) for one in (s3, dynamodb)], as_json, _kept),
    "rfc3161-tokens": Parser(lambda: [stamps.token_of(one) for one, _ in stamps.golden()[:1]], as_der, _token),
    "tpm-receipts": Parser(lambda: [one.encode() for one, _ in tpms.golden()[:1]], as_json, _tpm_receipt),
    "nitro-documents": Parser(lambda: [nitro.read(NITRO)], as_cbor, _nitro_document),
    "nitro-payloads": Parser(_nitro_payloads, as_cbor, _nitro_payload),
    "snp-reports": Parser(lambda: [snp.platform(name).report() for name in ("genoa", "turin")], as_bytes, _snp_report),
    "snp-keys": Parser(lambda: [snp.platform().leaf], as_der, _snp_leaf),
    "snp-issuers": Parser(lambda: [snp.platform().ask], as_der, _snp_issuer),
    "snp-revocation-lists": Parser(lambda: list(_snp_lists()), as_der, _snp_list),
    "snp-tables": Parser(lambda: [TABLE, bytes(48)], as_bytes, _snp_table),
    "enclave-images": Parser(lambda: [eif.golden("one"), eif.golden("signed")], as_eif, _image),
    "key-files": Parser(lambda: [sealed_pair(b"", of_enclave(bytes(16)), _HOLDINGS)[1].encode()], as_json, _key_files),
    "kms-answers": Parser(lambda: [definite()], as_der, _kms_answer),
    "roots": Parser(lambda: [b"ab" * 32 + b"@4"], as_lines, _head),
}
"""Each by its name on the command line."""

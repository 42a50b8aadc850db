"""How records are written and read: one canonical JSON form for each, and a strict reader.

A reader names every field, bounds every length and refuses what is left over; it checks a record's
own consistency. How records fit together is the verifier's concern (verify.chain). docs/formats.md
lists the fields.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Sequence

from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.canonical import Json, decode, encode
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.exact_bytes import check_exact, read_exact, written_exact
from zk_autograd.core.fields import Fields, Value
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Algorithm, PublicKey
from zk_autograd.core.records import (
    BEACON,
    ENCLAVE_FORMAT,
    FORMATS,
    INSIDE,
    MAX_BEACON_TERMS,
    MAX_BLOCKS,
    MAX_PARAMETERS,
    MAX_RECORD,
    MAX_SEGMENT_STEPS,
    MAX_STEP,
    MAX_TENSORS,
    OUTSIDE,
    TRAINER,
    V0,
    V1,
    Block,
    Close,
    Data,
    Genesis,
    Group,
    Header,
    Log,
    Parameter,
    Prover,
    Record,
    Segment,
    StateCommitments,
    Unproved,
    check_layout,
    header_digest,
    hyper_names,
)
from zk_autograd.core.register import origin_of
from zk_autograd.core.rules.families import FAMILIES
from zk_autograd.core.schedules import MAX_TEXT
from zk_autograd.core.schedules import parse as parse_schedule
from zk_autograd.core.segment_bytes import SegmentReader
from zk_autograd.core.segments import Segments
from zk_autograd.core.text import SHOWN, quoted

_TERM = re.compile(r"[a-z][a-z0-9_]{0,39}")


def to_bytes(record: Record) -> bytes:
    """The leaf of a record. ValueError for a record that no reader would accept."""
    leaf = encode(_WRITERS[type(record)](record))  # type: ignore[operator]
    return leaf


def parse(leaf: bytes, header: Header | None) -> Record:
    """The record of a leaf; `header` is the run's, None for leaf 0. Raises VerificationError."""
    fields = Fields(decode(leaf, max_bytes=MAX_RECORD), "record")
    kind = fields.choice("type", ("header", "genesis", "segment", "close"))
    if (kind == "header") != (header is None):
        raise VerificationError("the first record must be the header, and no other may be", found=kind)
    record: Record
    if header is None:
        record = _read_header(fields)
    elif kind == "genesis":
        record = _read_genesis(fields, header)
    elif kind == "segment":
        record = _read_segment(fields, header)
    else:
        record = _read_close(fields, header)
    fields.end()
    return record


# ---- writing -------------------------------------------------------------------------------------


def _write_header(h: Header) -> Json:
    prover: dict[str, Json] = {
        "backend": h.prover.backend,
        "version": h.prover.version,
        "block": h.prover.block,
        "steps": h.prover.steps,
    }
    if h.prover.form.proves:
        prover |= {
            "circuit": h.prover.circuit,
            "circuit_digest": h.prover.circuit_digest.hex(),
        }
    if h.prover.form.setup:
        prover["srs_digest"] = h.prover.srs_digest.hex()
    value: dict[str, Json] = {
        "type": "header",
        "format": h.format,
        "run": h.run.hex(),
        "package": h.package,
        "rule": h.rule.value,
        "grad_scale": h.grad_scale,
        "schedule": h.schedule,
        "groups": [{**dict(g.hyper), "s": g.s} for g in h.groups],
        "parameters": [
            {"name": p.name, "shape": list(p.shape), "offset": p.offset, "size": p.size, "group": p.group}
            for p in h.parameters
        ],
        "unproved": [
            {"name": u.name, "kind": u.kind, "shape": list(u.shape), "dtype": u.dtype, "sha256": u.digest.hex()}
            for u in h.unproved
        ],
        "size": h.size,
        "blocks": [[b.group, b.offset, b.size] for b in h.blocks],
        "data": {
            "root": h.data.root.hex(),
            "count": h.data.count,
            "sampler": h.data.sampler,
            "batch_size": h.data.batch_size,
            "seed": h.data.seed.hex(),
        },
        "model_code": h.model_code.hex(),
        "prover": prover,
        "keys": list(h.keys),
        "chosen_by": {"initial_weights": h.weights_by, "data_order": h.order_by},
    }
    if h.format not in (V0, V1):
        value |= {"register": h.register, "beacon": dict(h.beacon)}
    if h.format == ENCLAVE_FORMAT:
        value["enclave"] = {"proving": h.proving}
    if h.exact is not None:
        value["exact"] = written_exact(h.exact)
    return value


def _write_state(state: StateCommitments) -> Json:
    return {name: [c.hex() for c in blocks] for name, blocks in state.items()}


def _write_genesis(g: Genesis) -> Json:
    value: dict[str, Json] = {
        "type": "genesis",
        "state": _write_state(g.state),
        "zero_salts": _write_state(g.zero_salts),
    }
    if g.beacon:
        value |= {"beacon": g.beacon.hex(), "weight_salts": [salt.hex() for salt in g.weight_salts]}
    if g.attestation:
        value["attestation"] = g.attestation.hex()
    return value


def _write_segment(s: Segment) -> Json:
    return {
        "type": "segment",
        "index": s.index,
        "first": s.first,
        "last": s.last,
        "state_in": _write_state(s.state_in),
        "state_out": _write_state(s.state_out),
        "gradients": [c.hex() for c in s.gradients],
        "batches": s.batches.hex(),
        "lr": [list(step) for step in s.lr],
        "proofs": [p.hex() for p in s.proofs],
        "claimed": {"loss": list(s.loss), "saturated": list(s.saturated)},
    }


def _write_close(c: Close) -> Json:
    return {
        "type": "close",
        "last_step": c.last_step,
        "segments": c.segments,
        "state": _write_state(c.state),
        "model": {name: digest.hex() for name, digest in c.model},
        "artefacts": {name: digest.hex() for name, digest in c.artefacts},
    }


_WRITERS = {Header: _write_header, Genesis: _write_genesis, Segment: _write_segment, Close: _write_close}


# ---- reading -------------------------------------------------------------------------------------


def _shape(fields: Fields) -> tuple[int, ...]:
    return tuple(v.integer(0, MAX_PARAMETERS) for v in fields.array("shape", max_items=32))


def _schedule(text: str) -> str:
    schedule = parse_schedule(text)
    if schedule is not None and schedule.text != text:
        raise VerificationError(
            "the schedule is not in its canonical form", expected=repr(schedule.text), found=quoted(text)
        )
    return text


def _read_header(f: Fields) -> Header:
    version = f.choice("format", FORMATS)
    rule = Rule(f.choice("rule", tuple(r.value for r in Rule)))
    groups = []
    for group in f.objects("groups", max_items=1000, min_items=1):
        hyper = tuple((name, group.text(name, max_len=100)) for name in hyper_names(rule))
        s = group.integer("s", 0, 30)
        group.end()
        if s not in (shifts := FAMILIES[rule].shifts):
            raise VerificationError(f"s is {s}", expected=f"{' or '.join(map(str, shifts))} for {rule.value}")
        groups.append(Group(hyper, s))
    parameters = []
    for item in f.objects("parameters", max_items=MAX_TENSORS, min_items=1):
        parameter = Parameter(
            item.text("name", max_len=1000),
            _shape(item),
            item.integer("offset", 0, MAX_PARAMETERS),
            item.integer("size", 1, MAX_PARAMETERS),
            item.integer("group", 0, len(groups) - 1),
        )
        item.end()
        parameters.append(parameter)
    unproved = []
    for item in f.objects("unproved", max_items=MAX_TENSORS):
        unproved.append(
            Unproved(
                item.text("name", max_len=1000),
                item.choice("kind", ("buffer", "frozen")),
                _shape(item),
                item.text("dtype", max_len=40),
                item.hex("sha256", 32),
            )
        )
        item.end()
    blocks = []
    for value in f.array("blocks", max_items=MAX_BLOCKS, min_items=1):
        group_index, offset, size = (v.integer(0, MAX_PARAMETERS) for v in value.array(max_items=3, min_items=3))
        blocks.append(Block(group_index, offset, size))
    data = f.object("data")
    committed = Data(
        data.hex_or_empty("root", 32),
        data.integer("count", 0, 2**50),
        data.text("sampler", max_len=200),
        data.integer("batch_size", 0, 2**40),
        data.hex_or_empty("seed", 32),
    )
    data.end()
    whose = (TRAINER,) if version in (V0, V1) else (TRAINER, BEACON)
    chosen = f.object("chosen_by")
    weights_by, order_by = chosen.choice("initial_weights", whose), chosen.choice("data_order", whose)
    chosen.end()
    register, beacon = ("", ()) if version in (V0, V1) else _read_register(f)
    header = Header(
        run=f.hex("run", 16),
        package=f.text("package", max_len=100),
        rule=rule,
        grad_scale=f.integer("grad_scale", -100, 100),
        schedule=_schedule(f.text("schedule", max_len=MAX_TEXT)),
        groups=tuple(groups),
        parameters=tuple(parameters),
        unproved=tuple(unproved),
        size=f.integer("size", 1, MAX_PARAMETERS),
        blocks=tuple(blocks),
        data=committed,
        model_code=f.hex_or_empty("model_code", 32),
        prover=_read_prover(f.object("prover")),
        keys=tuple(f.texts("keys", max_items=8, max_len=8000, min_items=1)),
        format=version,
        register=register,
        weights_by=weights_by,
        order_by=order_by,
        beacon=beacon,
        proving=_read_enclave(f) if version == ENCLAVE_FORMAT else "",
        exact=read_exact(f.object("exact")) if "exact" in f and version not in (V0, V1) else None,
    )
    check_layout(header)
    (_check_keys_v0 if version == V0 else _check_keys)(header.keys)
    for index in range(len(groups)):
        header.sequence(index)  # refuses hyper-parameters that the rule can't use
    check_beginning(header)
    check_exact(header)
    return header


def _read_register(f: Fields) -> tuple[str, tuple[tuple[str, str], ...]]:
    value = f.value("beacon")
    terms = value.object()
    if not isinstance(value.raw, dict) or len(value.raw) > MAX_BEACON_TERMS:
        raise VerificationError(f"{value.where} has too many terms", expected=f"at most {MAX_BEACON_TERMS}")
    for name in value.raw:
        if not _TERM.fullmatch(name):
            raise VerificationError(
                f"{value.where} has a term of no plain name",
                expected="a small letter, and up to 39 small letters, digits and _",
                found=quoted(name, SHOWN),
            )
    beacon = tuple((name, terms.text(name, max_len=200)) for name in sorted(value.raw))
    return f.text("register", max_len=200, min_len=0), beacon


def _read_enclave(f: Fields) -> str:
    enclave = f.object("enclave")
    proving = enclave.choice("proving", (INSIDE, OUTSIDE))
    enclave.end()
    return proving


def check_beginning(header: Header) -> None:
    """A register is that of the run's own keys. What a beacon decides needs one, and it needs a
    register, in which the run was entered before anybody knew the beacon. A header says where the
    run is proved exactly if it is an enclave's. VerificationError."""
    if bool(header.proving) != (header.format == ENCLAVE_FORMAT):
        raise VerificationError(f"a header says where its run is proved exactly if its format is {ENCLAVE_FORMAT}")
    if header.register:
        try:
            origin = origin_of([PublicKey.parse(key) for key in header.keys])
        except UsageError as error:
            raise VerificationError(f"the header's keys have no register: {error}") from error
        if header.register != origin:
            raise VerificationError(
                "the header names another trainer's register", expected=origin, found=quoted(header.register)
            )
    by_beacon = BEACON in (header.weights_by, header.order_by)
    if by_beacon != bool(header.beacon):
        raise VerificationError("a beacon's terms stand in the header exactly where it decides something")
    if by_beacon and "kind" not in dict(header.beacon):
        raise VerificationError("the beacon's terms don't say what kind of anchor gives it", expected="a term kind")
    if by_beacon and not header.register:
        raise VerificationError("a run that a beacon begins must be in a register")
    if header.order_by == BEACON and header.weights_by != BEACON:
        raise VerificationError("the beacon of a run decides its first weights, and only then the order of its data")


def _check_keys(texts: Sequence[str]) -> None:
    """Each is a key of a known algorithm, and no two are one secret, be it under two names, or one
    signer in a note."""
    keys: list[PublicKey] = []
    for text in texts:
        try:
            key = PublicKey.parse(text)
        except VerificationError as error:
            raise VerificationError(f"the header names an invalid key: {error.message}", found=quoted(text)) from error
        if any(key.raw == other.raw or (key.name, key.key_id) == (other.name, other.key_id) for other in keys):
            raise VerificationError("the header names the same key twice", found=key.label)
        keys.append(key)


def _check_keys_v0(keys: Sequence[str]) -> None:
    """No Ed25519 key twice, be it under two names or in two encodings. A key of another algorithm
    is compared as text: to v0 it is not known."""
    raw: set[bytes] = set()
    for i, text in enumerate(keys):
        try:
            parsed = PublicKey.parse(text)
            key = parsed.raw if parsed.algorithm is Algorithm.ED25519 else None
        except VerificationError as error:
            if _is_ed25519(text):
                raise VerificationError(
                    f"the header names an invalid key: {error.message}", found=quoted(text)
                ) from error
            key = None
        if text in keys[:i] or key in raw:
            raise VerificationError("the header names the same key twice", found=quoted(text))
        if key is not None:
            raw.add(key)


def _is_ed25519(text: str) -> bool:
    """Whether a text that is not a key begins as an Ed25519 key would: a stranger's second encoding
    of one that is already named."""
    parts = text.split("+")
    for rest in ("".join(parts[1:]), "".join(parts[2:])):  # with and without an ID
        base64 = re.sub(r"[^A-Za-z0-9/]", "", rest)
        if len(base64) >= 4 and b64decode(base64[:4])[0] == Algorithm.ED25519:
            return True
    return False


def _read_prover(p: Fields) -> Prover:
    backend = p.choice("backend", tuple(BACKENDS))
    version, block, steps = (
        p.text("version", max_len=100),
        p.integer("block", 1, MAX_PARAMETERS),
        p.integer("steps", 1, MAX_SEGMENT_STEPS),
    )
    form = BACKENDS[backend]
    circuit, digest = (p.text("circuit", 100), p.hex("circuit_digest", 32)) if form.proves else ("", b"")
    srs = p.hex("srs_digest", 32) if form.setup else b""
    p.end()
    return Prover(backend, version, block, steps, circuit, digest, srs)


def _commitments(values: Sequence[Value], nbytes: int) -> tuple[bytes, ...]:
    return tuple(v.hex(nbytes) for v in values)


def _read_state(f: Fields, h: Header, names: Sequence[str], nbytes: int) -> StateCommitments:
    count = len(h.blocks)
    state = {name: _commitments(f.array(name, max_items=count, min_items=count), nbytes) for name in names}
    f.end()
    return state


def _read_genesis(f: Fields, h: Header) -> Genesis:
    state = _read_state(f.object("state"), h, h.states, h.prover.form.commitment_bytes)
    zeros = _read_state(f.object("zero_salts"), h, h.states[1:], h.prover.form.salt_bytes)
    attestation = f.hex("attestation", 32) if h.format == ENCLAVE_FORMAT else b""
    if h.weights_by != BEACON:
        return Genesis(state, zeros, attestation=attestation)
    count = len(h.blocks)
    salts = tuple(
        salt.hex(h.prover.form.salt_bytes) for salt in f.array("weight_salts", max_items=count, min_items=count)
    )
    return Genesis(state, zeros, f.hex("beacon", 32), salts, attestation)


def _read_segment(f: Fields, h: Header) -> Segment:
    nbytes = h.prover.form.commitment_bytes
    blocks = len(h.blocks)
    first = f.integer("first", 1, MAX_STEP)
    last = f.integer("last", first, first + h.prover.steps - 1)
    steps = last - first + 1
    recorded = steps if h.declared is None else 0
    proofs = 0 if not h.prover.form.proves else blocks
    claimed = f.object("claimed")
    loss = tuple(v.text(max_len=60, min_len=0) for v in claimed.array("loss", max_items=steps))
    saturated = tuple(v.integer(0, MAX_PARAMETERS) for v in claimed.array("saturated", max_items=steps))
    claimed.end()
    return Segment(
        index=f.integer("index", 0, MAX_STEP),
        first=first,
        last=last,
        state_in=_read_state(f.object("state_in"), h, h.states, nbytes),
        state_out=_read_state(f.object("state_out"), h, h.states, nbytes),
        gradients=_commitments(f.array("gradients", max_items=blocks, min_items=blocks), nbytes),
        batches=f.hex_or_empty("batches", 32),
        lr=tuple(
            tuple(v.text(max_len=100) for v in step.array(max_items=len(h.groups), min_items=len(h.groups)))
            for step in f.array("lr", max_items=recorded, min_items=recorded)
        ),
        proofs=tuple(v.hex(32) for v in f.array("proofs", max_items=proofs, min_items=proofs)),
        loss=loss,
        saturated=saturated,
    )


def _digests(value: Value) -> tuple[tuple[str, bytes], ...]:
    fields = value.object()
    if not isinstance(value.raw, dict) or len(value.raw) > 100:
        raise VerificationError(f"{value.where} has too many entries")
    pairs = tuple((name, fields.hex(name, 32)) for name in sorted(value.raw))
    return pairs


def _read_close(f: Fields, h: Header) -> Close:
    return Close(
        last_step=f.integer("last_step", 0, MAX_STEP),
        segments=f.integer("segments", 0, MAX_STEP),
        state=_read_state(f.object("state"), h, h.states, h.prover.form.commitment_bytes),
        model=_digests(f.value("model")),
        artefacts=_digests(f.value("artefacts")),
    )


class LogReader:
    """Takes the leaves of a run's log one by one, in their order: header, genesis, segments, close.
    A leaf can be forgotten once it was taken."""

    def __init__(self) -> None:
        self._size = 0
        self._header: Header | None = None
        self._digest = b""
        self._genesis: Genesis | None = None
        self._segments: Segments | None = None
        self._close: Close | None = None
        self._short_way: SegmentReader | None = None

    def add(self, leaf: bytes) -> None:
        """The next leaf. VerificationError names its index."""
        packed = self._short_way.read(leaf) if self._short_way is not None else None
        if packed is None:
            try:
                self._add(leaf)
            except VerificationError as error:
                raise error.at(0, self._size) from error
        else:
            assert self._segments is not None
            self._segments.add(packed)
        self._size += 1

    def _add(self, leaf: bytes) -> None:
        record = parse(leaf, self._header)
        if isinstance(record, Header):
            self._header, self._digest, self._segments = record, header_digest(leaf), Segments(record)
            return
        assert self._header is not None and self._segments is not None
        if self._close is not None:
            raise VerificationError("a record follows the close record")
        if isinstance(record, Genesis) != (self._size == 1):
            raise VerificationError("the second record must be the genesis, and no other may be")
        if isinstance(record, Genesis):
            self._genesis = record
            self._short_way = SegmentReader(self._header)  # no segment may come before
        elif isinstance(record, Segment):
            self._segments.append(record)
        else:
            self._close = record
            self._short_way = None  # nor after

    @property
    def header(self) -> Header | None:
        """The first one's, once it was taken."""
        return self._header

    def log(self) -> Log:
        """What was taken. VerificationError if that is nothing."""
        if self._header is None or self._segments is None:
            raise VerificationError("the log has no records")
        return Log(self._header, self._digest, self._genesis, self._segments, self._close)


def parse_log(leaves: Iterable[bytes]) -> Log:
    """The records of a run in their order: header, genesis, segments, close. VerificationError
    names the record's index."""
    reader = LogReader()
    for leaf in leaves:
        reader.add(leaf)
    return reader.log()

"""Records come back as they were written, and a reader refuses what no writer writes."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from zk_autograd.core import records
from zk_autograd.core.errors import VerificationError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import Ed25519Signer, MlDsa44Signer, PublicKey
from zk_autograd.core.record_bytes import check_beginning, parse, parse_log, to_bytes
from zk_autograd.core.records import (
    BEACON,
    ENCLAVE_FORMAT,
    INSIDE,
    OUTSIDE,
    TRAINER,
    Block,
    Close,
    Data,
    Genesis,
    Group,
    Header,
    Parameter,
    Prover,
    Record,
    Segment,
    StateCommitments,
    Unproved,
    header_digest,
    hyper_names,
)
from zk_autograd.core.register import origin_of

HYPER = {
    "lr": "0.001",
    "beta1": "0.9",
    "beta2": "0.999",
    "eps": "1e-08",
    "weight_decay": "0.01",
    "momentum": "0.9",
    "alpha": "0.99",
}


def key_text(name: str, raw: bytes) -> str:
    return Ed25519Signer(name, raw).public_key.encode()


KEY = key_text("key", bytes(32))


@pytest.mark.slow
def test_a_header_of_very_many_tensors_is_read() -> None:
    """10^5 parameters, 10^5 unproved tensors and 10^5 blocks, with long names: the bounds on a
    record's bytes and marks are above it."""
    many = 10**5
    parameters = tuple(
        Parameter(f"model.layers.{i}.attention.projection.weight", (4, 8), 32 * i, 32, 0) for i in range(many)
    )
    unproved = tuple(
        Unproved(f"model.layers.{i}.norm.mean", "buffer", (4, 8), "float32", bytes(32)) for i in range(many)
    )
    whole = header(
        parameters=parameters,
        unproved=unproved,
        blocks=tuple(Block(0, 32 * i, 32) for i in range(many)),
        size=32 * many,
        groups=header().groups[:1],
        prover=replace(header().prover, block=32),
    )
    assert parse(to_bytes(whole), None) == whole


BOTH = (key_text("a", bytes(32)), MlDsa44Signer("a", bytes(32)).public_key.encode())
UNKNOWN = "another+01020304+BAAA"


@pytest.mark.parametrize("form", records.FORMATS)
@pytest.mark.parametrize(
    "keys",
    [
        (key_text("a", bytes(32)), key_text("a", bytes(32))),
        (key_text("a", bytes(32)), key_text("b", bytes(32))),
        (BOTH[1], BOTH[1]),
    ],
)
def test_one_key_is_named_once(keys: tuple[str, ...], form: str) -> None:
    with pytest.raises(VerificationError, match="names the same key twice"):
        parse(to_bytes(of_format(form, keys=keys)), None)


def test_an_ml_dsa_key_is_named_once_under_whatever_name() -> None:
    twice = tuple(MlDsa44Signer(name, bytes(32)).public_key.encode() for name in "ab")
    with pytest.raises(VerificationError, match=r"names the same key twice .*found b\+[0-9a-f]{8} \(ML-DSA-44\)"):
        parse(to_bytes(header(keys=twice)), None)


def test_keys_of_two_algorithms_are_two_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in records.FORMATS:
        of_both = of_format(form, keys=BOTH)
        assert parse(to_bytes(of_both), None) == of_both
    # A key ID has 32 bits, so two keys of one name and ID can be found; a note can't tell them
    # apart.
    monkeypatch.setattr(PublicKey, "key_id", bytes(4))
    same = tuple(key_text("a", bytes(31) + bytes([byte])) for byte in (1, 2))
    with pytest.raises(VerificationError, match="names the same key twice"):
        parse(to_bytes(header(keys=same)), None)


def test_an_unknown_algorithm_is_named_by_v0_alone() -> None:
    keys = (key_text("a", bytes(32)), key_text("a", bytes(31) + b"x"), UNKNOWN)
    old = header(keys=keys, format=records.V0)
    assert parse(to_bytes(old), None) == old
    with pytest.raises(VerificationError, match=r"names an invalid key: .*unsupported signature type"):
        parse(to_bytes(header(keys=keys)), None)
    with pytest.raises(VerificationError, match="names the same key twice"):
        parse(to_bytes(header(keys=(*keys, UNKNOWN), format=records.V0)), None)


@pytest.mark.parametrize("text", ["", "key", "a+b+c", BOTH[1] + " ", BOTH[1][:-4], BOTH[1] + "AAAA"])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse(to_bytes(header(keys=(KEY, text))), None)


@pytest.mark.parametrize("form", ["zk-autograd/run/v4", "zk-autograd/run/v03", "zk-autograd/run/V1", ""])
def test_another_format_is_refused(form: str) -> None:
    with pytest.raises(VerificationError, match=r"record\.format"):
        parse(to_bytes(header(format=form)), None)


def test_the_format_is_in_the_headers_digest() -> None:
    leaves = {header_digest(to_bytes(of_format(form))) for form in records.FORMATS}
    assert len(leaves) == len(records.FORMATS) == 4
    assert header().format == records.FORMAT == "zk-autograd/run/v2"
    assert of_format(ENCLAVE_FORMAT).format == "zk-autograd/run/v3"


def header(rule: Rule = Rule.ADAM, **changes: Any) -> Header:
    group = Group(tuple((n, HYPER[n]) for n in hyper_names(rule)), 30 if rule.value.startswith("sgd") else 0)
    whole = Header(
        run=bytes(range(16)),
        package="0.1.0",
        rule=rule,
        grad_scale=-3,
        schedule="recorded",
        groups=(group, group),
        parameters=(Parameter("a", (2, 3), 0, 6, 0), Parameter("b", (), 6, 1, 1)),
        unproved=(Unproved("mean", "buffer", (3,), "float32", bytes(32)),),
        size=7,
        blocks=(Block(0, 0, 4), Block(0, 4, 2), Block(1, 6, 1)),
        data=Data(b"", 10, "shuffled", 2, bytes(32)),
        model_code=b"",
        prover=Prover("none", "1", 4, 5),
        keys=(KEY,),
    )
    return replace(whole, **changes)


def of_format(form: str, **changes: Any) -> Header:
    """A header of this format, with what every header of it says."""
    return header(format=form, proving=INSIDE if form == ENCLAVE_FORMAT else "", **changes)


def states(of: Header, byte: int) -> dict[str, tuple[bytes, ...]]:
    return {name: (bytes([byte]) * 32,) * len(of.blocks) for name in of.states}


def segment(of: Header, index: int = 0, first: int = 1, last: int = 3) -> Segment:
    count = last - first + 1
    return Segment(
        index=index,
        first=first,
        last=last,
        state_in=states(of, 1),
        state_out=states(of, 2),
        gradients=(bytes(32),) * 3,
        batches=bytes(32),
        lr=(("0.001", "0.5"),) * count,
        proofs=(),
        loss=("0.5", "", "1e-3"),
        saturated=(0, 1, 2),
    )


def run() -> list[Record]:
    h = header()
    zero: dict[str, tuple[bytes, ...]] = {name: (bytes(32),) * 3 for name in ("M", "V")}
    close = Close(3, 1, states(h, 2), (("w", bytes(32)),), (("config.toml", bytes(32)),))
    return [h, Genesis(states(h, 1), zero), segment(h), close]


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rules_header_comes_back(rule: Rule) -> None:
    h = header(rule)
    assert parse(to_bytes(h), None) == h


@pytest.mark.parametrize("index", range(1, 4))
def test_every_record_comes_back(index: int) -> None:
    h, record = header(), run()[index]
    assert parse(to_bytes(record), h) == record


def test_an_ezkl_header_comes_back() -> None:
    h = header(prover=Prover("ezkl", "23.0.5", 4, 5, "adam-n4-t5", bytes(32), b"\1" * 32))
    assert parse(to_bytes(h), None) == h


def native(**changes: Any) -> Header:
    prover = Prover("native", "1", 2**13, 8, "native/adam-standard", b"\1" * 32)
    return header(prover=replace(prover, **changes))


def test_a_native_header_comes_back_and_names_no_srs() -> None:
    h = native()
    assert parse(to_bytes(h), None) == h
    assert b"srs" not in to_bytes(h)


def test_native_commitments_and_salts_have_their_own_lengths() -> None:
    h = native()
    state: StateCommitments = {name: (bytes([1]) * 56,) * 3 for name in h.states}
    genesis = Genesis(state, {name: (bytes(32),) * 3 for name in h.states[1:]})
    assert parse(to_bytes(genesis), h) == genesis
    for other in (
        replace(genesis, state=states(h, 1)),
        replace(genesis, zero_salts={n: state[n] for n in h.states[1:]}),
    ):
        with pytest.raises(VerificationError):
            parse(to_bytes(other), h)


def edited(record: Record, path: str, value: object) -> bytes:
    """The record's JSON with one field, named like `groups.0.lr`, exchanged (`...` takes it
    out)."""
    whole = json.loads(to_bytes(record))
    place: Any = whole
    *steps, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "zk-autograd/run/v1"),
        ("format", "zk-autograd/run/v3"),
        ("type", "footer"),
        ("run", "00" * 15),
        ("run", ...),
        ("rule", "lion"),
        ("grad_scale", 101),
        ("grad_scale", True),
        ("schedule", "cosine"),
        ("schedule", ""),
        ("schedule", "recorded,warm_up=1"),
        ("schedule", "cosine:steps=0,end=0"),
        ("schedule", "cosine:steps=1099511627777,end=0"),
        ("schedule", "step:every=1,factor=1"),
        ("schedule", "step:every=1,factor=0.12345678901"),
        ("schedule", {"cosine": {"steps": 1}}),
        ("schedule", "linear:steps=1,end=0." + "0" * 10**5),
        ("size", 0),
        ("size", 8),
        ("size", 10**12),
        ("more", 1),
        ("groups.0.lr", "-1"),
        ("groups.0.lr", "NaN"),
        ("groups.0.lr", "1e999999999"),
        ("groups.0.lr", 0.001),
        ("groups.0.beta1", "1"),
        ("groups.0.s", 30),
        ("groups.0.momentum", "0.9"),
        ("groups", []),
        ("parameters.0.size", 5),
        ("parameters.0.offset", 1),
        ("parameters.0.shape", [2, 4]),
        ("parameters.0.shape", [2**40, 2**40]),
        ("parameters.0.group", 1),
        ("parameters.1.group", 2),
        ("parameters.1.name", "a"),
        ("parameters.1.name", "mean"),
        ("parameters.1.name", "\u0000"),
        ("unproved.0.kind", "trained"),
        ("unproved.0.sha256", "00"),
        ("blocks", [[0, 0, 4], [0, 4, 2]]),
        ("blocks", [[0, 0, 4], [0, 4, 3]]),
        ("blocks", [[0, 0, 4], [0, 4, 2], [0, 6, 1]]),
        ("blocks", [[0, 0, 4], [0, 4, 2], [1, 5, 1]]),
        ("blocks", [[0, 0, 4], [0, 4, 2], [2, 6, 1]]),
        ("blocks", [[0, 0, 4], [0, 4, 2], [1, 6, 1], [1, 7, 0]]),
        ("blocks", [[0, 0, 5], [0, 5, 1], [1, 6, 1]]),
        ("blocks", [[0, 0, 4], [0, 3, 2], [1, 6, 1]]),
        ("blocks", [[1, 0, 4], [0, 4, 2], [1, 6, 1]]),
        ("data.count", -1),
        ("data.root", "0" * 63),
        ("data.extra", 1),
        ("prover.backend", "snark"),
        ("prover.circuit", "adam"),
        ("prover.steps", 2**17),
        ("prover.block", 0),
        ("keys", []),
        ("keys", ["k"] * 9),
        ("chosen_by.initial_weights", "auditor"),
        ("chosen_by.data_order", ...),
        ("chosen_by.seed", "trainer"),
        ("register", ...),
        ("register", 0),
        ("register", "x" * 201),
        ("beacon", ...),
        ("beacon", []),
        ("beacon", ""),
    ],
)
def test_a_header_that_no_writer_writes_is_refused(path: str, value: object) -> None:
    with pytest.raises(VerificationError):
        parse(edited(header(), path, value), None)


# ---- register and beacon -------------------------------------------------------------------------

REGISTER = origin_of([PublicKey.parse(KEY)])
TERMS = (("chain_id", "1"), ("kind", "evm"))
BEGUN: dict[str, Any] = {"register": REGISTER, "weights_by": BEACON, "beacon": TERMS}
GENESIS_SALTS = (b"\1" * 32, b"\2" * 32, b"\3" * 32)


def begun_genesis(of: Header) -> Genesis:
    zero: StateCommitments = {name: (bytes(32),) * 3 for name in ("M", "V")}
    return Genesis(states(of, 1), zero, b"\5" * 32, GENESIS_SALTS)


@pytest.mark.parametrize("order", [TRAINER, BEACON])
def test_a_header_with_a_register_and_a_beacon_comes_back(order: str) -> None:
    of_both = header(register=origin_of([PublicKey.parse(BOTH[0])]), keys=BOTH)
    for whole in (header(register=REGISTER), header(**BEGUN, order_by=order), of_both):
        assert parse(to_bytes(whole), None) == whole


def test_a_genesis_from_a_beacon_comes_back() -> None:
    h = header(**BEGUN)
    genesis = begun_genesis(h)
    assert parse(to_bytes(genesis), h) == genesis


@pytest.mark.parametrize("form", [records.V0, records.V1])
@pytest.mark.parametrize(("name", "value"), [("register", ""), ("beacon", {})])
def test_an_older_header_has_no_member_of_a_newer_one(form: str, name: str, value: object) -> None:
    old = header(format=form)
    assert parse(to_bytes(old), None) == old
    with pytest.raises(VerificationError, match=f"unknown fields .*{name}"):
        parse(edited(old, name, value), None)
    for path in ("chosen_by.initial_weights", "chosen_by.data_order"):
        with pytest.raises(VerificationError, match=f"record.{path}"):
            parse(edited(old, path, BEACON), None)


OTHER = key_text("key", bytes(31) + b"x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"register": origin_of([PublicKey.parse(OTHER)])}, "another trainer's register"),
        ({"register": REGISTER.upper()}, "another trainer's register"),
        ({"register": REGISTER + " "}, "another trainer's register"),
        ({"register": "zk-autograd/register/"}, "another trainer's register"),
        ({"register": REGISTER, "keys": (KEY, OTHER)}, "have no register: .* here are 2"),
        ({"register": REGISTER, "keys": BOTH[1:]}, "have no register: .* here are 0"),
        ({**BEGUN, "register": ""}, "must be in a register"),
        ({**BEGUN, "beacon": ()}, "exactly where it decides something"),
        ({"register": REGISTER, "beacon": TERMS}, "exactly where it decides something"),
        ({"beacon": TERMS}, "exactly where it decides something"),
        ({**BEGUN, "weights_by": TRAINER, "order_by": BEACON}, "only then the order of its data"),
        ({**BEGUN, "beacon": (("chain_id", "1"),)}, "what kind of anchor"),
        ({**BEGUN, "beacon": (*TERMS, ("Kind", "evm"))}, "no plain name"),
        ({**BEGUN, "beacon": (*TERMS, ("x" * 41, "1"))}, "no plain name"),
        ({**BEGUN, "beacon": (*TERMS, ("", "1"))}, "no plain name"),
        ({**BEGUN, "beacon": (*TERMS, ("a\n", "1"))}, "no plain name"),
        ({**BEGUN, "beacon": (("kind", ""),)}, "record.beacon.kind"),
        ({**BEGUN, "beacon": (("kind", "x" * 201),)}, "record.beacon.kind"),
        ({**BEGUN, "beacon": (("kind", "\x1b[2J"),)}, "record.beacon.kind"),
        ({**BEGUN, "beacon": (*TERMS, *((f"a{i}", "1") for i in range(15)))}, "too many terms"),
    ],
)
def test_a_beginning_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        parse(to_bytes(header(**changes)), None)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("beacon", ...),
        ("beacon", ""),
        ("beacon", "05" * 31),
        ("weight_salts", ...),
        ("weight_salts", []),
        ("weight_salts", ["01" * 32] * 2),
        ("weight_salts", ["01" * 32] * 4),
        ("weight_salts", ["01" * 31] * 3),
        ("weight_salts", {"W": ["01" * 32] * 3}),
        ("zero_salts.W", ["01" * 32] * 3),
        ("order_seed", 1),
    ],
)
def test_a_genesis_from_a_beacon_has_beacon_and_salts(path: str, value: object) -> None:
    h = header(**BEGUN)
    with pytest.raises(VerificationError):
        parse(edited(begun_genesis(h), path, value), h)


def test_a_genesis_of_the_trainers_has_neither_beacon_nor_salts() -> None:
    for h in (header(register=REGISTER), header(format=records.V1), header(format=records.V0)):
        with pytest.raises(VerificationError, match=r"unknown fields .*'beacon', 'weight_salts'"):
            parse(to_bytes(begun_genesis(h)), h)


# ---- enclaves ------------------------------------------------------------------------------------

ATTESTED = b"\7" * 32


def enclave_genesis(of: Header) -> Genesis:
    zero: StateCommitments = {name: (bytes(32),) * 3 for name in ("M", "V")}
    return Genesis(states(of, 1), zero, attestation=ATTESTED)


@pytest.mark.parametrize("proving", [INSIDE, OUTSIDE])
def test_a_run_of_an_enclave_says_where_it_is_proved_and_names_its_attestation(proving: str) -> None:
    h = header(format=ENCLAVE_FORMAT, proving=proving)
    assert parse(to_bytes(h), None) == h
    assert parse(to_bytes(enclave_genesis(h)), h) == enclave_genesis(h)
    by_beacon = replace(h, **BEGUN)
    both = replace(begun_genesis(by_beacon), attestation=ATTESTED)
    assert parse(to_bytes(by_beacon), None) == by_beacon
    assert parse(to_bytes(both), by_beacon) == both


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("enclave", ...),
        ("enclave", {}),
        ("enclave", ""),
        ("enclave", "inside"),
        ("enclave.proving", ...),
        ("enclave.proving", ""),
        ("enclave.proving", "Inside"),
        ("enclave.proving", "elsewhere"),
        ("enclave.proving", True),
        ("enclave.kind", "nitro"),
        ("register", ...),
        ("beacon", ...),
        ("format", "zk-autograd/run/v2"),
        ("format", "zk-autograd/run/v1"),
        ("format", "zk-autograd/run/v0"),
    ],
)
def test_a_header_of_an_enclave_that_no_writer_writes_is_refused(path: str, value: object) -> None:
    with pytest.raises(VerificationError, match="record"):
        parse(edited(of_format(ENCLAVE_FORMAT), path, value), None)


@pytest.mark.parametrize("form", [records.V0, records.V1, records.FORMAT])
def test_a_run_of_no_enclave_says_nothing_of_one(form: str) -> None:
    h = header(format=form)
    with pytest.raises(VerificationError, match=r"unknown fields .*'enclave'"):
        parse(edited(h, "enclave", {"proving": INSIDE}), None)
    with pytest.raises(VerificationError, match=r"unknown fields .*'attestation'"):
        parse(to_bytes(enclave_genesis(h)), h)


@pytest.mark.parametrize("value", [..., "", "07" * 31, "07" * 33, "0" * 63, "GG" * 32, 7, {}, ["07" * 32]])
def test_a_genesis_of_an_enclave_names_one_attestation(value: object) -> None:
    h = of_format(ENCLAVE_FORMAT)
    with pytest.raises(VerificationError, match=r"record\.attestation"):
        parse(edited(enclave_genesis(h), "attestation", value), h)


@pytest.mark.parametrize(("form", "proving"), [(ENCLAVE_FORMAT, ""), (records.FORMAT, INSIDE), (records.V1, OUTSIDE)])
def test_a_header_is_an_enclaves_exactly_if_its_format_is(form: str, proving: str) -> None:
    """Whoever makes a header, as whoever reads one."""
    with pytest.raises(VerificationError, match="exactly if its format is"):
        check_beginning(header(format=form, proving=proving))


# ---- provers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prover", "path", "value"),
    [
        ("native", "prover.srs_digest", "00" * 32),
        ("native", "prover.srs_digest", ""),
        ("native", "prover.circuit", ...),
        ("native", "prover.circuit_digest", ...),
        ("native", "prover.circuit_digest", ""),
        ("native", "prover.circuit_digest", "00" * 31),
        ("ezkl", "prover.srs_digest", ...),
        ("ezkl", "prover.srs_digest", ""),
        ("ezkl", "prover.circuit_digest", ...),
    ],
)
def test_a_prover_without_its_digests_or_with_anothers_is_refused(prover: str, path: str, value: object) -> None:
    h = native() if prover == "native" else native(backend="ezkl", srs_digest=bytes(32))
    assert parse(to_bytes(h), None) == h
    with pytest.raises(VerificationError):
        parse(edited(h, path, value), None)


@pytest.mark.parametrize(
    ("index", "path", "value"),
    [
        (1, "state.W", []),
        (1, "state.B", ["00" * 32] * 3),
        (1, "state.W.0", "00" * 31),
        (1, "zero_salts.W", ["00" * 32] * 3),
        (1, "zero_salts.M.0", "00" * 33),
        (2, "index", -1),
        (2, "index", 10**13),
        (2, "first", 0),
        (2, "last", 0),
        (2, "last", 6),
        (2, "last", 10**12),
        (2, "gradients", ["00" * 32] * 2),
        (2, "batches", "00"),
        (2, "lr", []),
        (2, "lr", [["0.1", "0.1"]] * 2),
        (2, "lr.0", ["0.1"]),
        (2, "lr.0.0", 1),
        (2, "proofs", ["00" * 32] * 3),
        (2, "claimed.loss", [""] * 4),
        (2, "claimed.saturated.0", -1),
        (2, "claimed.accuracy", "1"),
        (2, "claimed", ...),
        (3, "last_step", 2**41),
        (3, "segments", -1),
        (3, "model.w", "00"),
        (3, "artefacts", {str(i): "00" * 32 for i in range(101)}),
        (3, "artefacts", []),
        (3, "state.V", ["00" * 32] * 4),
        (3, "signature", ""),
    ],
)
def test_another_record_that_no_writer_writes_is_refused(index: int, path: str, value: object) -> None:
    with pytest.raises(VerificationError):
        parse(edited(run()[index], path, value), header())


@pytest.mark.parametrize(
    "schedule", ["constant,warm_up=3", "step:every=30,factor=0.1", "cosine:steps=9,end=0,warm_up=2"]
)
def test_a_declared_schedule_comes_back_and_is_every_groups(schedule: str) -> None:
    h = header(schedule=schedule)
    assert parse(to_bytes(h), None) == h
    assert h.declared is not None
    assert h.declared.text == schedule
    assert [h.sequence(g).schedule for g in range(2)] == [h.declared] * 2
    assert h.sequence(0).at(2) == header(schedule="recorded").sequence(0).at(2, h.declared.rate(Fraction(1, 1000), 2))


@pytest.mark.parametrize(
    "schedule", ["cosine:end=0,steps=9", "cosine:steps=9", "linear:steps=9,end=0.0", "step:every=1,factor=5e-1"]
)
def test_a_schedule_has_one_text_in_a_header(schedule: str) -> None:
    with pytest.raises(VerificationError, match="the schedule is not in its canonical form"):
        parse(to_bytes(header(schedule=schedule)), None)


@pytest.mark.parametrize("schedule", ["constant", "constant,warm_up=3", "linear:steps=9,end=0"])
def test_a_declared_schedule_has_no_rates(schedule: str) -> None:
    h = header(schedule=schedule)
    with pytest.raises(VerificationError, match="lr"):
        parse(to_bytes(segment(h)), h)
    kept = replace(segment(h), lr=())
    assert parse(to_bytes(kept), h) == kept


def test_a_run_with_proofs_names_one_for_each_block() -> None:
    h = header(prover=Prover("ezkl", "23.0.5", 4, 5, "adam-n4-t5", bytes(32), bytes(32)))
    wide: dict[str, tuple[bytes, ...]] = {name: (bytes(64),) * 3 for name in h.states}
    kept = replace(segment(h), state_in=wide, state_out=wide, gradients=(bytes(64),) * 3, proofs=(bytes(32),) * 3)
    assert parse(to_bytes(kept), h) == kept
    with pytest.raises(VerificationError, match="proofs"):
        parse(to_bytes(replace(kept, proofs=(bytes(32),) * 2)), h)


def test_a_log_has_its_records_in_their_places() -> None:
    leaves = [to_bytes(r) for r in run()]
    log = parse_log(leaves)
    assert (log.header, log.genesis, *log.segments, log.close) == tuple(run())
    assert log.header_digest == header_digest(leaves[0])
    assert parse_log(leaves[:1]).genesis is None
    for wrong, record in (
        ([], None),
        (leaves[1:], 0),
        ([leaves[0], leaves[0]], 1),
        ([leaves[0], leaves[2]], 1),
        ([*leaves[:2], leaves[1]], 2),
        ([*leaves, leaves[2]], 4),
        ([*leaves, leaves[3]], 4),
    ):
        with pytest.raises(VerificationError) as raised:
            parse_log(wrong)
        assert raised.value.record == record


def test_many_groups_and_blocks_are_read_in_linear_time() -> None:
    group = Group(tuple((n, HYPER[n]) for n in hyper_names(Rule.ADAM)), 0)
    count = 100_000
    h = header(
        groups=(group,) * 1000,
        parameters=(Parameter("a", (count,), 0, count, 999),),
        blocks=tuple(Block(999, i, 1) for i in range(count)),
        size=count,
    )
    records.check_layout(h)


def test_the_digest_binds_every_byte_of_the_header() -> None:
    leaf = to_bytes(header())
    assert header_digest(leaf) != header_digest(leaf + b" ")
    assert header_digest(leaf) != header_digest(to_bytes(header(run=bytes(16))))


def test_tensors_stand_in_the_order_of_their_groups() -> None:
    swapped = header(
        parameters=(Parameter("a", (), 0, 1, 1), Parameter("b", (2, 3), 1, 6, 0)),
        blocks=(Block(0, 0, 4), Block(0, 4, 2), Block(1, 6, 1)),
    )
    with pytest.raises(VerificationError, match="not ordered by group"):
        parse(to_bytes(swapped), None)


def test_tensors_that_do_not_add_up_are_named() -> None:
    with pytest.raises(VerificationError, match="tensors don't add up"):
        parse(edited(header(), "size", 8), None)


def test_a_header_stands_first_and_nowhere_else() -> None:
    leaves = [to_bytes(r) for r in run()]
    for leaf, of in ((leaves[1], None), (leaves[0], header())):
        with pytest.raises(VerificationError, match="the first record must be the header, and no other may be"):
            parse(leaf, of)


def test_a_segment_is_no_longer_than_the_circuit() -> None:
    h = header(schedule="constant")
    longest = replace(segment(h), last=h.prover.steps, lr=(), loss=("",) * 5, saturated=(0,) * 5)
    assert parse(to_bytes(longest), h) == longest
    with pytest.raises(VerificationError, match="last"):
        parse(to_bytes(replace(longest, last=h.prover.steps + 1)), h)


def test_one_key_in_a_second_spelling_is_refused() -> None:
    """It would count as a key that the auditor didn't pin."""
    raw = bytes(range(1, 33))
    good = key_text("trainer", raw)
    name, _, base64 = good.split("+", 2)
    parse(to_bytes(header(keys=(good,))), None)
    for other in (
        f"{name}+00000000+{base64}",
        f"{good} ",
        f"{name}+{' '.join(base64)}",
        f"{good}=",
        f"{name}+{base64}",
        good[:-4],
    ):
        with pytest.raises(VerificationError, match="an invalid key"):
            parse(to_bytes(header(keys=(good, other))), None)
        with pytest.raises(VerificationError, match="an invalid key"):
            parse(to_bytes(header(keys=(good, other), format=records.V0)), None)
    others = (good, "other+01020304+Bgaaaa", "key+01020304+AAAA")
    parse(to_bytes(header(keys=others, format=records.V0)), None)

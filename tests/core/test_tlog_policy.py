"""C2SP tlog-policy: which texts are one, and which cosignatures are a quorum."""

import base64
from hashlib import sha256, shake_256
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_autograd.core.errors import VerificationError
from zk_autograd.core.keys import Ed25519Signer
from zk_autograd.core.tlog_policy import MAX_BYTES, MAX_LINES, TlogPolicy, parse


def raw(seed: int) -> bytes:
    return Ed25519Signer("x", seed.to_bytes(32, "big")).public_key.raw


def ml_dsa(seed: int) -> bytes:
    """1312 bytes that look like an honest key's."""
    return shake_256(seed.to_bytes(32, "big")).digest(1312)


def vkey(name: bytes | str, kind: int, key: bytes, key_id: str = "") -> bytes:
    """The vkey text, with the ID that is right unless another is given."""
    whose = name.encode() if isinstance(name, str) else name
    material = bytes([kind]) + key
    own = key_id or sha256(whose + b"\n" + material).digest()[:4].hex()
    return b"+".join((whose, own.encode(), base64.b64encode(material)))


def log(seed: int) -> bytes:
    return b"log " + vkey(f"log.example/{seed}", 1, raw(seed)) + b"\n"


def witness(name: bytes, seed: int, kind: int = 4) -> bytes:
    key = raw(seed) if kind == 4 else ml_dsa(seed)
    return b"witness " + name + b" " + vkey(f"witness.example/{seed}", kind, key) + b"\n"


THREE = b"".join(witness(b"X%d" % i, i) for i in (1, 2, 3))
EXAMPLE = (
    log(100)
    + b"\n"
    + THREE
    + b"group X-witnesses 2 X1 X2 X3\n\n"
    + b"".join(witness(b"Y%d" % i, 10 + i) for i in (1, 2, 3))
    + b"group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)
"""The specification's example, with keys in it."""


def test_the_example_of_the_specification() -> None:
    policy = parse(EXAMPLE)
    assert [log.key.name for log in policy.logs] == ["log.example/100"]
    names = [b"X1", b"X2", b"X3", b"Y1", b"Y2", b"Y3"]
    for chosen in product((False, True), repeat=6):
        cosigned = {name for name, taken in zip(names, chosen, strict=True) if taken}
        expected = sum(chosen[:3]) >= 2 and sum(chosen[3:]) >= 1
        assert policy.quorum(cosigned) is expected


def test_a_single_witness_is_a_quorum() -> None:
    policy = parse(THREE + b"quorum X2\n")
    assert policy.quorum([b"X2"])
    assert policy.quorum([b"X1", b"X2"])
    assert not policy.quorum([b"X1", b"X3"])
    assert not policy.quorum([])


def test_none_asks_for_no_cosignature() -> None:
    assert parse(b"quorum none\n") == TlogPolicy((), {}, {}, b"none")
    assert parse(THREE + b"quorum none\n").quorum([])


def test_only_witnesses_cosign() -> None:
    """A group's name among the cosigners must not make the group witnessed."""
    policy = parse(EXAMPLE)
    assert not policy.quorum([b"X-witnesses", b"Y-witnesses", b"X-and-Y", b"quorum", b"none", b"stranger"])


def test_white_space_and_comments() -> None:
    spread = (
        b" # a comment\n\t\n#quorum X1\n" + THREE.replace(b" ", b" \t ") + b"\t group\tg  any\tX1 X3 \t\n quorum g \n"
    )
    assert parse(spread).quorum([b"X3"])


def test_after_the_quorum_line_others_may_follow() -> None:
    assert parse(b"quorum none\n" + log(1) + THREE).logs


def test_urls_are_kept_and_have_no_meaning() -> None:
    with_url = log(1)[:-1] + b" https://log.example/\n" + witness(b"w", 2)[:-1] + b" https://w.example/\xe2\x84\xaa\n"
    policy = parse(with_url + log(3) + witness(b"v", 4) + b"quorum w\n")
    assert policy.quorum([b"w"])
    assert [log.url for log in policy.logs] == [b"https://log.example/", b""]
    assert {name: one.url for name, one in policy.witnesses.items()} == {
        b"w": b"https://w.example/\xe2\x84\xaa",
        b"v": b"",
    }


def test_octets_are_opaque() -> None:
    """ "K" and the Kelvin sign are two names, and so are the two forms of an umlaut; octets that
    are no UTF-8 name a witness, too."""
    names = [
        b"K",
        "\u212a".encode(),
        "\u00e4".encode(),
        "a\u0308".encode(),
        b"\xff\xfe",
        b"\xa0",
        b"\x85",
        b"\xe2\x80\xa8",
    ]
    lines = b"".join(witness(name, 20 + i) for i, name in enumerate(names))
    policy = parse(lines + b"group all-of-them all " + b" ".join(names) + b"\nquorum all-of-them\n")
    assert list(policy.witnesses) == names
    assert policy.quorum(names)
    for missing in names:
        assert not policy.quorum(set(names) - {missing})


@pytest.mark.parametrize("kind", [4, 6])
def test_witnesses_have_cosignature_keys(kind: int) -> None:
    assert parse(witness(b"w", 3, kind) + b"quorum w\n").witnesses[b"w"].key.scheme == kind


def test_logs_may_have_ml_dsa_keys() -> None:
    assert parse(b"log " + vkey("log", 6, ml_dsa(1)) + b"\nquorum none\n").logs[0].key.algorithm == 6


W1, W2 = witness(b"a", 1), witness(b"b", 2)
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no quorum line"),
    "no quorum": (W1, "no quorum line"),
    "two quorums": (b"quorum none\nquorum none\n", "second quorum line"),
    "quorum before its witness": (b"quorum a\n" + W1, "not the name of a witness"),
    "quorum of a log": (log(1) + b"quorum log.example/1\n", "not the name of a witness"),
    "quorum of two": (W1 + W2 + b"quorum a b\n", "items"),
    "quorum of nothing": (b"quorum\n", "items"),
    "group before its member": (b"group g any a\n" + W1 + b"quorum g\n", "not the name of a witness"),
    "group of itself": (W1 + b"group g any a g\nquorum g\n", "not the name of a witness"),
    "group of none": (W1 + b"group g any none\nquorum g\n", "not the name of a witness"),
    "group without members": (W1 + b"group g all\nquorum none\n", "items"),
    "k of 0": (W1 + b"group g 0 a\nquorum g\n", "threshold"),
    "k above n": (W1 + W2 + b"group g 3 a b\nquorum g\n", "threshold"),
    "k negative": (W1 + b"group g -1 a\nquorum g\n", "threshold"),
    "k in hexadecimal": (W1 + b"group g 0x1 a\nquorum g\n", "threshold"),
    "k with a zero": (W1 + b"group g 01 a\nquorum g\n", "threshold"),
    "k with a plus": (W1 + b"group g +1 a\nquorum g\n", "threshold"),
    "k of many digits": (W1 + b"group g " + b"9" * 5_000 + b" a\nquorum g\n", "threshold"),
    "k of another script": (W1 + b"group g \xd9\xa1 a\nquorum g\n", "threshold"),
    "ALL": (W1 + b"group g ALL a\nquorum g\n", "threshold"),
    "a member twice in a group": (W1 + b"group g any a a\nquorum g\n", "member twice"),
    "a member of two groups": (W1 + W2 + b"group g any a\ngroup h any a b\nquorum h\n", "member twice"),
    "a group in two groups": (W1 + b"group g any a\ngroup h any g\ngroup i any g\nquorum i\n", "member twice"),
    "a name of two witnesses": (W1 + witness(b"a", 2) + b"quorum a\n", "defined twice"),
    "a group named as a witness": (W1 + W2 + b"group a any b\nquorum a\n", "defined twice"),
    "a witness named as a group": (W1 + b"group g any a\n" + witness(b"g", 2) + b"quorum g\n", "defined twice"),
    "a witness named none": (witness(b"none", 1) + b"quorum none\n", "name none"),
    "a group named none": (W1 + b"group none any a\nquorum none\n", "name none"),
    "one log twice": (log(1) + log(1) + b"quorum none\n", "given twice"),
    "one log under two names": (log(1) + b"log " + vkey("other", 1, raw(1)) + b"\nquorum none\n", "given twice"),
    "one witness under two names": (W1 + witness(b"b", 1) + b"quorum b\n", "given twice"),
    "one witness of two key names": (
        W1 + b"witness b " + vkey("other", 4, raw(1)) + b"\nquorum b\n", "given twice"),
    "a log's key for a witness": (b"witness a " + vkey("w", 1, raw(1)) + b"\nquorum a\n", "signature type"),
    "a witness's key for a log": (b"log " + vkey("l", 4, raw(1)) + b"\nquorum none\n", "signature type"),
    "an unknown type": (b"witness a " + vkey("w", 5, raw(1)) + b"\nquorum a\n", "signature type"),
    "no key": (b"witness a w+00000000+\nquorum a\n", "signature type"),
    "a wrong ID": (b"witness a " + vkey("w", 4, raw(1), "00000000") + b"\nquorum a\n", "not the hash"),
    "an ID in capitals": (
        b"witness a " + vkey("w", 4, raw(1), sha256(b"w\n\x04" + raw(1)).hexdigest()[:8].upper()) + b"\nquorum a\n",
        "not the hash"),
    "an ID that is no ASCII": (b"witness a w+\xff\xff\xff\xff+" + base64.b64encode(b"\4" + raw(1)) + b"\nquorum a\n", "ID"),
    "a short key": (b"witness a " + vkey("w", 4, raw(1)[:-1]) + b"\nquorum a\n", "length"),
    "a short ML-DSA key": (b"witness a " + vkey("w", 6, raw(1)) + b"\nquorum a\n", "length"),
    "a key of small order": (b"witness a " + vkey("w", 4, bytes(32)) + b"\nquorum a\n", "small order"),
    "an ML-DSA key that anybody signs for": (
        b"witness a " + vkey("w", 6, bytes(1312)) + b"\nquorum a\n", "so regular"),
    "such a key of a log": (b"log " + vkey("l", 6, bytes(1312)) + b"\nquorum none\n", "so regular"),
    "base64 with loose bits": (W1[:-2].replace(b"=", b"") + b"!\nquorum a\n", "base64"),
    "a key in two parts": (b"witness a w+00000000\nquorum a\n", "name\\+ID\\+base64"),
    "a key name that is no UTF-8": (b"witness a " + vkey(b"\xff", 4, raw(1)) + b"\nquorum a\n", "UTF-8"),
    "a key name with a space of Unicode": (
        b"witness a " + vkey("w\u2003w", 4, raw(1)) + b"\nquorum a\n", "white space"),
    "an empty key name": (b"witness a " + vkey("", 4, raw(1)) + b"\nquorum a\n", "empty"),
    "a witness without a key": (b"witness a\nquorum a\n", "items"),
    "a log with too much": (log(1)[:-1] + b" u v\nquorum none\n", "items"),
    "a witness with too much": (W1[:-1] + b" u v\nquorum a\n", "items"),
    "another word": (b"origin x\nquorum none\n", "no known word"),
    "a word in capitals": (b"QUORUM none\n", "no known word"),
    "a comment behind": (b"quorum none # all\n", "items"),
    "no newline at the end": (b"quorum none", "newline"),
    "carriage returns": (b"quorum none\r\n", "control character 0x0d"),
    "a NUL": (b"# \0\nquorum none\n", "control character 0x00"),
    "a form feed": (b"quorum\x0cnone\n", "control character 0x0c"),
    "DEL": (b"# \x7f\nquorum none\n", "control character 0x7f"),
    "too long": (b"#" * MAX_BYTES + b"\n", "too long"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_texts_are_refused(name: str) -> None:
    data, message = REFUSED[name]
    with pytest.raises(VerificationError, match=message):
        parse(data)


def test_the_line_is_named() -> None:
    with pytest.raises(VerificationError, match=r"^line 3: "):
        parse(b"# one\n\nquorum nobody\n")


@pytest.mark.parametrize("count", [32, MAX_LINES])
def test_there_is_room_for_logs_witnesses_and_groups(count: int) -> None:
    """32 of each, as the specification recommends, and as many as this one takes; not one more."""
    logs = b"".join(log(1_000 + i) for i in range(count))
    witnesses = b"".join(witness(b"w%d" % i, i) for i in range(count))
    chain = b"".join(b"group g%d all w%d%s\n" % (i, i, b" g%d" % (i - 1) if i else b"") for i in range(count))
    policy = parse(logs + witnesses + chain + b"quorum g%d\n" % (count - 1))
    everybody = [b"w%d" % i for i in range(count)]
    assert policy.quorum(everybody)
    assert not policy.quorum(everybody[1:])
    if count == MAX_LINES:
        more = {
            "logs": log(5_000),
            "witnesses": witness(b"more", 5_000),
            "groups": b"group more any g%d\n" % (count - 1),
        }
        for what, line in more.items():
            with pytest.raises(VerificationError, match=f"too many {what}"):
                parse(logs + witnesses + chain + line + b"quorum none\n")


POLICIES = {
    "one": (b"quorum w0\n", True),
    "none": (b"quorum none\n", False),
    "all": (b"group g all w0 w1 w2\nquorum g\n", True),
    "any of one": (b"group g any w0\nquorum g\n", True),
    "any of two": (b"group g any w0 w1\nquorum g\n", False),
    "2 of 3": (b"group g 2 w0 w1 w2\nquorum g\n", True),
    "2 of 4": (b"group g 2 w0 w1 w2 w3\nquorum g\n", False),
    "3 of 4": (b"group g 3 w0 w1 w2 w3\nquorum g\n", True),
    "one of each half": (b"group g any w0 w1\ngroup h any w2 w3\ngroup q all g h\nquorum q\n", False),
    "a half and one": (b"group g any w0 w1\ngroup q all g w2\nquorum q\n", True),
    "2 of 3, one of which is a half": (b"group g any w0 w1\ngroup q 2 g w2 w3\nquorum q\n", False),
}
"""Each with whether any two of its quorums have a witness in common."""


@pytest.mark.parametrize("name", POLICIES)
def test_whether_two_quorums_can_be_apart(name: str) -> None:
    text, expected = POLICIES[name]
    policy = parse(b"".join(witness(b"w%d" % i, 1 + i) for i in range(4)) + text)
    assert policy.excludes_two() is expected


@st.composite
def trees(draw: st.DrawFn) -> bytes:
    """A policy of at most six witnesses, in groups of groups."""
    loose = [b"w%d" % i for i in range(draw(st.integers(1, 6)))]
    text = b"".join(witness(name, 1 + i) for i, name in enumerate(loose))
    for number in range(draw(st.integers(0, 4))):
        members = draw(st.lists(st.sampled_from(loose), min_size=1, unique=True))
        k = draw(st.integers(1, len(members)))
        text += b"group g%d %d %s\n" % (number, k, b" ".join(members))
        loose = [name for name in loose if name not in members] + [b"g%d" % number]
    return text + b"quorum " + draw(st.sampled_from(loose)) + b"\n"


@given(trees())
def test_whether_two_quorums_can_be_apart_is_what_trying_all_of_them_gives(text: bytes) -> None:
    policy = parse(text)
    names = sorted(policy.witnesses)
    apart = False
    for chosen in product((False, True), repeat=len(names)):
        one = {name for name, taken in zip(names, chosen, strict=True) if taken}
        apart = apart or (policy.quorum(one) and policy.quorum(set(names) - one))
    assert policy.excludes_two() is not apart


@given(st.data())
def test_more_cosignatures_never_lose_a_quorum(data: st.DataObject) -> None:
    policy = parse(EXAMPLE)
    names = st.sets(st.sampled_from(sorted(policy.witnesses)))
    some, more = data.draw(names), data.draw(names)
    if policy.quorum(some):
        assert policy.quorum(some | more)


PIECES = st.sampled_from(
    [b"log", b"witness", b"group", b"quorum", b"none", b"any", b"all", b"a", b"b", b"2", b" ", b"\t", b"\n", b"#", b"\xff",
     b"\0", W1[len(b"witness a ") : -1], vkey("l", 1, raw(9))]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map(b" ".join) | st.binary(max_size=100))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    try:
        policy = parse(data)
    except VerificationError:
        return
    assert policy.quorum(policy.witnesses.keys())
    assert not policy.quorum([]) or policy.required == b"none"

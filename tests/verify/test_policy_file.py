"""Policy files: which texts are one, what they demand, and those of a stranger."""

import os
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_tlog_policy import EXAMPLE, THREE, log
from tests.verify.run_builder import KEY, SECOND, honest
from zk_autograd.core.bounded_toml import MAX_BYTES
from zk_autograd.core.errors import UsageError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.records import hyper_names
from zk_autograd.verify import demands
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_file import FORMAT, load, parse

HEAD = f'format = "{FORMAT}"\n'
VKEY, SECOND_VKEY = KEY.encode(), SECOND.public_key.encode()


def read(text: str) -> Policy:
    return parse((HEAD + text).encode(), "the policy")


def refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(text)
    assert str(caught.value).startswith("the policy")
    assert str(caught.value).isprintable()


WHOLE = f"""
keys = ["{VKEY}", "{SECOND_VKEY}"]
require = ["L0", "L1"]
accept_uncovered = ["model/extra.bin"]

[provers.native]
min_bits = 100

[provers.ezkl]
srs = ["{"ab" * 32}"]

[rules.adam]
lr = ["0.0001", "1e-1"]
beta1 = ["0.9", "0.9"]

[rules.sgd]

[run]
min_steps = 100
finished = true
model = true

[claims]
max_last_loss = "-0.5"
max_saturated_share = "0.01"

[sample]
proofs = 20
accept = true
beacon = true

[tlog_policy]
text = '''
# Asks for nothing.
quorum none
'''
"""


def test_every_field() -> None:
    policy = read(WHOLE)
    srs = bytes([0xAB]) * 32
    assert policy == Policy(
        keys=(KEY, SECOND.public_key),
        srs=frozenset({srs}),
        require=frozenset({Level.L0, Level.L1}),
        sample=20,
        allow_beacon=True,
        accept_sample=True,
        accept_uncovered=frozenset({"model/extra.bin"}),
        demands=(
            demands.SignedBy((KEY, SECOND.public_key)),
            demands.ProverAllowed(("native", "ezkl")),
            demands.ProvenBits("native", 100),
            demands.SrsListed("ezkl", frozenset({srs})),
            demands.RuleAllowed((Rule.SGD, Rule.ADAM)),
            demands.HyperInRange(Rule.ADAM, "lr", Fraction(1, 10_000), Fraction(1, 10)),
            demands.HyperInRange(Rule.ADAM, "beta1", Fraction(9, 10), Fraction(9, 10)),
            demands.LeastSteps(100),
            demands.Finished(),
            demands.ModelPublished(),
            demands.LastLoss(Fraction(-1, 2)),
            demands.SaturatedShare(Fraction(1, 100)),
        ),
        digest=sha256((HEAD + WHOLE).encode()).digest(),
    )


def test_what_is_not_mentioned_is_not_checked() -> None:
    policy = read("")
    assert policy == replace(Policy(), allow_beacon=False, digest=sha256(HEAD.encode()).digest())
    assert policy.demands == ()


def test_every_hyper_parameter_of_every_rule_has_a_field() -> None:
    for rule in Rule:
        for name in hyper_names(rule):
            found = read(f'[rules.{rule.value}]\n{name} = ["0", "2"]\n').demands[1]
            assert found == demands.HyperInRange(rule, name, Fraction(0), Fraction(2))


# ---- the form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["", 'format = "zk-autograd/policy/v2"\n', "format = 1\n", f'Format = "{FORMAT}"\n'])
def test_only_this_format_is_read(head: str) -> None:
    with pytest.raises(UsageError, match="format"):
        parse((head + f'keys = ["{VKEY}"]\n').encode(), "the policy")


LISTS = (
    "keys = []", "require = []", "accept_uncovered = []", "[provers.ezkl]\nsrs = []", "[rules.adam]\nlr = []",
    "[[run]]\nx = [[]]", "[sample]\nproofs = []",
)  # fmt: skip


@pytest.mark.parametrize("text", LISTS)
def test_an_empty_list_is_an_error(text: str) -> None:
    refused(text, "an empty list allows nothing; leave the field out, or name")


@pytest.mark.parametrize(
    "text", ["provers = {}", "[rules]", "[run]", "[claims]", "[sample]", "[tlog_policy]", "x = {}"]
)
def test_an_empty_table_is_an_error(text: str) -> None:
    refused(text, "an empty table allows nothing; leave it out, or name")


def test_a_prover_or_a_rule_without_fields_is_allowed_as_it_is() -> None:
    assert read("[provers.none]\n[rules.sgd]\n").demands == (
        demands.ProverAllowed(("none",)),
        demands.RuleAllowed((Rule.SGD,)),
    )


FLOATS = ("x = 0.5", "[rules.adam]\nlr = [0.1, 0.2]", "[claims]\nmax_last_loss = 0.5", "[sample]\nproofs = 2.0",
          "[run]\nmin_steps = 1e3", "x = nan", "x = [[1979-05-27]]", "[claims]\nmax_saturated_share = 07:32:00")  # fmt: skip


@pytest.mark.parametrize("text", FLOATS)
def test_a_float_or_a_date_is_an_error(text: str) -> None:
    refused(text, "is a float or a date, and a policy has none")


UNKNOWN = {
    "x = 1": "unknown fields",
    "key = ['a']": "unknown fields",
    "[native]\nmin_bits = 1": "unknown fields",
    "[provers.halo2]\nmin_bits = 1": "expected native, ezkl, none, found 'halo2'",
    "[provers.native]\nbits = 1": "unknown fields",
    "[provers.native]\nsrs = ['00']": "unknown fields",
    "[provers.none]\nsrs = ['00']": "unknown fields",
    "[rules.adagrad]\nlr = ['0', '1']": "expected sgd, sgd-momentum, sgd-nesterov, adam, adamw, lion, rmsprop, found 'adagrad'",
    "[rules.sgd]\nbeta1 = ['0', '1']": "unknown fields",
    "[rules.adam]\nweight_decay = ['0', '1']": "unknown fields",
    "[run]\nmax_steps = 1": "unknown fields",
    "[claims]\nmin_accuracy = '0.9'": "unknown fields",
    "[sample]\nproofs = 2\nseed = '00'": "unknown fields",
    "[tlog_policy]\ntext = 'quorum none\\n'\nx = 1": "unknown fields",
    "'a b' = 1": "unknown fields",
    '"\\u202e\\n" = 1': "unknown fields",
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_field_is_an_error(text: str) -> None:
    refused(text, UNKNOWN[text])


WRONG = {
    "keys = 'x'": "an array",
    f"keys = '{VKEY}'": "an array",
    "keys = [1]": "a text",
    "keys = ['trainer']": r"keys\[0\] is not a public key",
    f"keys = ['{VKEY}', '{VKEY}']": "names something twice",
    f"keys = ['{VKEY[:-4]}AAA=']": r"keys\[0\] is not a public key",
    "require = 'L1'": "an array",
    "require = ['L1', 'L1']": "names something twice",
    "require = ['L1-sampled']": "accept = true",
    "require = ['l1']": "can't show the level 'l1'",
    "require = ['']": "is invalid",
    "accept_uncovered = ['/etc']": "is not a path in a run",
    "accept_uncovered = ['../x']": "is not a path in a run",
    "accept_uncovered = ['x', 'x']": "names something twice",
    "provers = ['native']": "an object",
    "provers = 'native'": "an object",
    "[provers]\nnative = true": "an object",
    "[provers.native]\nmin_bits = 0": "from 1 to",
    "[provers.native]\nmin_bits = true": "an integer",
    "[provers.native]\nmin_bits = '100'": "an integer",
    "[provers.ezkl]\nsrs = ['ab']": "64 lower-case hexadecimal digits",
    f"[provers.ezkl]\nsrs = ['{'AB' * 32}']": "64 lower-case hexadecimal digits",
    "rules = ['adam']": "an object",
    "[rules.adam]\nlr = '0.1'": "an array",
    "[rules.adam]\nlr = ['0.1']": "an array of 2",
    "[rules.adam]\nlr = ['0.1', '0.2', '0.3']": "an array of 2",
    "[rules.adam]\nlr = [1, 2]": "a text",
    "[rules.adam]\nlr = ['0.2', '0.1']": "allows nothing",
    "[rules.adam]\nlr = ['-0.1', '0.1']": "not a decimal",
    "[rules.adam]\nlr = ['0', 'inf']": "not a decimal",
    "[rules.adam]\nlr = ['0', '1e999999999']": "not a decimal",
    "[rules.adam]\nlr = ['0', '1 ']": "not a decimal",
    "[run]\nmin_steps = 0": "from 1 to",
    "[run]\nmin_steps = -1": "from 1 to",
    "[run]\nfinished = false": "can only be true",
    "[run]\nmodel = false": "can only be true",
    "[run]\nfinished = 1": "true or false",
    "[run]\nfinished = 'true'": "true or false",
    "[claims]\nmax_last_loss = 1": "a text",
    "[claims]\nmax_last_loss = 'nan'": "not a decimal",
    "[claims]\nmax_last_loss = '+1'": "not a decimal",
    "[claims]\nmax_saturated_share = '1.01'": "at most 1",
    "[claims]\nmax_saturated_share = '-0.1'": "not a decimal",
    "[sample]\nproofs = 1": "from 2 to",
    "[sample]\naccept = true": "proofs is missing",
    "[sample]\nproofs = 2\naccept = false": "can only be true",
    "[sample]\nproofs = 2\nbeacon = 'noon'": "true or false",
    "[sample]\nproofs = 2": "a sample reaches L1-sampled, never L1",
    "require = ['L3']\n[sample]\nproofs = 2": "L3 rests on L1, which no sample reaches",
    "require = ['L3']\n[sample]\nproofs = 2\naccept = true": "how many segments",
    "require = ['L3']\n[sample]\nsegments = 1\naccept = true": "from 2 to",
    "require = ['L3']\n[sample]\nsegments = 3": "segments without accept",
    "[sample]\nproofs = 2\nsegments = 3\naccept = true": "about L3",
    "require = ['L3-sampled']": "can't name L3-sampled: .* takes it for L3",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_value_is_an_error(text: str) -> None:
    refused(text, WRONG[text])


@pytest.mark.parametrize("text", ["require = ['L1']\nrequire = ['L0']", "[run]\nmodel = true\n[run]\nmodel = true"])
def test_a_field_twice_is_an_error(text: str) -> None:
    refused(text, "is not TOML")


def test_gradients_computed_again_can_be_required() -> None:
    assert read("require = ['L3']").require == {Level.L3}
    sampled = read("require = ['L3']\n[sample]\nsegments = 20\naccept = true")
    assert (sampled.sample, sampled.segments) == (None, 20)
    sampled = read("require = ['L3']\n[sample]\nproofs = 2\nsegments = 3\naccept = true")
    assert (sampled.sample, sampled.segments) == (2, 3)
    assert sampled.require == {Level.L3}
    assert sampled.accept_sample


@pytest.mark.parametrize("level", ["L4", "L5", "L3-proved"])
def test_levels_that_this_version_cannot_show_are_refused_by_name(level: str) -> None:
    refused(f"require = ['L1', '{level}']", f"can't show the level '{level}', and so refuses a policy that requires it")


# ---- tlog-policy ---------------------------------------------------------------------------------


def tlog(data: bytes) -> str:
    return f"[tlog_policy]\ntext = '''\n{data.decode()}'''\n"


def test_a_quorum_of_none_asks_for_nothing() -> None:
    assert read(tlog(THREE + b"quorum none\n")).demands == ()


@pytest.mark.parametrize("data", [EXAMPLE, THREE + b"quorum X1\n", log(1) + b"quorum none\n"], ids=["X", "one", "log"])
def test_other_quorums_and_logs_have_their_place_among_the_anchors(data: bytes) -> None:
    refused(tlog(data), "policy.tlog_policy asks for logs or cosignatures, which are the anchor witness")


def test_a_malformed_tlog_policy_is_refused_with_its_line() -> None:
    refused(tlog(b"# one\nquorum\n"), "policy.tlog_policy: line 2: ")


TEXT_OR_FILE = {
    "text = 'quorum none\\n'\nfile = 'x'": "either text or file",
    "x = 1": "either text or file",
    "text = 1": "text is not a text",
    "file = 1": "a text",
    "text = ''": "no quorum line",
    "file = 'x'": "not the name of a file beside the policy",
}


@pytest.mark.parametrize("text", TEXT_OR_FILE)
def test_a_tlog_policy_is_a_text_or_a_file(text: str) -> None:
    refused(f"[tlog_policy]\n{text}\n", TEXT_OR_FILE[text])


def test_a_tlog_policy_in_a_file_beside_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(HEAD + "[tlog_policy]\nfile = 'witnesses.policy'\n")
    (tmp_path / "witnesses.policy").write_bytes(THREE + b"quorum none\n")
    assert load(path).demands == ()
    (tmp_path / "witnesses.policy").write_bytes(EXAMPLE)
    with pytest.raises(UsageError, match=r"give it in \[anchors\.witness\]"):
        load(path)
    (tmp_path / "witnesses.policy").unlink()
    with pytest.raises(UsageError, match="No such file"):
        load(path)
    os.mkfifo(tmp_path / "witnesses.policy")
    with pytest.raises(UsageError, match="not a regular file"):
        load(path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", ".hidden", "a b", "x\\u0000"])
def test_a_tlog_policy_lies_nowhere_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(HEAD + f'[tlog_policy]\nfile = "{name}"\n')
    with pytest.raises(UsageError, match=r"not the name of a file beside|is invalid"):
        load(path)


# ---- a stranger's --------------------------------------------------------------------------------


HOSTILE: dict[str, bytes] = {
    "more than 64 KiB": b"#" * MAX_BYTES,
    "deep arrays": b"x = " + b"[" * 30_000 + b"]" * 30_000,
    "deep tables": b"x = " + b"{a=" * 10_000 + b"1" + b"}" * 10_000,
    "dotted keys": b"x" + b".x" * 30_000 + b" = 1",
    "a dotted table": b"[x" + b".x" * 30_000 + b"]",
    "dots below a rule": b"[rules.adam.lr.x.y]\nz = 1",
    "a long number": b"[run]\nmin_steps = " + b"9" * 60_000,
    "a long hexadecimal number": b"[run]\nmin_steps = 0x" + b"f" * 60_000,
    "a long float": b"x = 1." + b"9" * 60_000,
    "a float of a large exponent": b"x = 1e999999999999",
    "a long decimal": b"[rules.adam]\nlr = ['0', '0." + b"9" * 60_000 + b"']",
    "many keys": b"keys = [" + b"'a'," * 15_000 + b"]",
    "many tables": b"".join(b"[rules.r%d]\n" % i for i in range(4_000)),
    "no UTF-8": b"x = '\xff'",
    "UTF-16": "x = 1".encode("utf-16"),
    "a NUL": b"x = '\0'",
    "a control character": b'keys = ["\\u001b[2J"]',
    "an open string": b"keys = ['",
    "nothing that is TOML": b"\x7fELF",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_within_bounds(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"^the policy") as caught:
            parse(HEAD.encode() + HOSTILE[name] + b"\n", "the policy")
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 600


WORDS = st.sampled_from(
    ["keys", "require", "provers", "native", "min_bits", "rules", "adam", "lr", "run", "claims", "sample", "tlog_policy",
     "=", "[", "]", ".", "\n", "'L1'", "'0.1'", ",", "1", "true", "0.5", "{", "}", "'", '"', "\\", "#", "register"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_policy_or_a_usage_error(text: str) -> None:
    try:
        read(text)
    except (UsageError, UnicodeEncodeError):
        return


# ---- the file ------------------------------------------------------------------------------------


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(HEAD)
    return path


def test_a_policy_may_lie_behind_a_link(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(policy)
    assert load(tmp_path / "link") == load(policy)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    os.truncate(tmp_path / "large", 2**40)
    for name in ("fifo", "loop", "large", "missing", ".", "a\0b", "x" * 300):
        with pytest.raises(UsageError, match=r"^the policy .* can't be read"):
            load(tmp_path / name)
    with pytest.raises(UsageError, match="not a regular file"):
        load(Path("/dev/zero"))


def test_a_policy_in_the_runs_folder_is_refused(policy: Path, tmp_path: Path) -> None:
    """Whoever made the run wrote it: under any name of the folder, and behind a link."""
    run = honest("none").write(tmp_path / "run")
    for place in (run / "policy.toml", run / "model/policy.toml", run / "log/policy.toml"):
        place.write_text(HEAD)
        (tmp_path / "way").unlink(missing_ok=True)
        (tmp_path / "way").symlink_to(run)
        (tmp_path / "copy").unlink(missing_ok=True)
        (tmp_path / "copy").symlink_to(place)
        for found in (place, tmp_path / "way" / place.relative_to(run), tmp_path / "copy"):
            for folder in (run, tmp_path / "way", run / "model" / ".."):
                with pytest.raises(UsageError, match="lies in the run's folder: whoever made the run wrote it"):
                    load(found, folder)
    (run / "outward").symlink_to(policy)
    with pytest.raises(UsageError, match="lies in the run's folder"):
        load(run / "outward", run)
    assert load(policy, run).demands == ()
    assert load(policy, tmp_path / "nowhere").demands == ()

"""What a policy file, or a file of trust, says of register and anchors, and what it must not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.verify.test_receipts import NOTARY, Notary
from zk_autograd.anchor.kinds import verifiers
from zk_autograd.core.errors import UsageError
from zk_autograd.core.fields import Fields
from zk_autograd.verify.anchor_demands import AnchoredBefore, AnchoredBy, Authorities, InRegister
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.policy_file import FORMAT, load, load_trust, parse

HEAD = f'format = "{FORMAT}"\n'
KEY = NOTARY.public_key.encode()


class Filed(Notary):
    """The notary, whose key lies in a file beside the policy."""

    def read_trust(self, fields: Fields, read: Callable[[str], bytes]) -> Any:
        return read(fields.text("file", 200))


KINDS = {**verifiers(), "notary": Notary(), "filed": Filed()}


def read(text: str) -> Policy:
    return parse((HEAD + text).encode(), "the policy", anchors=KINDS)


def test_a_whole_one() -> None:
    policy = read(
        f'register = true\n[anchors]\nrequire = ["notary", "file"]\n[anchors.notary]\nkey = "{KEY}"\nauthorities = 2\n'
        '[freshness]\nanchored_before = "2026-12-01T00:00:00Z"\n'
    )
    assert policy.anchors == {"notary": NOTARY.public_key}
    assert policy.demands == (
        InRegister(),
        AnchoredBy(("notary", "file")),
        Authorities("notary", 2),
        AnchoredBefore(1_796_083_200),
    )


def test_what_is_not_mentioned_is_not_asked_for() -> None:
    assert (read("").demands, read("").anchors) == ((), {})
    trusting = read(f'[anchors.notary]\nkey = "{KEY}"')
    assert (trusting.demands, trusting.anchors) == ((), {"notary": NOTARY.public_key})


WRONG = {
    "register = false": "can only be true",
    "register = 1": "policy.register is invalid",
    "anchors = []": "policy.anchors is empty",
    "[anchors]": "policy.anchors is empty",
    "anchors = true": "policy.anchors is invalid",
    "[anchors]\nrequire = []": "policy.anchors.require is empty",
    "[anchors]\nrequire = 'notary'": "policy.anchors.require is invalid",
    "[anchors]\nrequire = ['notary', 'notary']": "names a kind twice",
    "[anchors]\nrequire = ['oracle']": "this version knows no anchor 'oracle', and can't check one",
    "[anchors.oracle]\nkey = 'x'": "this version knows no anchor 'oracle', and can't check one",
    "[anchors]\noracle = true": "this version knows no anchor 'oracle', and can't check one",
    "[anchors]\nnotary = true": "policy.anchors.notary is invalid",
    "[anchors.notary]": "policy.anchors.notary is empty",
    "[anchors.notary]\nkey = 'x'": "key",
    f"[anchors.notary]\nkey = '{KEY}'\nkeys = 'x'": "policy.anchors.notary has unknown fields",
    f"[anchors.notary]\nkey = '{KEY}'\nauthorities = 0": "policy.anchors.notary.authorities is invalid",
    "[anchors.file]\npath = 'x'": "policy.anchors.file has unknown fields",
    "[anchors.filed]\nfile = 'x'": "not the name of a file beside the policy",
    "[freshness]": "policy.freshness is empty",
    "[freshness]\nmax_age_hours = 24": "policy.freshness.anchored_before is missing",
    "[freshness]\nanchored_before = '2026-12-01T00:00:00Z'\nmax = 1": "policy.freshness has unknown fields",
    "[freshness]\nanchored_before = 2026-12-01T00:00:00Z": "a float or a date",
    "[freshness]\nanchored_before = '2026-12-01'": "is not a time",
    "[freshness]\nanchored_before = '2026-02-30T00:00:00Z'": "is not a time",
    "[freshness]\nanchored_before = '2026-12-01T00:00:00+01:00'": "is not a time",
    "witnesses = true": "policy has unknown fields",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=WRONG[text]) as caught:
        read(text)
    assert str(caught.value).startswith("the policy: ")


def test_a_version_without_kinds_refuses_each_by_name() -> None:
    with pytest.raises(UsageError, match="this version knows no anchor 'notary'"):
        parse(f'{HEAD}[anchors.notary]\nkey = "{KEY}"'.encode(), "the policy")


def test_a_file_beside_the_policy_is_read_by_its_plain_name(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'{HEAD}[anchors.filed]\nfile = "roots.pem"\n')
    (tmp_path / "roots.pem").write_bytes(b"a root")
    assert load(policy, anchors=KINDS).anchors == {"filed": b"a root"}
    (tmp_path / "roots.pem").unlink()
    with pytest.raises(UsageError, match="No such file"):
        load(policy, anchors=KINDS)
    for name in ("../roots.pem", "/etc/passwd", "a/b", ".hidden", ""):
        policy.write_text(f'{HEAD}[anchors.filed]\nfile = "{name}"\n')
        with pytest.raises(UsageError):
            load(policy, anchors=KINDS)


def test_a_file_of_trust_has_the_same_tables_and_no_demand(tmp_path: Path) -> None:
    trust = tmp_path / "trust.toml"
    trust.write_text(f'[anchors.notary]\nkey = "{KEY}"\n')
    assert load_trust(trust, None, KINDS) == {"notary": NOTARY.public_key}
    wrong = {
        "": "file is empty",
        "[anchors]": "is empty",
        f'{HEAD}[anchors.notary]\nkey = "{KEY}"': "file has unknown fields",
        f'[anchors.notary]\nkey = "{KEY}"\nauthorities = 2': "is a demand, not trust: it goes into a policy file",
        f'[anchors.notary]\nkey = "{KEY}"\nmore = 2': "unknown fields",
        "[anchors]\nrequire = ['notary']": "is a demand, not trust: give it as --require-anchor",
        "[anchors.oracle]\nkey = 'x'": "knows no anchor 'oracle'",
        "x = ": "is not TOML",
    }
    for text, message in wrong.items():
        trust.write_text(text)
        with pytest.raises(UsageError, match=message) as caught:
            load_trust(trust, None, KINDS)
        assert str(caught.value).startswith(f"--trust-anchors {trust}")


def test_a_file_of_trust_in_the_runs_folder_is_refused(tmp_path: Path) -> None:
    trust = tmp_path / "trust.toml"
    trust.write_text(f'[anchors.notary]\nkey = "{KEY}"\n')
    with pytest.raises(UsageError, match="lies in the run's folder: whoever made the run wrote it"):
        load_trust(trust, tmp_path, KINDS)

"""One bit of a real run's log or proof is another, and the run fails. `python -m tests.assurance`
flips every bit of the log."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from tests.verify.altered import CHECKPOINT, PROOF, RECORDS, Altered, flipped, is_worse
from zk_autograd.verify import log, proofs
from zk_autograd.verify.outcome import Step

pytestmark = pytest.mark.usefixtures("native_prover")


@pytest.fixture
def run(tmp_path: Path) -> Altered:
    return Altered(tmp_path)


def require_worse(run: Altered, name: str, places: Iterable[int], seed: int) -> None:
    """Of each byte one bit, which the seed draws."""
    random = Random(seed)
    for place in places:
        bit = 8 * place + random.randrange(8)
        assert is_worse(run.judged({name: flipped(run.files[name], bit)})), f"{name}, bit {bit}"


def test_the_run_passes_as_it_is_and_signed_anew(run: Altered) -> None:
    """So nothing below fails for another reason than its bit."""
    for files in ({}, run.with_proof(run.files[PROOF])):
        report = run.judged(files)
        assert (report.exit_status, report.verdict) == (0, "L0, L1")


@pytest.mark.slow
@pytest.mark.parametrize("name", [RECORDS, CHECKPOINT])
def test_a_tenth_of_the_bytes_of_the_log(run: Altered, name: str) -> None:
    size = len(run.files[name])
    require_worse(run, name, Random(1).sample(range(size), size // 10), 2)


@pytest.mark.long
@pytest.mark.parametrize("name", [RECORDS, CHECKPOINT])
def test_every_byte_of_the_log(run: Altered, name: str) -> None:
    require_worse(run, name, range(len(run.files[name])), 3)


def require_refused(run: Altered, count: int, seed: int) -> None:
    """Bits of the proof, under a record that names the proof as it is then: step 7 finds them."""
    size = 8 * len(run.files[PROOF])
    for bit in Random(seed).sample(range(size), count):
        report = run.judged(run.with_proof(flipped(run.files[PROOF], bit)))
        assert is_worse(report), f"bit {bit}"
        assert report.failure is not None
        assert report.failure.step == Step.PROOFS, f"bit {bit}: {report.failure}"


@pytest.mark.slow
def test_bits_of_a_proof_behind_its_hash(run: Altered) -> None:
    require_refused(run, 50, 4)


@pytest.mark.long
def test_five_hundred_bits_of_a_proof_behind_its_hash(run: Altered) -> None:
    require_refused(run, 500, 5)


@pytest.mark.parametrize(("module", "check", "name"), [(log, "open_note", CHECKPOINT), (proofs, "_check", PROOF)])
def test_without_the_check_a_bit_goes_unseen(
    run: Altered, monkeypatch: pytest.MonkeyPatch, module: object, check: str, name: str
) -> None:
    """A bit near the end of the last signature, which stays base64, and the first of a proof."""
    place = 8 * (len(run.files[name]) - 20) + 1 if name == CHECKPOINT else 0
    changed = flipped(run.files[name], place)
    files = {name: changed} if name == CHECKPOINT else run.with_proof(changed)
    assert is_worse(run.judged(files))
    monkeypatch.setattr(module, check, lambda *_: None)
    assert not is_worse(run.judged(files))

"""Reports of every kind, by the real verifier, for what must hold for all of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tests.verify.run_builder import KEY, POLICY, SECOND, SRS, Run, StandInSystem, honest, judge
from zk_autograd.core.constants import StepConstants
from zk_autograd.core.errors import UnreadableError
from zk_autograd.core.hyper import Rule
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.records import Prover
from zk_autograd.core.segments import Segments
from zk_autograd.evidence.finding import Found, Subject
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.earlier import Earlier
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.policy_file import FORMAT, parse
from zk_autograd.verify.report import Report
from zk_autograd.verify.verifier import Verifier

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/data/runs/native-finished"
BIDI = "w\u202egnp.exe\u2066</style><script>document.title='x'</script>"
"""A tensor's name as whoever makes a run would choose it."""


@dataclass(slots=True)
class NoAnswer(StandInSystem):
    """A backend that this machine can't use."""

    def check_constants(self, prover: Prover, constants: StepConstants) -> None:
        raise UnreadableError("no answer from EZKL's process")


def _golden(folder: Path, policy: Policy) -> Report:
    with RunFolder(GOLDEN) as files:
        return Verifier(policy, Systems()).verify(files)


def _golden_policy(**changes: object) -> Policy:
    key = PublicKey.parse((GOLDEN.parent / "test.key.pub").read_text(encoding="ascii").strip())
    return replace(Policy(keys=(key,)), **changes)  # type: ignore[arg-type]


def _without_checkpoint(folder: Path) -> Report:
    honest().write(folder)
    (folder / "log/checkpoint").unlink()
    with RunFolder(folder) as files:
        return Verifier(POLICY, Systems()).verify(files)


def _false_proof(folder: Path) -> Report:
    run = honest()
    run.proofs[1, 0] = b"x" + run.proofs[1, 0][1:]
    return judge(run, folder)


def _false_model(folder: Path) -> Report:
    run = honest()
    run.model["weights.f32.safetensors"] += b"\0"
    return judge(run, folder)


def _uncovered(folder: Path, policy: Policy) -> Report:
    run = honest()
    (folder / "model").mkdir(parents=True)
    for name in ("model/extra.bin", "wei\u202eghts<script>.f32", "README.md"):
        (folder / name).write_bytes(b"x")
    return judge(run, folder, policy)


def hostile() -> Run:
    """An honest run whose texts are those of an attacker."""
    run = honest()
    parameters = (replace(run.header.parameters[0], name=BIDI), *run.header.parameters[1:])
    unproved = (replace(run.header.unproved[0], name=f"buffer {BIDI}"),)
    name = "trai\u05e0\u202ener<script>"
    run.edit_header(
        parameters=parameters,
        unproved=unproved,
        keys=(KEY.encode(), replace(SECOND.public_key, name=name).encode()),
        data=replace(run.header.data, root=bytes(32), sampler="</style><script>alert(1)</script>\u202e"),
    )
    run.segments = [
        replace(segment, loss=("</svg><script>", "nan", "1e999")[: len(segment.loss)]) for segment in run.segments
    ]
    run.reprove()
    from tests.verify.run_builder import files_of

    run.model = files_of(run.header, run.weights, run.salts)
    run.name_model()
    return run


def _continued(folder: Path, **changes: object) -> Report:
    run = honest()
    earlier = judge(run, folder, SAMPLED)
    policy = replace(POLICY, earlier=Earlier.read(json.dumps(earlier.to_json()).encode("ascii")))
    return judge(run, folder, replace(policy, **changes))  # type: ignore[arg-type]


def _from_a_file(name: str, data: bytes | None) -> Callable[[Path], Report]:
    """Of the golden run, where the auditor named a file that they had: `data`, or the run's
    floats."""

    def made(folder: Path) -> Report:
        digest = sha256((GOLDEN / "model/weights.f32.safetensors").read_bytes() if data is None else data).digest()
        found = Found(name, GOLDEN, "from", (Subject(name, digest),))
        with RunFolder(GOLDEN) as files:
            return Verifier(_golden_policy(), Systems()).verify(files, found=found)

    return made


def _two_keys(folder: Path) -> Report:
    """Of the golden run that two keys signed, one of them ML-DSA-44's."""
    text = (GOLDEN.parent / "test-v1.key.pub").read_text(encoding="ascii")
    policy = Policy(keys=tuple(PublicKey.parse(line) for line in text.split()))
    with RunFolder(GOLDEN.parent / "native-v1") as files:
        return Verifier(policy, Systems()).verify(files)


def _under_a_policy_file(folder: Path, rule: str, steps: int) -> Report:
    text = f'''format = "{FORMAT}"
keys = ["{KEY.encode()}"]
require = ["L0", "L1"]
[provers.ezkl]
srs = ["{SRS.hex()}"]
[rules.{rule}]
[run]
min_steps = {steps}
[claims]
max_last_loss = "0.6"
'''
    return judge(honest(), folder, parse(text.encode("ascii"), "the policy"))


SAMPLED = replace(POLICY, sample=3, beacon="midnight")

KINDS: dict[str, Callable[[Path], Report]] = {
    "passed": lambda folder: judge(honest(), folder),
    "passed, native": lambda folder: _golden(folder, _golden_policy()),
    "passed, two groups and recorded rates": lambda folder: judge(
        honest(rule=Rule.ADAM, groups=2, schedule="recorded"), folder
    ),
    "less, no proofs": lambda folder: judge(honest("none"), folder, replace(POLICY, srs=frozenset())),
    "L0 asked for, no proofs": lambda folder: judge(
        honest("none"), folder, replace(POLICY, require=frozenset({Level.L0}))
    ),
    "less, no SRS allowed": lambda folder: judge(honest(), folder, replace(POLICY, srs=frozenset())),
    "less, not installed": lambda folder: judge(honest(), folder, system=StandInSystem(missing="not installed")),
    "sample": lambda folder: judge(honest(), folder, SAMPLED),
    "sample accepted": lambda folder: judge(honest(), folder, replace(SAMPLED, accept_sample=True)),
    "policy file met": lambda folder: _under_a_policy_file(folder, "adam", 8),
    "policy file not met": lambda folder: _under_a_policy_file(folder, "sgd", 9),
    "two keys": _two_keys,
    "continued": _continued,
    "continued, unpinned": lambda folder: _continued(folder, keys=()),
    "from a file": _from_a_file("wei\u202eghts<script>.bin", None),
    "from a file of no model": _from_a_file("log", (GOLDEN / "train_log.jsonl").read_bytes()),
    "from another file": _from_a_file("weights", b"others"),
    "unfinished": lambda folder: judge(_unfinished(), folder),
    "no step": lambda folder: judge(replace(_unfinished(), segments=[]), folder),
    "not begun": lambda folder: judge(replace(_unfinished(), segments=[], genesis=None), folder),
    "at a root": lambda folder: judge(honest(), folder, replace(POLICY, head=TreeHead(honest().root(4), 4))),
    "uncovered": lambda folder: _uncovered(folder, POLICY),
    "uncovered, accepted": lambda folder: _uncovered(
        folder, replace(POLICY, accept_uncovered=frozenset({"model/extra.bin", "wei\u202eghts<script>.f32"}))
    ),
    "unpinned": lambda folder: judge(honest(), folder, replace(POLICY, keys=())),
    "unpinned, native": lambda folder: _golden(folder, _golden_policy(keys=())),
    "unpinned and failed": lambda folder: judge(replace(honest(), head_root=bytes(32)), folder, Policy()),
    "unpinned sample": lambda folder: judge(honest(), folder, replace(SAMPLED, keys=())),
    "failed, no checkpoint": _without_checkpoint,
    "failed, wrong key": lambda folder: judge(honest(), folder, replace(POLICY, keys=(SECOND.public_key,))),
    "failed, wrong root": lambda folder: judge(replace(honest(), head_root=bytes(32)), folder),
    "failed, chain": lambda folder: judge(_broken_chain(), folder),
    "failed, proof": _false_proof,
    "failed, model": _false_model,
    "unreadable": lambda folder: judge(honest(), folder, system=NoAnswer()),
    "hostile texts": lambda folder: judge(hostile(), folder),
}


def _unfinished() -> Run:
    run = honest()
    run.close, run.model = None, {}
    return run


def _broken_chain() -> Run:
    run = honest()
    run.segments[1] = replace(run.segments[1], state_in=run.segments[0].state_in)
    return run


def synthetic(report: Report, segments: int) -> Report:
    """A passed report on a run of that many segments: what a page of a long run is made from."""
    assert report.log is not None
    base = report.log.segments[0]
    length = base.last - base.first + 1
    long = tuple(
        replace(base, index=i, first=1 + i * length, last=(i + 1) * length, loss=(f"{1 / (i + 1):.9g}",) * length)
        for i in range(segments)
    )
    return replace(report, log=replace(report.log, segments=Segments(report.log.header, long)))

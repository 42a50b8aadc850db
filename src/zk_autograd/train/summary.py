"""What zk-train prints at its end: what was trained and shown, the root, the auditor's command."""

import shlex
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from zk_autograd.anchor.kinds import KINDS
from zk_autograd.core.decimals import decimal_text
from zk_autograd.core.errors import ExitStatus, UsageError, ZkError
from zk_autograd.core.hyper import of_own_examples
from zk_autograd.core.note import Checkpoint
from zk_autograd.core.records import PUBLIC, Header
from zk_autograd.core.register import View
from zk_autograd.core.text import counted, listed
from zk_autograd.credentials import keyfile
from zk_autograd.run.anchoring import AnchorState
from zk_autograd.run.layout import Layout
from zk_autograd.train.plan import Plan

_RECORDS_BESIDE_SEGMENTS = 3
"""Header, genesis and close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A finished run. `seconds` is the time of this process, `waited` the part of it after the last
    step; `classes` holds the labels of classes 0, 1, 2 ... where a table has them; `public` is the
    file that names the run's keys and no other, if there is one. `view` is the run's newest entry
    in the trainer's register, `anchors` how each anchor stands; `timeline` is the picture of the
    session, if there is one."""

    plan: Plan
    run: Path
    header: Header
    head: Checkpoint
    steps: int
    accuracy: float
    test_rows: int
    saturated: int
    seconds: float
    waited: float
    classes: tuple[str, ...] = ()
    view: View | None = None
    anchors: tuple[AnchorState, ...] = ()
    public: Path | None = None
    timeline: Path | None = None

    @property
    def proved(self) -> bool:
        """Whether there are any proofs."""
        return self.header.prover.form.proves

    @property
    def proofs(self) -> int:
        """How many proofs the run has."""
        return (self.head.size - _RECORDS_BESIDE_SEGMENTS) * len(self.header.blocks) if self.proved else 0

    @property
    def proof_bytes(self) -> int:
        """Their total size."""
        return _size(Layout(self.run).proofs)

    @property
    def root(self) -> str:
        """ROOT@SIZE, as zk-verify takes it."""
        return f"{self.head.root.hex()}@{self.head.size}"

    @property
    def verify(self) -> str:
        """The auditor's command."""
        words = ["zk-verify", self.root, "--from", str(self.run)]
        for key in self.header.keys if self.public is None else (str(self.public),):
            words += ["--key", key]
        if self.header.prover.srs_digest:
            words += ["--srs-digest", self.header.prover.srs_digest.hex()]
        if not self.proved:
            words += ["--require", "L0"]
        return shlex.join(words)

    @property
    def exit_status(self) -> ExitStatus:
        """What zk-train returns: the run is whole, but an anchor may not have it, or may have
        another branch of its trainer's register."""
        if any(anchor.forked for anchor in self.anchors):
            return ExitStatus.REFUSED
        return ExitStatus.LESS if any(anchor.pending for anchor in self.anchors) else ExitStatus.DONE

    def effective(self) -> dict[str, str]:
        """The hyper-parameters that the integers stand for."""
        return {name: decimal_text(value) for name, value in self.header.sequence(0).effective().items()}

    def as_mean(self) -> list[dict[str, str]]:
        """By groups, which lr or eps makes the same of the mean over a batch as these make of its
        sum divided by a power of two. Empty for such a batch, and for autograd's gradients."""
        header, exact = self.header, self.header.exact
        if exact is None:
            return []
        size = header.data.batch_size
        return [
            of_own_examples(size, exact.log_batch, header.rule, dict(group.hyper))
            for group in header.groups
            if size < 2**exact.log_batch
        ]

    def to_json(self) -> dict[str, object]:
        """The summary of `--json`."""
        return {
            "run": str(self.run),
            "root": self.root,
            "model": str(self.plan.model),
            "data": str(self.plan.data),
            "parameters": self.header.size,
            "rule": self.header.rule.value,
            "steps": self.steps,
            "steps_asked": self.plan.steps,
            "steps_proved": self.steps if self.proved else 0,
            "proofs": self.proofs,
            "proof_bytes": self.proof_bytes,
            "run_bytes": _size(self.run),
            "classes": list(self.classes),
            "test_accuracy": self.accuracy,
            "test_rows": self.test_rows,
            "saturated": self.saturated,
            "effective": self.effective(),
            "level": self.plan.level,
            "exact": self._exact_json(),
            "seconds": round(self.seconds, 3),
            "seconds_after_last_step": round(self.waited, 3),
            "keys": list(self.header.keys),
            "srs_digest": self.header.prover.srs_digest.hex(),
            "register": None if self.view is None else _view_json(self.header, self.view),
            "anchors": [asdict(anchor) for anchor in self.anchors],
            "timeline": None if self.timeline is None else str(self.timeline),
            "verify": self.verify,
        }

    def lines(self) -> list[str]:
        """The summary for people."""
        plan, header = self.plan, self.header
        effective = ", ".join(f"{name.replace('_', ' ')} {float(text):.6g}" for name, text in self.effective().items())
        rates = ", ".join(dict.fromkeys(dict(group.hyper)["lr"] for group in header.groups))
        lr = rates if plan.schedule == "constant" else f"{rates} by {plan.schedule}"
        if self.proved:
            shown = (
                f"{counted(self.steps, 'step')} in {counted(self.proofs, 'proof')} of {self.proof_bytes:,} bytes in all"
            )
        else:
            shown = "nothing: the log holds salted hashes only (L0)"
        stopped = "" if self.steps == plan.steps else f" of {plan.steps} asked for"
        holder = "an auditor who has your public keys from you"
        if header.prover.srs_digest:
            holder += ", and the digest of an SRS that you can't have made"
        return [
            f"trained   {plan.model} on {plan.data}: {header.size} parameters, {counted(self.steps, 'step')}{stopped}, seed {plan.seed}",
            f"rule      {header.rule.value}, lr {lr}; in effect {effective}",
            *self._exact(),
            f"accuracy  {100 * self.accuracy:.1f} % of {self.test_rows} test rows",
            *(
                [f"classes   {listed([f'{i} = {name[:40]!r}' for i, name in enumerate(self.classes)], 10)}"]
                if self.classes
                else []
            ),
            f"proved    {shown}",
            f"time      {self.seconds:.1f} s, {self.waited:.1f} s of them after the last step",
            f"run       {self.run}: {_size(self.run):,} bytes, {_size(Layout(self.run).private):,} of them private",
            *([] if self.timeline is None else [f"timeline  {self.timeline}"]),
            *self._registered(),
            f"root      {self.root}",
            "",
            f"To be given to {holder}, who runs",
            "",
            f"  {self.verify}",
            *self._opening(),
        ] + (
            ["", f"{self.saturated} elements of gradients were too large and saturated: lower --grad-scale"]
            if self.saturated
            else []
        )

    def _exact_json(self) -> dict[str, object] | None:
        """What is told of exact gradients; None of autograd's."""
        exact, size = self.header.exact, self.header.data.batch_size
        if exact is None:
            return None
        return {
            "data": exact.visibility,
            "batch_size": size,
            "padded_to": 2**exact.log_batch,
            "as_mean": self.as_mean(),
            "grad_scale": self.header.grad_scale,
        }

    def _exact(self) -> list[str]:
        """As `_exact_json`, for people."""
        exact, size = self.header.exact, self.header.data.batch_size
        if exact is None:
            return []
        padded = f", padded to {2**exact.log_batch}" if size < 2**exact.log_batch else ""
        same = list(dict.fromkeys(f"{name} {text}" for group in self.as_mean() for name, text in group.items()))
        mean = f": as {', '.join(same)} with the mean over {size}" if same else ""
        level = f"for {self.plan.level}" if self.proved else f"but {self.plan.level} takes proofs, too"
        return [f"gradients exact, {level}: {exact.visibility} data, batches of {size}{padded}{mean}"]

    def _opening(self) -> list[str]:
        """How an auditor comes to recompute exact gradients."""
        exact = self.header.exact
        if exact is None or not self.proved:
            return []
        opening = ["zk-run", "open", str(self.run)]
        commands = [shlex.join([*opening, "--all", "--for", "AUDITOR.pub", "--out", "openings"])]
        what = "what opens the steps"
        if exact.visibility != PUBLIC:
            commands.append(shlex.join([*opening, "--cells", "cells"]))
            what += ", and the data"
        return ["", f"For L3 the auditor is also given {what}, by", "", *(f"  {command}" for command in commands)]

    def _registered(self) -> list[str]:
        """What register and anchors are worth, and what is missing."""
        if self.view is None:
            return ["register  none: an auditor can't tell how many runs there were beside this one"]
        lines = [
            f"register  {self.header.register}: entry {self.view.index}, under a checkpoint of {self.view.head.size} entries",
            "anchor    file: a file of your own, beside the register: it protects against accidents only",
        ]
        for anchor in self.anchors:
            kind = anchor.anchor.partition(":")[0]
            if not anchor.pending:
                rests = KINDS[kind].rests_on if kind in KINDS else "on whoever runs it"
                lines.append(f"anchor    {anchor.anchor}: has all of the run; that rests {rests}")
                continue
            has = f"has the first {anchor.records} records" if anchor.records else "has nothing of the run"
            why = f": {anchor.trouble}" if anchor.trouble else ""
            lines.append(f"anchor    {anchor.anchor}: {has}{why}")
        if any(anchor.pending and not anchor.forked for anchor in self.anchors):
            lines.append(f"          to complete it: {self._completing()}")
        return lines

    def _completing(self) -> str:
        """The command that has the anchors complete the run. What was given to this training alone,
        at a resumption, isn't in the run's plan, and isn't repeated: it may hold a token."""
        words, key = ["zk-anchor", "publish", str(self.run)], Path(self.plan.key_file)
        if self.public is not None:
            key = self.public.absolute().with_name(self.public.name.removesuffix(".pub"))
        kept, default, used = None, None, self.plan.registering
        with suppress(ZkError):
            kept = Plan.read(self.run).registering
        with suppress(UsageError):
            default = keyfile.default_path().absolute()
        if key != default:
            words += ["--key-file", str(key)]
        alone = kept is not None and (kept.folder, kept.specs) == (used.folder, used.specs)
        return shlex.join(words) + ("" if alone else ", with the same --anchor and --register")


def _view_json(header: Header, view: View) -> dict[str, object]:
    head = view.head
    return {"origin": header.register, "entry": view.index, "root": f"{head.root.hex()}@{head.size}"}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

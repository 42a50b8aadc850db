"""What zk-train shows of a run in progress."""

import sys
from typing import TYPE_CHECKING

from zk_autograd.cli.output import Output
from zk_autograd.core.progress import Progress

if TYPE_CHECKING:
    from zk_autograd.core.records import Header


class Watch:
    """A `train.command.Teller`: bars on a terminal, a line for each proof elsewhere."""

    def __init__(self, steps: int, progress: Progress, output: Output) -> None:
        self._header: Header | None = None
        self._steps = steps
        self._progress = progress
        self._output = output
        self._waited = False
        self._awaited = False
        self._closed = False

    def note(self, text: str) -> None:
        self._output.note(text)

    def header(self, header: "Header | None") -> None:
        self._header = header

    def __call__(self, event: object) -> None:
        from zk_autograd.run import events

        match event:
            case events.StepLogged(step):
                self._progress("training", step, self._steps)
            case events.Waiting(pending) if not self._waited:
                self._waited = True
                self._output.note(f"training waits for the prover: {pending} segments are not proved yet")
            case events.AnchorFailed(anchor, reason, final):
                after = "it is not tried again" if final else "it is tried again"
                self._output.note(f"{anchor}: {reason}; {after}")
            case events.BeaconAwaited(what, done, total):
                if not self._awaited:
                    self._awaited = True
                    self._output.note(
                        "the header is entered, and its beacon is waited for; Ctrl-C leaves the register's entry, and no run"
                    )
                self._progress(what, done, total)
            case events.AnchorsAwaited(anchors) if not self._closed:
                self._closed = True
                self._output.note(f"the run is complete; waiting for anchors: {', '.join(anchors)} (Ctrl-C ends that)")
            case events.ProofFailed(segment, block, attempt, reason):
                self._output.note(f"attempt {attempt} to prove block {block} of segment {segment} failed: {reason}")
            case events.ProofDone(segment, block, blocks, seconds, size) if self._header is not None and size:
                done, total = segment * blocks + block + 1, -(-self._steps // self._header.prover.steps) * blocks
                self._progress("proving", done, total)
                if not sys.stderr.isatty():
                    self._output.note(f"proof {done} of {total}: {size:,} bytes in {seconds:.1f} s")

    def interrupted(self) -> None:
        """The first Ctrl-C."""
        if self._closed:
            self._output.note("the run is complete; its anchors aren't waited for: `zk-anchor publish` completes that")
            return
        self._output.note(
            "finishing this step, proving what is left and closing the run; Ctrl-C again stops at once, and the run can be resumed"
        )

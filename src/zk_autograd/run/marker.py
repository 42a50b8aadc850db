"""The marker of a run whose private folder was deleted: private/forgotten says when, and is written
before anything is deleted."""

from zk_autograd.core import canonical
from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.fields import Fields
from zk_autograd.evidence.files import read_bounded
from zk_autograd.run.files import PRIVATE_FILE, Files, exists, of_the_run
from zk_autograd.run.layout import Layout

FORMAT = "zk-autograd/forgotten/v0"
_MAX_BYTES = 4096


def forgotten_on(layout: Layout) -> str | None:
    """When the run was forgotten, as ISO 8601 in UTC; None if it was not. RunError if the marker
    can't be read."""
    if not exists(layout.forgotten):
        return None
    try:
        fields = Fields(
            canonical.decode(read_bounded(layout.forgotten, _MAX_BYTES), max_bytes=_MAX_BYTES), "the marker"
        )
        fields.choice("format", (FORMAT,))
        on = fields.text("on", max_len=40)
        fields.end()
    except VerificationError as error:
        text = f"{layout.forgotten} is not what forgetting a run leaves ({error}); look at it, and remove it"
        raise of_the_run(error, text) from error
    return on


def mark_forgotten(layout: Layout, on: str, files: Files) -> None:
    """Leaves the marker."""
    files.write_atomic(layout.forgotten, canonical.encode({"format": FORMAT, "on": on}), PRIVATE_FILE)


def require_kept(layout: Layout) -> None:
    """RunError if the run was forgotten."""
    if (on := forgotten_on(layout)) is not None:
        raise RunError(
            f"{layout.root} was forgotten on {on}: its gradients, states and salts are deleted, so it can't be resumed or proved, nor its "
            "commitments opened; what its log has can still be verified"
        )

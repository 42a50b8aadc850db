"""The optimizer's settings (torch's `param_groups`) after a step: private/settings, a frame with
the step's number and the caller's bytes.

The settings that a step was taken with lie in the journal, with the step. A scheduler writes the
next ones after the step, and this file is for that moment alone. It is written after its step and
says which one that is, so an older one is ignored; one of a step that a power cut took is removed.
While a run is trained it is overwritten in place and not fsynced, since a step with a scheduler
would take noticeably longer otherwise: it outlives the process, but not always a power cut, and its
digest reveals a torn one. Leaving a run on purpose writes it like every other file.
"""

from contextlib import suppress

from zk_autograd.core.errors import RunError, VerificationError
from zk_autograd.core.records import MAX_STEP
from zk_autograd.run.files import PRIVATE_FILE, Files, exists
from zk_autograd.run.layout import Layout
from zk_autograd.run.private_file import encode, read

_KIND = "settings"
_MAX_BYTES = 64 * 2**20


def keep(layout: Layout, run: bytes, step: int, settings: bytes, files: Files, *, durable: bool) -> None:
    """Writes the file, for the run whose header has the digest `run`. RunError if that fails."""
    write = files.write_atomic if durable else files.overwrite
    write(layout.settings, encode(_KIND, run, {"step": step}, {_KIND: settings}), PRIVATE_FILE)


def forget_later(layout: Layout, run: bytes, step: int, files: Files) -> None:
    """Removes what was kept after a step beyond `step`, which a power cut took: the step of that
    number is taken again, and may leave others. A file that can't be read is left to `kept`."""
    if not exists(layout.settings):
        return
    with suppress(RunError, VerificationError):
        fields, _ = read(layout.settings, _KIND, run, _MAX_BYTES)
        if fields.integer("step", 0, MAX_STEP) > step:
            files.remove(layout.settings)


def kept(layout: Layout, run: bytes, step: int) -> bytes | None:
    """What was kept after `step`; None if nothing was. RunError for a file that is torn, altered or
    of another run."""
    if not exists(layout.settings):
        return None
    try:
        fields, parts = read(layout.settings, _KIND, run, _MAX_BYTES)
        number = fields.integer("step", 0, MAX_STEP)
        fields.end()
        settings = parts[_KIND]
    except (RunError, VerificationError, KeyError) as error:
        raise RunError(
            f"{layout.settings} is torn, altered, of another run or can't be read, so what the optimizer's settings became after step {step} "
            "is unknown; the run can be resumed without it: remove it, or restore it from a copy"
        ) from error
    return settings if number == step else None

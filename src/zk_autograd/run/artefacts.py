"""The trainer's own files of a run: environment.json, config.toml, train_log.jsonl and hashes.json.

    artefacts = Artefacts(listener, config=...)        # a listener of the writer's events
    artefacts.begin(writer)                            # or resume(writer)
    artefacts.step(...)                                # after each step that the writer took
    digests = artefacts.finish(writer, published)      # for the close record

They hold no access token: config.toml is redacted (credentials.redaction), environment.json has no
variable that looks like one, and the log has numbers, and differences between environments. Its
lines are appended without waiting for the disk: the journal and the records have all of them but
the seconds, and `resume` rewrites what a crash took. What the close record names is written whole,
and durably, before it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic

from zk_autograd.core import bounded_toml
from zk_autograd.core.canonical import Json
from zk_autograd.core.errors import RunError, UsageError, VerificationError
from zk_autograd.core.formats import IntArray
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.credentials.redaction import PROCESS, Redactor
from zk_autograd.evidence.files import open_bounded, read_bounded
from zk_autograd.evidence.hashes import Hashes, weights_hash
from zk_autograd.evidence.layout import ARTEFACTS, CONFIG, ENVIRONMENT, HASHES, MAX_LOG, RECORDS, TRAIN_LOG
from zk_autograd.run import environment as environments
from zk_autograd.run import train_log
from zk_autograd.run.events import Event, Listener, RecordWritten, ignore
from zk_autograd.run.files import Files, exists, of_the_run
from zk_autograd.run.journal import Journal
from zk_autograd.run.layout import Layout
from zk_autograd.run.log import whole_leaves
from zk_autograd.run.writer import RunWriter

MAX_CONFIG = 2**20
"""Bytes of config.toml: hiding a secret may make it longer than the text that was checked."""


def checked_config(text: str) -> str:
    """The text, if config.toml can hold it. UsageError unless it is TOML within
    core.bounded_toml."""
    try:
        bounded_toml.parse(text, "it")
    except UsageError as error:
        raise UsageError(f"config is not a TOML text that a run can keep: {error}") from error
    return text


class Artefacts:
    """The files of one run. As a listener it may be called from two threads, and before `begin` or
    `resume`; it passes events on."""

    def __init__(
        self,
        listener: Listener = ignore,
        *,
        environment: Callable[[], bytes] = environments.current,
        config: str | None = None,
        files: Files | None = None,
        clock: Callable[[], float] = monotonic,
        redactor: Redactor = PROCESS,
    ) -> None:
        """`environment` gives environment.json's bytes, `config` is the text of config.toml."""
        self._listener = listener
        self._environment = environment
        self._config = config
        self._files = files or Files()
        self._hasty = files or Files(fsync=lambda fd: None)
        self._clock = clock
        self._redactor = redactor
        self._began = clock()
        self._changing = threading.Lock()
        self._layout: Layout | None = None
        self._proved: set[int] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RecordWritten):
            with self._changing:
                if self._layout is not None:  # else `resume` finds the record, which is in the log by now
                    self._add_proved(event)
        self._listener(event)

    def begin(self, writer: RunWriter) -> None:
        """The files of a run that has no steps yet. RunError if they can't be written."""
        with self._changing:
            layout = Layout(writer.path)
            self._write_inputs(layout, self._environment())
            self._write(layout, TRAIN_LOG, train_log.line(train_log.begin(writer.header)))
            self._layout = layout

    def resume(self, writer: RunWriter) -> None:
        """Completes the files, and logs that the run was resumed. RunError."""
        with self._changing:
            layout = Layout(writer.path)
            environment = self._environment()
            self._write_inputs(layout, environment)
            events = self._mended(layout, writer)
            recorded = read(layout.root / ENVIRONMENT, environments.MAX_BYTES)
            try:
                changes = environments.differences(recorded, environment)
            except VerificationError as error:
                raise _altered(layout.root / ENVIRONMENT, error) from error
            events.append(train_log.resumed(writer.step, changes))
            self._write(layout, TRAIN_LOG, b"".join(map(train_log.line, events)))
            self._layout = layout

    def step(self, number: int, loss: str, lr: tuple[str, ...], saturated: int) -> None:
        """Logs step `number` with its rates `lr` (train_log.rates). RunError if that fails."""
        with self._changing:
            self._append(train_log.step(number, loss, lr, saturated, self._seconds()))

    def finish(self, writer: RunWriter, published: IntArray | None) -> dict[str, bytes]:
        """Writes the last line and hashes.json, and returns the files' SHA-256 by name. `published`
        is the final W if it is published.

        Called once the run is drained, just before its close record is written.
        """
        with self._changing:
            layout = self._layout
            assert layout is not None
            log = read(layout.root / TRAIN_LOG, train_log.MAX_BYTES)
            log += train_log.line(train_log.close(writer.step, writer.segments_done))
            self._write(layout, TRAIN_LOG, log)  # whole: appended lines may not be on the disk yet
            config = read(layout.root / CONFIG, MAX_CONFIG) if exists(layout.root / CONFIG) else None
            environment = read(layout.root / ENVIRONMENT, environments.MAX_BYTES)
            weights = None if published is None else weights_hash(published)
            hashes = Hashes.of(config, writer.header.data, environment, weights, writer.header.exact)
            self._write(layout, HASHES, hashes.encode())
            contents = {ENVIRONMENT: environment, CONFIG: config, TRAIN_LOG: log, HASHES: hashes.encode()}
            return {name: sha256(data).digest() for name, data in contents.items() if data is not None}

    def _mended(self, layout: Layout, writer: RunWriter) -> list[Mapping[str, Json]]:
        """The events of the existing log, completed by what it lacks."""
        header = writer.header
        with _opened(layout.log / RECORDS, MAX_LOG) as fd, open(fd, "rb", closefd=False) as file:
            leaves, _ = whole_leaves(file)  # the proving thread may be writing another
        segments = parse_log(leaves).segments
        self._proved = {segment.index for segment in segments}
        steps = {
            t: event
            for s in segments
            for t, event in zip(range(s.first, s.last + 1), train_log.steps_of(header, s), strict=True)
        }
        journal = Journal(layout.segments, header, writer.header_digest, self._files)
        for index in journal.segments():
            for number in journal.steps(index):
                if number not in steps:
                    step = journal.step(index, number)
                    rates = train_log.rates(header, number, step.lr)
                    steps[number] = train_log.step(number, step.claims.loss, rates, step.claims.saturated, "")
        path = layout.root / TRAIN_LOG
        old: list[dict[str, Json]] = []
        if exists(path):
            with _opened(path, train_log.MAX_BYTES) as fd, open(fd, "rb", closefd=False) as file:
                old = train_log.whole_events(file)
        if not old or old[0]["event"] != "begin":
            old.insert(0, train_log.begin(header))
        return train_log.mended(old, steps, {s.index: s.last for s in segments})

    def _write_inputs(self, layout: Layout, environment: bytes) -> None:
        """Writes what the run is made from, unless it is there: one stopped early may lack it."""
        if not exists(layout.root / ENVIRONMENT):
            self._write(layout, ENVIRONMENT, environment)
        if self._config is not None and not exists(layout.root / CONFIG):
            self._write(layout, CONFIG, self._redactor.text(self._config).encode())

    def _add_proved(self, event: RecordWritten) -> None:
        if event.segment not in self._proved:
            self._proved.add(event.segment)
            self._append(train_log.proved(event.segment, event.last_step, self._seconds()))

    def _append(self, event: Mapping[str, Json]) -> None:
        assert self._layout is not None
        self._hasty.append(self._layout.root / TRAIN_LOG, train_log.line(event))

    def _write(self, layout: Layout, name: str, data: bytes) -> None:
        self._files.write_atomic(layout.root / name, data)

    def _seconds(self) -> str:
        return f"{self._clock() - self._began:.3f}"


def require_own_names(artefacts: Mapping[str, bytes]) -> None:
    """UsageError if one of a caller's artefacts has the name of a file that is written here."""
    for name in artefacts:
        if name in ARTEFACTS:
            raise UsageError(f"{name} is written by the run itself: give your artefact another name")


def read(path: Path, limit: int) -> bytes:
    """The bytes of a run's own file. RunError if it can't be read."""
    try:
        return read_bounded(path, limit)
    except VerificationError as error:
        raise _altered(path, error) from error


@contextmanager
def _opened(path: Path, limit: int) -> Iterator[int]:
    try:
        with open_bounded(path, limit) as fd:
            yield fd
    except VerificationError as error:
        raise _altered(path, error) from error


def _altered(path: Path, error: VerificationError) -> RunError:
    return of_the_run(error, f"{path} is not what the trainer wrote: {error}; restore it from a copy")

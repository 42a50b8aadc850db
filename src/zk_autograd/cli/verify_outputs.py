"""What zk-verify writes besides its report: a page, a signed verdict, the headings of Annex XI.

All that can be refused is refused before the run is judged; the files are written before the report
is printed, so that no verdict stands on a screen while a file that was asked for is missing.
"""

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zk_autograd.cli.output import Output
from zk_autograd.core.errors import UsageError

if TYPE_CHECKING:
    from zk_autograd.credentials.auditor_key import AuditorKey
    from zk_autograd.verify.report import Report

_INSIDE = "a file there that no record names counts against the run; choose another place"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this module."""
    group = parser.add_argument_group("what else is written")
    group.add_argument(
        "--report", type=Path, metavar="FILE", help="write the report as a page (HTML, one file, without scripts)"
    )
    group.add_argument(
        "--svr",
        type=Path,
        metavar="FILE",
        help="write the verdict for a policy engine: an in-toto Simple Verification Result, signed with --svr-key",
    )
    group.add_argument(
        "--svr-key", type=Path, metavar="FILE", help="your own private key for --svr: Ed25519 or ECDSA P-256, in PEM"
    )
    group.add_argument(
        "--annex-xi",
        action="store_true",
        help="say what the report has for the headings of Annex XI of the EU AI Act; also in --report and --json",
    )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the flags ask for; the files' names are free."""

    page: Path | None = None
    svr: Path | None = None
    key: "AuditorKey | None" = None
    annex_xi: bool = False

    def write(self, report: "Report", output: Output) -> None:
        """Writes the files. UsageError or StorageError if one can't be made."""
        from zk_autograd.local.new_files import write_new

        made = datetime.now(UTC)
        if self.page is not None:
            from zk_autograd.verify.page.document import page

            write_new(self.page, page(report, made, annex_xi=self.annex_xi).encode("ascii"), "--report")
        if self.svr is not None:
            data = self._signed(report, made)
            if data is None:
                output.note(
                    f"{self.svr} was not written: nothing of the run could be read that a signed verdict could be about"
                )
            else:
                write_new(self.svr, data, "--svr")

    def text(self, report: "Report", width: int, *, long: bool) -> str:
        """The report for a reader: the whole one, whose last line is the verdict, or the brief one,
        which begins with it; with Annex XI's headings if they were asked for."""
        from zk_autograd.verify.brief import brief

        said = report.text(width) if long else brief(report, width)
        if not self.annex_xi:
            return said
        from zk_autograd.verify import annex_xi

        headings = annex_xi.text(report, width)
        return f"{headings}\n\n{said}" if long else f"{said}\n\n{headings}"

    def json(self, report: "Report") -> dict[str, Any]:
        """The report as JSON values, with Annex XI's headings if they were asked for."""
        value = report.to_json()
        if self.annex_xi:
            from zk_autograd.verify import annex_xi

            value["annex_xi"] = annex_xi.to_json(report)
        return value

    def _signed(self, report: "Report", made: datetime) -> bytes | None:
        """The envelope's bytes; None if there is nothing that it could be about."""
        from zk_autograd.verify import svr

        if next(svr.subjects(report), None) is None:
            return None
        assert self.key is not None
        envelope = self.key.signed(svr.envelope(report, made))
        return (json.dumps(envelope.to_json()) + "\n").encode("ascii")


def prepared(arguments: argparse.Namespace, run: Path | str) -> Outputs:
    """What the flags ask for, to be called before the run at `run` is judged. UsageError for what
    can't be written, and for a key that can't sign; StorageError where the system refuses."""
    if arguments.svr is not None and arguments.svr_key is None:
        raise UsageError("--svr: a verdict is signed with your own key: give it with --svr-key FILE")
    if arguments.svr_key is not None and arguments.svr is None:
        raise UsageError("--svr-key makes no sense without --svr FILE")
    named = [
        (flag, path) for flag, path in (("--report", arguments.report), ("--svr", arguments.svr)) if path is not None
    ]
    if not named:
        return Outputs(annex_xi=arguments.annex_xi)
    from zk_autograd.local.new_files import require_new, require_outside

    for flag, path in named:
        require_new(path, flag)
        if isinstance(run, Path):  # nothing is written into what lies at a URL
            require_outside(path, run, flag, _INSIDE)
    if len(named) == 2 and arguments.report.resolve() == arguments.svr.resolve():
        raise UsageError("--report and --svr name the same file")
    key = None
    if arguments.svr_key is not None:
        from zk_autograd.credentials import auditor_key

        key = auditor_key.load(arguments.svr_key)
    return Outputs(arguments.report, arguments.svr, key, arguments.annex_xi)

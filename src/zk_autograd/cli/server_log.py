"""What a server's command says of each answer."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from zk_autograd.cli.output import Output


def log_lines(output: Output, *, json_output: bool) -> Callable[[str, str, int], None]:
    """Writes a line to standard error for each answer."""

    def log(method: str, about: str, status: int) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if json_output:
            output.note(json.dumps({"time": now, "method": method, "about": about, "status": status}))
        else:
            output.note(f"{now} {method} {status} {about}")

    return log

"""Runs the command line of OpenSSF model signing, unmodified, in its own environment: standard
input holds a JSON list of [folder, arguments], standard output gets one of [exit status, output].

One process for several commands, since loading the package takes most of the time.
"""

import json
import os
import sys


def main() -> None:
    from click.testing import CliRunner
    from model_signing._cli import main as model_signing

    found = []
    for folder, arguments in json.load(sys.stdin):
        os.chdir(folder)
        result = CliRunner().invoke(model_signing, arguments)
        found.append([result.exit_code, result.output])
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""`zk-circuit`: the published circuits, those of the native prover, and the SRS that EZKL's keys
are made from."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from zk_autograd.cli.output import Output, Parser, run_command


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="zk-circuit",
        description="The circuits of the backends, and the structured reference string (SRS) that EZKL's keys are made from.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build EZKL's circuits from their relations, and compare or write them")
    build.add_argument("names", nargs="*", metavar="NAME", help="circuits to build (default: all)")
    build.add_argument("--out", type=Path, metavar="DIR", help="write the files there instead of comparing digests")
    build.add_argument("--srs", type=Path, metavar="FILE", help="the SRS for the sample proof that --out measures")
    build.add_argument("--json", action="store_true", help="print one JSON object")

    digest = commands.add_parser(
        "digest", help="print the digests of EZKL's published circuits, and of the native ones"
    )
    digest.add_argument("names", nargs="*", metavar="NAME", help="circuits (default: all)")
    digest.add_argument("--json", action="store_true", help="print one JSON object")

    explain = commands.add_parser(
        "explain",
        help="print what a native circuit proves, or which relation a witness breaks",
        description="Prints columns, relations and parameters of a circuit of the native prover. With --witness: the first relation that a "
        "witness breaks (exit status 1), or that it breaks none.",
    )
    explain.add_argument("name", metavar="NAME", help="as in a run's header: native/RULE-PRESET")
    explain.add_argument(
        "--witness",
        type=Path,
        metavar="FILE.npz",
        help="int64 arrays: constants (T, 5), G (T, N) and each state (T + 1, N), with powers of two for T and N",
    )
    explain.add_argument("--json", action="store_true", help="print one JSON object")

    srs = commands.add_parser(
        "srs",
        help="make, add, identify or list SRS files",
        description="Whoever makes an SRS can forge proofs under it: a trainer uses one that the auditor made, or a public ceremony's.",
    )
    what = srs.add_mutually_exclusive_group()
    what.add_argument("--out", type=Path, metavar="FILE", help="make a random SRS (about 20 s) and write it there")
    what.add_argument("--add", type=Path, metavar="FILE", help="copy an SRS into the cache, where zk-train finds it")
    what.add_argument("--digest", type=Path, metavar="FILE", help="print the digest of an SRS file")
    srs.add_argument(
        "--logrows", type=int, default=16, metavar="K", help="size of a new SRS: 2^K rows (default and least: 16)"
    )
    srs.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _selected(names: Sequence[str], known: Sequence[str]) -> list[str]:
    from zk_autograd.core.errors import UsageError

    for name in names:
        if name not in known:
            raise UsageError(f"there is no circuit {name!r}: it is one of {', '.join(known)}")
    return list(names or known)


def _build(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.prove.ezkl.child import Child
    from zk_autograd.prove.ezkl.circuit import catalogue
    from zk_autograd.prove.ezkl.keys import Cache

    try:
        from zk_autograd.prove.ezkl import build
    except ImportError as error:
        raise UsageError("building a circuit needs onnx: pip install 'zk-autograd[dev]'") from error
    child, cache, same = Child(), Cache(), True
    srs = None
    if arguments.out is not None:
        if arguments.srs is None:
            raise UsageError("--out needs --srs FILE: the length of a circuit's proofs is measured on one")
        srs = cache.add_srs(arguments.srs)
    results = {}
    shapes = {catalogue.circuit_name(r, *s): (r, *s) for r, shapes in catalogue.SHAPES.items() for s in shapes}
    for name in _selected(arguments.names, catalogue.names()):
        circuit = build.build(*shapes[name], child)
        entry: dict[str, object] = {"digest": circuit.digest.hex()}
        if srs is not None:
            circuit = build.measured(circuit, srs, cache, child)
            build.write(circuit, arguments.out / name)
            output.line(f"{name}  {circuit.digest.hex()}  written to {arguments.out / name}")
        else:
            entry["published"] = catalogue.load(name).digest.hex()
            equal = entry["published"] == entry["digest"]
            same = same and equal
            output.line(f"{name}  {circuit.digest.hex()}  {'as published' if equal else 'NOT as published'}")
        results[name] = entry
    output.result({"circuits": results})
    return 0 if same else 1


def _digest(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.prove.ezkl.circuit import catalogue
    from zk_autograd.prove.native import shape

    published, native = catalogue.names(), shape.names()
    digests = {}
    for name in _selected(arguments.names, [*published, *native]):
        try:
            digest = catalogue.load(name).digest if name in published else shape.circuit_digest(name)
        except UsageError as error:
            if arguments.names:
                raise
            output.note(f"the native circuits have no digests here: {error}")
            break
        digests[name] = digest.hex()
        output.line(f"{name}  {digest.hex()}")
    output.result({"circuits": digests})
    return 0


def _explain(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.prove.native import shape, witness

    _selected([arguments.name], shape.names())
    if arguments.witness is None:
        text, digest = shape.description(arguments.name), shape.circuit_digest(arguments.name).hex()
        for line in text.removesuffix("\n").split("\n"):
            output.line(line)
        output.line(f"digest {digest}")
        output.result({"circuit": arguments.name, "digest": digest, "description": text})
        return 0
    rule, _ = shape.circuit(arguments.name)
    broken = witness.explain(rule, witness.read(arguments.witness, rule))
    output.line("the witness breaks no relation" if broken is None else str(broken))
    output.result({"circuit": arguments.name, "broken": None if broken is None else asdict(broken)})
    return 0 if broken is None else 1


def _srs(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.core.errors import UsageError
    from zk_autograd.prove.ezkl.child import Child
    from zk_autograd.prove.ezkl.circuit.relations import LOGROWS
    from zk_autograd.prove.ezkl.keys import MAX_LOGROWS, Cache, file_digest, make_srs, srs_logrows

    if arguments.out is not None:
        if not LOGROWS <= arguments.logrows <= MAX_LOGROWS:
            raise UsageError(
                f"--logrows {arguments.logrows}: the circuits need {LOGROWS}, and {MAX_LOGROWS} is the maximum"
            )
        digest = make_srs(arguments.out, Child(), arguments.logrows)
        output.line(f"{digest.hex()}  {arguments.out}")
        output.note("whoever made this SRS can forge proofs under it: use it as an auditor, or for tests")
    elif arguments.add is not None:
        digest = Cache().add_srs(arguments.add)
        output.line(f"{digest.hex()}  {Cache().srs_path(digest)}")
    elif arguments.digest is not None:
        srs_logrows(arguments.digest)
        digest = file_digest(arguments.digest)
        output.line(digest.hex())
    else:
        found = [d.hex() for d in Cache().srs_digests()]
        for text in found:
            output.line(text)
        output.result({"srs": found})
        return 0
    output.result({"srs": digest.hex()})
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command's exit status."""
    arguments = _parser().parse_args(argv)
    commands = {"build": _build, "digest": _digest, "explain": _explain, "srs": _srs}
    return run_command(lambda output: commands[arguments.command](arguments, output), json_output=arguments.json)


if __name__ == "__main__":
    sys.exit(main())

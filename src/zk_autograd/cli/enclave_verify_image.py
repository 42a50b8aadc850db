"""`zk-enclave verify-image`: whether an image may be started here."""

import argparse
from pathlib import Path

from zk_autograd.cli.output import Output

HELP = "check an image's signature, its bill of materials and its measurement, as run does before it starts one"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="the image (EIF); its signatures lie beside it")
    parser.add_argument(
        "--image-key",
        type=Path,
        required=True,
        metavar="FILE",
        help="the public key that signs your images (ECDSA P-256, PEM)",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="and the measurement must be one of this policy's [attestation]"
    )


def run(arguments: argparse.Namespace, output: Output) -> int:
    from zk_autograd.enclave.launching import checked_image

    with checked_image(arguments.image, arguments.image_key, arguments.policy) as found:
        output.line(f"{arguments.image}: SHA-256 {found.image.digest.hex()}, signed by {found.key.fingerprint}")
        output.line(f"bill of materials: {found.image.packages} packages, {found.image.document or 'no name'}")
        for name, value in found.measurement.items():
            output.line(f"{name}  {value}")
        output.line(found.judged)
        output.result(
            {
                "image": str(arguments.image),
                "sha256": found.image.digest.hex(),
                "key": found.key.fingerprint,
                "packages": found.image.packages,
                **found.measurement,
                "in_policy": None if arguments.policy is None else True,  # false is an error
            }
        )
    return 0

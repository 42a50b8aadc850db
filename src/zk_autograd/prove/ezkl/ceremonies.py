"""SRS files of public ceremonies, by SHA-256: they are allowed by default.

Perpetual Powers of Tau for BN254 in the form that EZKL reads, `perpetual-powers-of-tau-raw-<k>`;
the digests are those that EZKL itself requires of these files (zkonduit/ezkl, src/srs_sha.rs).
Forging under one takes every participant of the ceremony. The circuits need k = 16 or more.
"""

_POWERS_OF_TAU = {
    16: "2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3",
    17: "41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7",
    18: "d0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034",
    19: "d1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d",
    20: "54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963",
}

CEREMONIES: dict[bytes, str] = {
    bytes.fromhex(digest): f"Perpetual Powers of Tau, 2^{k} powers" for k, digest in _POWERS_OF_TAU.items()
}
"""The ceremony of each digest."""

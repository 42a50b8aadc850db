"""The EZKL backend: a checker circuit for halo2 with KZG commitments over BN254."""

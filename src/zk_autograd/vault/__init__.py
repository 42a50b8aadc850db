"""Training state and inputs, sealed so that a stolen disk is worth nothing."""

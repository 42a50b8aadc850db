"""A witness: it cosigns the checkpoints of logs that it knows, one branch of each (C2SP
tlog-witness)."""

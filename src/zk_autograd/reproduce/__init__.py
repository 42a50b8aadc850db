"""`zk-train reproduce`: training again, and comparing with what a run says."""

"""Proving backends behind one protocol, and the scheduling of their work."""

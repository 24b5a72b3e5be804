"""Ratios that anyone can repeat: riskflow against the old way, the bare limit and the peers."""

"""Seeded clusters of the production Raft core, with faults, in virtual time; then checkers. See `world.py`."""

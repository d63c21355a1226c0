"""Tests by layer: unit, raft, contract, sim, cluster, fuse, bench; and the demo."""

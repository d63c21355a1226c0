"""Tests of the block transfer protocol: its framing, and chains of real sockets."""

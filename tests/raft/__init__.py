"""The Raft core, step by step: scripts in `testdata/` with their expected output, and tests of its parts."""

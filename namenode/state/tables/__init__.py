"""The tables of the state machine in LMDB, and typed reads and writes of them."""

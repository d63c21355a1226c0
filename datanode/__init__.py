"""The block server: replicated blocks in LMDB, moved over plain TCP."""

"""The metadata service: a Raft group that holds the namespace and the block map."""

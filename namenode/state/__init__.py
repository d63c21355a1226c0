"""The replicated state machine: namespace, block map and sessions, in LMDB. It knows nothing of Raft or gRPC."""

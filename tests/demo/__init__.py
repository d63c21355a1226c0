"""`make demo`: a cluster, real files, two kills in the middle, every byte compared."""

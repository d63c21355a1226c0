"""One suite per seam; each implementation passes the whole of it."""

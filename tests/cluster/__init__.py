"""Tests on real processes: clusters in temporary folders, with members killed and started again."""

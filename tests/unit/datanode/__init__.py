"""Tests of the datanode."""

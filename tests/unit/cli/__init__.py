"""Tests of the command line against a file system in a temporary folder."""

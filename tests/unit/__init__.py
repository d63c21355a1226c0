"""Tests of single modules, without a socket or a sleep; the folders mirror the packages."""

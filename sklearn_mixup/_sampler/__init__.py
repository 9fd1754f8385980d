"""Rows from the vicinity of the data itself."""

"""Frozen test vectors of the record, and the script that makes them."""

"""The tables and figures of the mixup paper, run again: ``python -m benchmarks NAME``."""

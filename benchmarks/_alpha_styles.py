"""What benchmarks that have no folder yet import; gone with the last of them."""

from benchmarks._lab.figures import alpha_colours, alpha_name, keep_quiet

__all__ = ["alpha_colours", "alpha_name", "keep_quiet"]

"""What benchmarks that have no folder yet import; gone with the last of them."""

from benchmarks._lab.options import add_alphas, add_data_options, add_dry_run

__all__ = ["add_alphas", "add_data_options", "add_dry_run"]

"""What networks the experiments share, and the libraries that they come from."""

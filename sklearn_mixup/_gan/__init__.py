"""MixupGAN: what it is, its steps and its checks."""

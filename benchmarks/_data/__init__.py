"""The data sets: where their files are, how they get there, and what they hold."""

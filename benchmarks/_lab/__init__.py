"""The laboratory: what an experiment is, and how one is run, compared, told and drawn."""

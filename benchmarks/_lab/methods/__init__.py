"""Methods beside each other on tables: how they are made and run, compared, told and drawn."""

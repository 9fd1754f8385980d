"""Changes of a recipe, each beside what it changes: compared, told and drawn."""

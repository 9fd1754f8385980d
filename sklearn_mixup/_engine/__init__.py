"""The steps of one net or of many: written out, stacked, recorded."""

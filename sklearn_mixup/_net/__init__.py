"""What a net is put together from, from its device to an epoch of skorch's loop."""

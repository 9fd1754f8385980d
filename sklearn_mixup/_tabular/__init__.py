"""Tables of any kind, and the committee of nets that is trained on them."""

"""Many nets trained together, and scikit-learn's tools around them."""

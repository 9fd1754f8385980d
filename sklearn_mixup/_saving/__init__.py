"""One safe file for a fitted estimator: JSON and safetensors in a ZIP, and no code."""

"""What a fitted classifier makes of rows, and of points between them."""

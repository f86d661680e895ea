"""One script per question; results as JSON with what made them."""

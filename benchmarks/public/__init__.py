"""Public video question benchmarks, over the product's own path."""

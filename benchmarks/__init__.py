"""The speed, the memory and the size of conversions, measured beside those of others: see docs/performance.md."""

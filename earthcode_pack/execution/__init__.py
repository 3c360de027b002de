"""Functions run on threads, in child processes or on Dask, and the waits for them."""

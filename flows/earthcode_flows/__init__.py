"""The Prefect flows: they call the package and touch no file or socket themselves."""

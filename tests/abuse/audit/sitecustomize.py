import sitecustomize_of_abuse  # noqa: F401 - in the processes that a command starts

"""The package's log lines in the run's log."""

import logging

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler


def logs_to_prefect() -> None:
    """Sends the package's INFO lines to the run's log; done twice it does nothing more.

    The level is set here because Prefect's ``PREFECT_LOGGING_EXTRA_LOGGERS`` leaves it at WARNING. That setting brings
    the handler where the deployment has it; elsewhere it is added.
    """
    logger = logging.getLogger("earthcode_pack")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        handler = APILogHandler()
        handler.addFilter(_within_a_run)
        logger.addHandler(handler)


def _within_a_run(record: logging.LogRecord) -> bool:  # noqa: ARG001 - the signature of a filter
    """Threads of a library know no run; their lines stay in the process."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None

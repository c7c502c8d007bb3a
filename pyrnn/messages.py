"""Where messages of training go: to the terminal, or to Python's logging."""

from __future__ import annotations

import logging

from pyrnn import config, ranks


def say(text: str) -> None:
    """Print a line, or pass it to the logger "pyrnn" while interactive logging is disabled.

    Of several processes that train together the first one does.

    Args:
        text: The line; a line break in front of it is only printed.
    """
    if not ranks.is_first():
        return
    if config.is_interactive_logging_enabled():
        print(text, flush=True)
    else:
        logging.getLogger("pyrnn").info(text.strip())

"""Refusals: what a caller got wrong, in one sentence that says how to go on."""

import importlib
from typing import Any


class Refusal(ValueError):
    """Bad input, or a state of the world that the caller can mend.

    The message says what was wrong, what is allowed, and how to go on: a command line prints it
    and nothing else. Whatever else is raised is a bug of this project, and keeps its traceback.
    """


class MissingPackage(Refusal, ImportError):
    """A package that only an extra installs; the message says how to install it."""


def require_extra(module: str) -> Any:
    """Import a package that only the `experiments` extra installs.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f'{error}. Install it with: pip install "gan_jax[experiments]"'
        ) from None

"""What goes wrong, as exceptions. Their texts say what, where, why and what to do."""


class Error(Exception):
    """Any failure that jlcm reports."""


class InputError(Error, ValueError):
    """A file or an argument is wrong."""


class SystemRefused(Error, OSError):
    """The machine refused: memory, disk, permissions."""


class Stopped(Error):
    """The work was stopped from outside."""


class InternalError(Error, RuntimeError):
    """A fault of jlcm itself."""


def require(condition: object, message: str) -> None:
    """Raises an InputError with this message unless the condition holds."""
    if not condition:
        raise InputError(message)

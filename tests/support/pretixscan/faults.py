"""How a phone's day can go wrong: one root, and a class for each way that a test may want to tell apart."""

from __future__ import annotations


class AppError(Exception):
    """`where` is the request or field that it happened at, `why` says it in words."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why


class Crash(AppError):
    """The app would crash, end its sync or show an error where an answer was due."""


class Abort(Crash):
    """What the app catches: mostly its sync ends here, but the protocol page names calls whose errors it ignores."""


class NotFound(Abort):
    """A 404 whose body does not start with `{`, the only one that counts as "not found" (section 1.1, status rules)."""


class Unreachable(Abort):
    """No answer: refused, cut or timed out."""


class Unpromised(Crash):
    """The app may bear this answer, but it is not of the shape that the box promises (`schemas`)."""


class Wiped(AppError):
    """401 with the words at which the app deletes its data (section 1.1, status rules)."""


class LoggedOut(AppError):
    """Any other 401."""


class Refused(AppError):
    """An error that the app shows as such: `title` is what the operator reads, `status` the HTTP status."""

    def __init__(self, where: str, status: int, title: str) -> None:
        super().__init__(where, f"{status}, {title!r}")
        self.status, self.title = status, title

"""Looking into files that people upload: the type by content, and what is refused.

The looking itself is `inspection_child`, in a child process with limits: nothing of a stranger's
file is read in the server's own process.
"""

import json
import logging
from typing import IO, Final

from onrecord.model import files
from onrecord.model.errors import Refusal
from onrecord.model.filenames import ending_of
from onrecord.outside.limited import Children, Failed, Limits, TooMuch

AT_ONCE: Final = 2
LIMITS: Final = Limits(seconds=60, cpu=30, memory=512 * 1024**2, output=4096)
"""A document of 100 MB takes a second or two, and an archive that unpacks to 1 GB five."""
ENDING_MOST: Final = 16
"""Characters of an ending that are told back."""

log = logging.getLogger(__name__)


class ChildInspector:
    """Looks into files, two at once."""

    def __init__(self, children: Children | None = None) -> None:
        """Look with these children, or with own ones."""
        self._children = children or Children(AT_ONCE)

    async def inspect(self, file: IO[bytes], filename: str) -> str:
        """Give the content type (`model.files`) that both name and content say.

        RB016, saying which: a type that is never taken, a name that says something else than the
        content, encrypted or under a password, with macros, a bomb, too large a picture, damaged,
        two files in one, more than can be looked into within the limits. RX503: too many wait.
        """
        ending = ending_of(filename)
        row = files.BY_ENDING.get(ending)
        if row is None:
            raise Refusal("RB016", _not_taken(ending))
        argument = {"form": row.form, "content_type": row.content_type}
        try:
            answer = await self._children.run(
                "onrecord.outside.inspection_child", argument, limits=LIMITS, files=[file]
            )
        except TooMuch as error:
            raise Refusal("RB016", f"Looking into the file takes too much {error.of}") from error
        except Failed as error:
            log.warning("a file that ends in .%s could not be looked into: %s", ending, error)
            raise Refusal("RB016", "The file is damaged") from error
        found = json.loads(answer)
        if found["other"]:
            raise Refusal("RB016", f"The name ends in .{ending}, but the file holds something else")
        if found["refused"]:
            raise Refusal("RB016", found["refused"])
        return row.content_type


def _not_taken(ending: str) -> str:
    if not ending or len(ending) > ENDING_MOST:
        return "The file's name has no ending that tells its type"
    return f"Files that end in .{ending} are not taken"

"""The tables of what jobs do: a handler for each kind, and the chores of every minute."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from onrecord.app import App
from onrecord.jobs import accounts, attachments, imports, membership, post, searching
from onrecord.store.jobs import Job

Handler = Callable[[App, Job], Awaitable[None]]

HANDLERS: Final[Mapping[str, Handler]] = {
    **post.HANDLERS,
    **imports.HANDLERS,
    **accounts.HANDLERS,
    **membership.HANDLERS,
}
"""Who runs a job of a kind. A handler ends its job with `jobs.finish` in the work of its last
change; one that returns without has done it well. A Refusal or Undeliverable is final, any other
exception is tried again for a day."""

CHORES: Final[tuple[Callable[[App], Awaitable[None]], ...]] = (
    *post.CHORES,
    imports.forget_old,
    attachments.sweep,
    *searching.CHORES,
)
"""What is looked after every minute."""

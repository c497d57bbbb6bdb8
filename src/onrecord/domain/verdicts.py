"""The verdict on any credential: keys, and sessions of persons (contract, section 1)."""

from onrecord.domain import credentials, sessions
from onrecord.domain.credentials import Credential, Demand
from onrecord.model.access import Actor
from onrecord.store.db import Session


async def judge(session: Session, credential: Credential, demand: Demand) -> Actor:
    """Reach the verdict on a credential from the tables: an Actor, or the first Refusal."""
    if credential.kind in {"session", "sdk"}:
        return await sessions.judge(session, credential, demand)
    return await credentials.judge(session, credential, demand)

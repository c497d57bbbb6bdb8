"""From headers to a credential, and from a connection to the address it comes from."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal

from onrecord.domain.keys import Credential, hash_secret, parse_address
from onrecord.model.errors import Refusal
from onrecord.web.endpoint import ON_BEHALF_OF

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

HEADERS: Final[tuple[tuple[Literal["system", "master_user", "user"], bytes, bytes], ...]] = (
    ("system", b"x-sys-api-key", b"x-sys-api-key-secret"),
    ("master_user", b"x-master-user-api-key", b"x-master-user-api-key-secret"),
    ("user", b"x-user-api-key", b"x-user-api-key-secret"),
)
ENTITY: Final = b"on-behalf-of-entity-uuid"
_LONGEST: Final = 500


def credential_of(
    headers: Mapping[bytes, bytes], query: Mapping[str, list[str]], address: Address | None
) -> Credential:
    """Give what a request shows of itself; RU003 when it shows nothing.

    Of several kinds of headers the first in the order of `HEADERS` counts.
    """
    for kind, key_header, secret_header in HEADERS:
        api_key = headers.get(key_header)
        if api_key is None:
            continue
        secret = headers.get(secret_header)
        if not api_key or not secret:
            raise Refusal("RU003", "A key's id and secret go together, each in its header")
        named = headers.get(ON_BEHALF_OF.encode())
        entity = headers.get(ENTITY)
        credential = Credential(
            kind,
            api_key.decode("latin-1")[:_LONGEST],
            hash_secret(secret),
            address,
            entity_uuid=None if entity is None else entity.decode("latin-1").strip(),
            on_behalf_of=None if named is None else named.decode("latin-1").strip(),
        )
        in_query = query.get(ON_BEHALF_OF)
        if in_query:
            wanted = in_query[-1].strip()
            mine = credential.on_behalf_of
            credential.contradiction = mine is not None and mine.lower() != wanted.lower()
            credential.on_behalf_of = wanted
        return credential
    raise Refusal(
        "RU003", "Send a key's id and secret, such as X-SYS-API-KEY and X-SYS-API-KEY-SECRET"
    )


@lru_cache(maxsize=10_000)
def source_of(
    peer: str | None, forwarded: str | None, trusted: Networks
) -> tuple[Address, str] | tuple[None, None]:
    """Give the address a request comes from, and its text; None when it cannot be told."""
    address = address_of(peer, forwarded, trusted)
    return (None, None) if address is None else (address, str(address))


def address_of(peer: str | None, forwarded: str | None, trusted: Networks) -> Address | None:
    """Give the address a request comes from, None when it cannot be told.

    The peer, unless that is a trusted proxy: then the right-most address of X-Forwarded-For that
    is not a trusted proxy. A malformed header of a trusted proxy tells nothing.
    """
    if peer is None:
        return None
    address = parse_address(peer)
    if not _is_in(address, trusted) or forwarded is None:
        return address
    try:
        hops = [parse_address(hop.strip()) for hop in forwarded.split(",")]
    except ValueError:
        return None
    for hop in reversed(hops):
        if not _is_in(hop, trusted):
            return hop
    return hops[0]


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)

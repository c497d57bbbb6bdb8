"""From headers to a credential, and from a connection to the address it comes from.

A session is a cookie. A page of another site cannot make a POST with it: the cookie is not sent
along (SameSite), and the request needs a token that only our own pages can read. A link on such a
page makes a GET with it, so one that puts something on record needs the token too when the browser
says that it comes from elsewhere.
"""

import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Literal

from onrecord.domain.credentials import Credential, hash_secret, parse_address
from onrecord.domain.sessions import LIVES, Opened, csrf_of
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.settings import Settings
from onrecord.web.endpoint import MEMBERSHIP, ON_BEHALF_OF

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

HEADERS: Final[tuple[tuple[Literal["system", "master_user", "user"], bytes, bytes], ...]] = (
    ("system", b"x-sys-api-key", b"x-sys-api-key-secret"),
    ("master_user", b"x-master-user-api-key", b"x-master-user-api-key-secret"),
    ("user", b"x-user-api-key", b"x-user-api-key-secret"),
)
ENTITY: Final = b"on-behalf-of-entity-uuid"
SESSION_COOKIE: Final = "onrecord_session"
DEVICE_COOKIE: Final = "onrecord_device"
DEVICE_LIVES: Final = 365 * 86_400
"""How long a browser keeps the cookie that its device is known by, in seconds."""
_MEMBERSHIP_HEADER: Final = b"x-entity-user-xref-uuid"
_LONGEST: Final = 500
_ELSEWHERE: Final = frozenset({b"cross-site", b"same-site"})
"""Values of Sec-Fetch-Site: a page of another origin has made the request."""


def credential_of(
    headers: Mapping[bytes, bytes],
    query: Mapping[str, list[str]],
    address: Address | None,
    *,
    posts: bool = False,
    secure: bool = False,
    writes: bool = False,
) -> Credential:
    """Give what a request shows of itself; RU003 when it shows nothing.

    Of several kinds of headers the first in the order of `HEADERS` counts, then an SDK token, then
    the cookie of a session. `posts`: the request may change something, for which the cookie alone
    is no credential (RU003). `secure`: the cookie bears the name that browsers guard. `writes`: it
    puts something on record, even if it is a GET.
    """
    for kind, key_header, secret_header in HEADERS:
        api_key = headers.get(key_header)
        if api_key is None:
            continue
        secret = headers.get(secret_header)
        if not api_key or not secret:
            raise Refusal("RU003", "A key's id and secret go together, each in its header")
        entity = headers.get(ENTITY)
        credential = Credential(
            kind,
            api_key.decode("latin-1")[:_LONGEST],
            hash_secret(secret),
            address,
            entity_uuid=None if entity is None else entity.decode("latin-1").strip(),
        )
        _note_member(credential, headers.get(ON_BEHALF_OF.encode()), query.get(ON_BEHALF_OF, ()))
        return credential
    return of_bearer_key(headers, address) or of_person(
        headers, query, address, posts=posts, secure=secure, writes=writes
    )


def of_bearer_key(headers: Mapping[bytes, bytes], address: Address | None) -> Credential | None:
    """Give the system key of `Authorization: Bearer <id>.<secret>`; SDK tokens hold no dot."""
    scheme, _, bearer = headers.get(b"authorization", b"").strip().partition(b" ")
    api_key, dot, secret = bearer.strip().partition(b".")
    if scheme.lower() != b"bearer" or not dot:
        return None
    if not api_key or not secret:
        raise Refusal("RU003", "A bearer credential is a key's id, a dot, and its secret")
    named = api_key.decode("latin-1")[:_LONGEST]
    return Credential("system", named, hash_secret(secret), address, is_bearer=True)


def of_person(
    headers: Mapping[bytes, bytes],
    query: Mapping[str, list[str]],
    address: Address | None,
    *,
    posts: bool,
    secure: bool,
    writes: bool = False,
) -> Credential:
    """Give the SDK token or session of a request; RU003."""
    scheme, _, bearer = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() == b"bearer" and bearer.strip():
        credential = Credential("sdk", "", hash_secret(bearer.strip()), address)
        return _for_membership(credential, headers, query, posts=posts)
    token = cookie(headers, cookie_name(SESSION_COOKIE, secure=secure))
    if not token:
        raise Refusal(
            "RU003", "Send a key's id and secret, such as X-SYS-API-KEY and X-SYS-API-KEY-SECRET"
        )
    if posts or (writes and headers.get(b"sec-fetch-site") in _ELSEWHERE):
        given = headers.get(b"x-csrf-token", b"")
        if not hmac.compare_digest(given, csrf_of(token).encode()):
            raise Refusal(
                "RU003", "Beside its cookie a session needs X-CSRF-Token, as GET session gives it"
            )
    credential = Credential("session", "", hash_secret(token), address)
    return _for_membership(credential, headers, query, posts=posts)


def _for_membership(
    credential: Credential,
    headers: Mapping[bytes, bytes],
    query: Mapping[str, list[str]],
    *,
    posts: bool,
) -> Credential:
    """Note which membership a person acts as: by header, on GET also as query parameter."""
    in_query = () if posts else query.get(MEMBERSHIP, ())
    _note_member(credential, headers.get(_MEMBERSHIP_HEADER), in_query)
    return credential


def _note_member(credential: Credential, in_header: bytes | None, in_query: Sequence[str]) -> None:
    """Note which member acts, and whether more than one is named."""
    named = [] if in_header is None else [in_header.decode("latin-1").strip()]
    named += [one.strip() for one in in_query]
    if named:
        credential.on_behalf_of = named[-1]
        credential.contradiction = len({one.lower() for one in named}) > 1


# -- cookies -------------------------------------------------------------------------------------


def cookie_name(name: str, *, secure: bool) -> str:
    """Give the name of a cookie; browsers let nobody but this very host set one of `__Host-`."""
    return f"__Host-{name}" if secure else name


def cookie(headers: Mapping[bytes, bytes], name: str) -> bytes | None:
    """Give the value of a cookie, the first one of that name."""
    for pair in headers.get(b"cookie", b"").split(b";"):
        key, _, value = pair.strip().partition(b"=")
        if key == name.encode():
            return value
    return None


def session_cookies(settings: Settings, opened: Opened) -> list[tuple[str, str]]:
    """Give the headers that hand a session, and the mark of its device, to the browser."""
    return [
        session_cookie(settings, opened.token),
        _set_cookie(settings, DEVICE_COOKIE, opened.device, DEVICE_LIVES),
    ]


def session_cookie(settings: Settings, token: str) -> tuple[str, str]:
    """Give the header that hands a session to the browser."""
    return _set_cookie(settings, SESSION_COOKIE, token, LIVES // times.SECOND)


def no_session_cookie(settings: Settings) -> tuple[str, str]:
    """Give the header that takes the session away from the browser."""
    return _set_cookie(settings, SESSION_COOKIE, "", 0)


def _set_cookie(settings: Settings, name: str, value: str, seconds: int) -> tuple[str, str]:
    secure = settings.secure_cookies
    parts = [f"{cookie_name(name, secure=secure)}={value}", "Path=/", f"Max-Age={seconds}"]
    parts += ["HttpOnly", "SameSite=Lax", *(["Secure"] if secure else [])]
    return "Set-Cookie", "; ".join(parts)


def device_of(settings: Settings, headers: Mapping[bytes, bytes]) -> str | None:
    """Give the mark by which a browser is known, if it has one."""
    value = cookie(headers, cookie_name(DEVICE_COOKIE, secure=settings.secure_cookies))
    return value.decode("latin-1")[:_LONGEST] if value else None


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

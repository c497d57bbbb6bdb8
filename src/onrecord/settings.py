"""The settings of an installation: name, default, a sentence each.

The only reader of the environment: `onrecord.toml` in the data directory, then `ONRECORD_*`, then
flags.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

FILE: Final = "onrecord.toml"
RATE_DEFAULT: Final = (1000, 10)
LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class SettingsError(ValueError):
    """A setting cannot be what it was set to; the message names it."""


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set of an installation."""

    # ruff: noqa: RUF009 - `_setting` makes a dataclass field, not a shared default value

    data_dir: Path = _setting(
        Path("onrecord-data"), "Where database, files and keys lie unless said otherwise."
    )
    database_url: str = _setting(
        "", "postgresql://… of a PostgreSQL database; empty: SQLite in the data directory."
    )
    public_url: str = _setting("", "The address under which people reach this server.")
    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(8080, "The port to listen on.")
    rate_limit: tuple[int, int] | None = _setting(
        RATE_DEFAULT, "Requests a key may make: N/SECONDS, or off."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (), "Addresses of proxies whose X-Forwarded-For is believed, separated by commas."
    )
    signing_key_file: Path | None = _setting(
        None, "The key that signs checkpoints; default: signing.key in the data directory."
    )
    log_level: str = _setting("info", "debug, info, warning or error.")
    metrics_allowed: tuple[IPv4Network | IPv6Network, ...] = _setting(
        LOOPBACK, "Addresses that may read /metrics, separated by commas; none: nobody."
    )
    security_contact: str = _setting(
        "",
        "Where to report a security problem: an email or https address;"
        " empty: /.well-known/security.txt is not there.",
    )

    @property
    def origin_host(self) -> str:
        """The host part of the origin lines of checkpoints made at the first start."""
        return urlsplit(self.public_url).hostname or "onrecord"

    @property
    def signing_key(self) -> Path:
        """Where the signing key lies."""
        return self.signing_key_file or self.data_dir / "signing.key"


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings; SettingsError names the one that is wrong.

    Flags whose value is None are not set.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    named = {row.name: f"ONRECORD_{row.name.upper()}" for row in fields(Settings)}
    from_environ = {name: environ[key] for name, key in named.items() if key in environ}
    data_dir = Path(given.get("data_dir") or from_environ.get("data_dir") or "onrecord-data")
    values: dict[str, Any] = {**_from_file(data_dir / FILE), **from_environ, **given}
    values["data_dir"] = data_dir
    settings = Settings()
    for name, value in values.items():
        if name not in named:
            msg = f"{name} is no setting"
            raise SettingsError(msg)
        try:
            settings = replace(settings, **{name: _READ[name](value)})
        except (ValueError, TypeError) as error:
            msg = f"{name}: {error}"
            raise SettingsError(msg) from error
    return settings


def _from_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: {error}"
        raise SettingsError(msg) from error


def _rate(value: Any) -> tuple[int, int] | None:
    if value in {None, "off"}:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", str(value))
    if not match:
        msg = "must be off or N/SECONDS"
        raise ValueError(msg)
    return int(match[1]), int(match[2])


def _networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(ip_network(part.strip()) for part in parts if part.strip())


def _database(value: Any) -> str:
    if value and not str(value).startswith(("postgresql://", "postgres://")):
        msg = "must begin with postgresql://"
        raise ValueError(msg)
    return str(value)


def _public(value: Any) -> str:
    parts = urlsplit(str(value))
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        msg = "must be an address such as https://chat.example.com"
        raise ValueError(msg)
    return str(value).rstrip("/")


def _contact(value: Any) -> str:
    """Give the URI that RFC 9116 wants; a bare email becomes one."""
    given = str(value).strip()
    if re.fullmatch(r"[^\s@:/]+@[^\s@:/]+", given):
        given = f"mailto:{given}"
    if given and not re.fullmatch(r"(mailto:|https://|tel:)[\x21-\x7e]+", given):
        msg = "must be an email address or begin with https://, mailto: or tel:"
        raise ValueError(msg)
    return given


def _port(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 65_536:  # noqa: PLR2004 - ports have 16 bits
        msg = "must be a port from 0 to 65535"
        raise ValueError(msg)
    return number


def _level(value: Any) -> str:
    if str(value).lower() not in {"debug", "info", "warning", "error"}:
        msg = "must be debug, info, warning or error"
        raise ValueError(msg)
    return str(value).lower()


_READ: Final[Mapping[str, Any]] = {
    "data_dir": Path,
    "database_url": _database,
    "public_url": _public,
    "host": str,
    "port": _port,
    "rate_limit": _rate,
    "trusted_proxies": _networks,
    "signing_key_file": Path,
    "log_level": _level,
    "metrics_allowed": _networks,
    "security_contact": _contact,
}

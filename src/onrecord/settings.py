"""The settings of an installation: name, default, a sentence each.

The only reader of the environment: `onrecord.toml` in the data directory, then `ONRECORD_*`, then
flags.
"""

import json
import os
import re
import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
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
    files_url: str = _setting(
        "",
        "Where files that people send lie: file:///a/directory, or s3://bucket/prefix, where"
        " ?endpoint=https://… and &region=… may follow and the key stands in AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY; empty: files in the data directory.",
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
    secrets_key_file: Path | None = _setting(
        None,
        "The key under which secrets that must be read back are encrypted; default: secrets.key in"
        " the data directory.",
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

    # What follows is about mails, texts and what comes back.
    mail_url: str = _setting(
        "",
        "The server that takes mail: smtp://user:password@host:587 (encrypted before anything is"
        " said, but on loopback) or smtps://…; empty: mail is not sent.",
    )
    mail_from: str = _setting("", "The address that mail comes from; needed with mail_url.")
    sms_url: str = _setting(
        "",
        "The provider of texts, in the form of Twilio's API: https://account:token@api.twilio.com;"
        " empty: texts are not sent.",
    )
    sms_from: str = _setting("", "The number or sender that texts come from; needed with sms_url.")
    dev_outbox: bool = _setting(
        False,  # noqa: FBT003 - a default, named right here
        "Keep mails and texts at /dev/outbox instead of sending them; on this machine alone.",
    )
    bounce_directory: Path | None = _setting(
        None, "A Maildir into which mail that came back is delivered; looked at every minute."
    )
    bounce_secret: str = _setting(
        "",
        "The secret with which the mail provider signs what it says about mail that came back;"
        " empty: nothing is taken from it.",
    )

    clamav: str = _setting(
        "",
        "The clamd of ClamAV that looks for malware in what people upload: unix:/path of its"
        " socket, or host:port; while it is away nothing is taken. Empty: nothing is looked for.",
    )

    @property
    def origin_host(self) -> str:
        """The host part of the origin lines of checkpoints made at the first start."""
        return urlsplit(self.public_url).hostname or "onrecord"

    @property
    def signing_key(self) -> Path:
        """Where the signing key lies."""
        return self.signing_key_file or self.data_dir / "signing.key"

    @property
    def secrets_key(self) -> Path:
        """Where the key for secrets that must be read back lies."""
        return self.secrets_key_file or self.data_dir / "secrets.key"

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies are for https alone: unless people come by plain http on this machine."""
        parts = urlsplit(self.public_url or f"http://{_bracketed(self.host)}")
        return not (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this very machine."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in LOOPBACK)


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
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """Refuse settings that only make sense with others."""
    if settings.mail_url and not settings.mail_from:
        raise SettingsError("mail_from: is needed with mail_url")
    if settings.sms_url and not settings.sms_from:
        raise SettingsError("sms_from: is needed with sms_url")
    if not settings.dev_outbox:
        return
    # Whoever can read the outbox can be anybody: it never leaves this machine.
    public = urlsplit(settings.public_url).hostname
    if not is_loopback(settings.host):
        raise SettingsError("dev_outbox: is for a server that listens on loopback alone")
    if settings.trusted_proxies:
        raise SettingsError("dev_outbox: is for a server without trusted proxies")
    if public is not None and not is_loopback(public):
        raise SettingsError("dev_outbox: is for a public URL on loopback alone")


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


def _storage(value: Any) -> str:
    parts = urlsplit(str(value))
    on_disk = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if value and not (on_disk or (parts.scheme == "s3" and parts.netloc)):
        msg = "must be file:///… or s3://bucket/…"
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


def _file(value: Any) -> Path | None:
    """Read a path; an empty one is none."""
    return Path(value) if value else None


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


def _switch(value: Any) -> bool:
    if str(value).lower() in {"1", "true", "yes", "on"}:
        return True
    if str(value).lower() in {"", "0", "false", "no", "off"}:
        return False
    msg = "must be true or false"
    raise ValueError(msg)


def _mail_server(value: Any) -> str:
    parts = urlsplit(str(value))
    if value and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname):
        msg = "must be an address such as smtp://user:password@mail.example.com:587"
        raise ValueError(msg)
    _ = parts.port  # raises for what is none
    return str(value)


def _mail_address(value: Any) -> str:
    given = str(value).strip()
    if given and not re.fullmatch(r"[\x21-\x7e]+@[A-Za-z0-9.-]+", given):
        msg = "must be an email address"
        raise ValueError(msg)
    return given


def _text_provider(value: Any) -> str:
    parts = urlsplit(str(value))
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if value and not (safe and parts.hostname and parts.username and parts.password):
        msg = "must be an address such as https://account:token@api.twilio.com"
        raise ValueError(msg)
    _ = parts.port  # raises for what is none
    return str(value)


def _clamav(value: Any) -> str:
    given = str(value).strip()
    host, _, port = given.rpartition(":")
    if not given or re.fullmatch(r"unix:/[^\x00-\x1f]+", given):
        return given
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]", host) or not port.isdecimal():
        msg = "must be unix:/path or host:port"
        raise ValueError(msg)
    _port(port)
    return given


_READ: Final[Mapping[str, Any]] = {
    "data_dir": Path,
    "database_url": _database,
    "files_url": _storage,
    "public_url": _public,
    "host": str,
    "port": _port,
    "rate_limit": _rate,
    "trusted_proxies": _networks,
    "signing_key_file": _file,
    "secrets_key_file": _file,
    "log_level": _level,
    "metrics_allowed": _networks,
    "security_contact": _contact,
    "mail_url": _mail_server,
    "mail_from": _mail_address,
    "sms_url": _text_provider,
    "sms_from": str,
    "dev_outbox": _switch,
    "bounce_directory": _file,
    "bounce_secret": str,
    "clamav": _clamav,
}


# -- the file ------------------------------------------------------------------------------------

_HEADINGS: Final = {
    "Where people reach it": ("public_url", "host", "port", "trusted_proxies"),
    "Where things lie": ("database_url", "files_url", "signing_key_file", "secrets_key_file"),
    "Mail and text messages": ("mail_", "sms_", "bounce_", "dev_outbox"),
    "What people upload": ("clamav",),
    "Limits": ("rate_limit",),
    "Watching it": ("log_level", "metrics_allowed", "security_contact"),
}
"""What stands under which heading of the file, by the beginning of its name; else it is last."""
_REST: Final = "More"
_PREFACE: Final = """\
# The settings of this OnRecord: each one with its default behind a #. To change one, take the #
# away. The environment (ONRECORD_PORT and so on) comes after this file, flags come after both, and
# the last one wins. It is read at the start.
"""


def template() -> str:
    """Give onrecord.toml with every setting commented out, its default and its meaning."""
    under: dict[str, list[str]] = {heading: [] for heading in (*_HEADINGS, _REST)}
    for row in fields(Settings):
        if row.name != "data_dir":  # the file lies in it
            lines = textwrap.wrap(row.metadata["meaning"], 95)
            told = "\n".join(f"# {line}" for line in lines)
            under[_heading(row.name)].append(f"{told}\n#{row.name} = {_toml(row.default)}\n")
    parts = [
        f"\n# ---- {heading} ----\n\n" + "\n".join(settings)
        for heading, settings in under.items()
        if settings
    ]
    return _PREFACE + "".join(parts)


def _heading(name: str) -> str:
    found = (heading for heading, stems in _HEADINGS.items() if name.startswith(stems))
    return next(found, _REST)


def _toml(value: Any) -> str:
    """Write a default as its reader takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if value == RATE_DEFAULT:
        value = "/".join(map(str, value))
    if isinstance(value, tuple):
        return f"[{', '.join(json.dumps(str(one)) for one in value)}]"
    return json.dumps("" if value is None else str(value))


def write_template(data_dir: Path) -> Path | None:
    """Write onrecord.toml with mode 0600 unless there is one; give its path when it was written."""
    path = data_dir / FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(template())
    return path

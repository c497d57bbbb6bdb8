"""What entries tell of accounts, sessions and what was accepted, replayed as `Told` does."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ToldSession:
    """Somebody signed in: a session of an account, or a token of the embedded app."""

    owner: str
    """The account, or the member of a token."""
    living: bool = True


@dataclass(slots=True)
class ToldAccounts:
    """What one record tells of accounts: the installation's of all, another one of its own."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What an account is called and reached by, as far as entries tell, and its second factors."""
    sessions: dict[str, ToldSession] = field(default_factory=dict)
    """By uuid; one that expired still counts as living here, as no entry tells of that."""
    chosen: set[tuple[str, str]] = field(default_factory=set)
    """Which session was used for which member."""
    joined: dict[str, str] = field(default_factory=dict)
    """Member → the account with which the member joined."""
    accepted: dict[str, int] = field(default_factory=dict)
    """Account or member → the version of the terms that was accepted last."""

    def _account_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        assert entry["account_uuid"] not in self.accounts
        names = {one["username"].casefold() for one in self.accounts.values()}
        assert parts["profile"]["username"].casefold() not in names
        factors = {"totp": False, "recovery_code": False}
        self.accounts[entry["account_uuid"]] = {**parts["profile"], **factors}

    def _account_updated(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        account, new = self.accounts[entry["account_uuid"]], parts["profile"]
        assert list(new) == [entry["data"]["field"]]
        assert any(account.get(name) != value for name, value in new.items())
        account.update(new)

    def _account_factor_changed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        account, data = self.accounts[entry["account_uuid"]], entry["data"]
        if data["change"] != "added":
            assert account[data["factor"]], "what is removed or used up was there"
        account[data["factor"]] = data["change"] == "added"

    def _account_signed_in(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert entry["data"]["session_uuid"] not in self.sessions
        assert entry["account_uuid"] in self.accounts
        self.sessions[entry["data"]["session_uuid"]] = ToldSession(entry["account_uuid"])

    def _account_session_ended(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        session = self.sessions[entry["data"]["session_uuid"]]
        assert session.owner == entry["account_uuid"]
        assert session.living, "a session ends once"
        session.living = entry["data"]["reason"] == "renewed"

    def _sdk_session_created(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert entry["data"]["session_uuid"] not in self.sessions
        owner = entry["entity_user_xref_uuid"]
        self.sessions[entry["data"]["session_uuid"]] = ToldSession(owner)

    def _sdk_session_ended(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        session = self.sessions[entry["data"]["session_uuid"]]
        assert session.owner == entry["entity_user_xref_uuid"]
        assert session.living
        session.living = False

    def _member_signed_in(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member = entry["entity_user_xref_uuid"]
        choice = entry["data"]["session_uuid"], member
        assert choice not in self.chosen
        assert self.joined[member] == entry["account_uuid"]
        self.chosen.add(choice)

    def _terms_accepted(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        who = entry.get("entity_user_xref_uuid") or entry["account_uuid"]
        assert entry["data"]["version"] > self.accepted.get(who, 0)
        self.accepted[who] = entry["data"]["version"]

"""What the entries of an organisation tell, replayed from the first to the last.

The rules that must hold at every moment are held against the replayed state while it grows: an
act that slipped through a race stands in the record behind what should have stopped it.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from onrecord.model import times
from onrecord.model.access import BUTLER, PROFILES, SYSTEM_ADMIN, VIA, Kind
from onrecord.model.chats import MOST_PARTICIPANTS
from tests.faults.told_accounts import ToldAccounts


@dataclass(slots=True)
class ToldGroup:
    """A group."""

    name: str
    identifier: str | None
    description: str
    is_default: bool
    state: str = "active"
    inside: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ToldParticipant:
    """Somebody's place in a chat: now, and the stays before."""

    since: int
    state: str = "active"
    until: int | None = None
    until_seq: int | None = None
    earlier: list[tuple[int, int]] = field(default_factory=list)

    def sees(self, position: int, *, is_shown: bool) -> bool:
        """Whether an entry of the chat lies in one of the stays; the last one only if shown."""
        if is_shown and self.since <= position and (self.until is None or position <= self.until):
            return True
        return any(since <= position <= until for since, until in self.earlier)


@dataclass(slots=True)
class ToldChat:
    """A chat."""

    title: str
    is_staff_only: bool
    creator: str
    made_by: str
    """The id of the request that made it."""
    positions: list[int]
    state: str = "draft"
    butler_of: str | None = None
    people: dict[str, ToldParticipant] = field(default_factory=dict)

    @property
    def inside(self) -> list[str]:
        """Everybody who takes part now."""
        return [uuid for uuid, one in self.people.items() if one.state == "active"]


def _listed(value: str | None) -> list[str]:
    return [value] if value else []


def _author(entry: dict[str, Any]) -> str | None:
    """Whom a chat shows as author: nobody where an administrator ended a membership."""
    author: str | None = entry["actor"].get("entity_user_xref_uuid")
    left = entry["type"] == "participant.left"
    return None if left and author != entry["entity_user_xref_uuid"] else author


_GOES_ON = frozenset({"sent", "bounced"})
"""States of an invitation that a further link leaves as they are."""


@dataclass(slots=True)
class Told(ToldAccounts):
    """The state of one organisation."""

    entity: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    """The organisation's logo and avatar → the digest of the largest size."""
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    """Members who were ever invited → how far that has come."""
    imports: dict[str, dict[str, int] | None] = field(default_factory=dict)
    """Job → what became of its rows, once it has ended."""
    terms: list[str] = field(default_factory=list)
    """Every version of the organisation's terms."""
    groups: dict[str, ToldGroup] = field(default_factory=dict)
    barriers: dict[tuple[str, str], int] = field(default_factory=dict)
    """Two groups → the moment at which the barrier between them was made."""
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, ToldChat] = field(default_factory=dict)
    messages: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    """(position, kind, author, time, reply to, via, key, text) each, by chat."""
    files: dict[int, list[str]] = field(default_factory=dict)
    """Which files each message brings, by position."""
    denied: Counter[str] = field(default_factory=Counter)
    requests: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Position and type of what each request put on record."""
    about: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Entries about a member that concern no chat."""
    butler_chats: set[str] = field(default_factory=set)
    """Whom the Butler has a chat with."""
    last_request: str = ""
    moved: bool = False
    """Whether the last request changed groups or barriers, or who of the staff is active."""
    administered: bool = False
    """Whether there was an active system administrator already."""

    def tell(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take in the next entry."""
        request = entry["actor"].get("request_id") or parts.get("request_id", "")
        if request != self.last_request:
            if self.moved:  # one act may pass through states that none may leave
                self.check_groups()
            self.last_request, self.moved = request, False
        self.moved |= entry["type"].startswith(("group.", "barrier."))
        self.requests[request].append((entry["position"], entry["type"]))
        if "entity_user_xref_uuid" in entry and entry["type"].startswith(
            ("member.", "group.member_", "sdk.", "invitation.", "terms.accepted")
        ):
            self.about[entry["entity_user_xref_uuid"]].append(entry["position"])
        if "chat_uuid" in entry and entry["chat_uuid"] in self.chats:
            chat = self.chats[entry["chat_uuid"]]
            chat.positions.append(entry["position"])
            assert chat.state != "discarded"
        act = getattr(self, "_" + entry["type"].replace(".", "_"), None)
        if act is not None:
            act(entry, parts)

    # -- the organisation ------------------------------------------------------------------------

    def _entity_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        if entry["organisation_uuid"] == entry["entity_uuid"]:
            assert entry["position"] == 1
            self.entity = {"name": parts["name"], "state": "active"}

    def _entity_state_changed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.entity["state"] = entry["data"]["state"]

    def _entity_updated(self, _: dict[str, Any], parts: dict[str, Any]) -> None:
        assert self.entity["name"] != parts["name"]
        self.entity["name"] = parts["name"]

    def _entity_picture_changed(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        which, before = entry["data"]["which"], dict(self.pictures)
        self.pictures.pop(which, None)
        assert entry["data"]["has_picture"] == ("details" in parts)
        self.pictures.update(parts.get("details", {}))
        assert self.pictures != before

    def _setting_changed(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        self.settings[entry["data"]["key"]] = parts["setting"]

    def _member_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        self.members[entry["entity_user_xref_uuid"]] = {
            **parts["profile"],
            "emails": _listed(parts["profile"]["primary_email"]),
            "phone_numbers": _listed(parts["profile"]["primary_phone_number"]),
            "profile": entry["data"]["enum_profile_id"],
            "state": entry["data"]["state"],
            "data_reviewer_level": 0,
            "has_avatar": False,
        }

    def _member_joined(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member = entry["entity_user_xref_uuid"]
        assert self.members[member]["state"] == "pending"
        self.members[member]["state"] = "active"
        self.joined[member] = entry["account_uuid"]
        self._check_is_here_once(member)
        self._check_administrators()

        if member in self.invitations:
            assert self.invitations[member] != "revoked"
            self.invitations[member] = "accepted"

    def _check_is_here_once(self, member: str) -> None:
        """Whose membership has ended may come back as another member, but not as two."""
        account = self.joined.get(member)
        here = [
            uuid
            for uuid, its_account in self.joined.items()
            if its_account == account and self.members[uuid]["state"] != "inactive"
        ]
        assert account is None or here == [member]

    # -- invitations and terms

    def _invitation_made(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member, why = entry["entity_user_xref_uuid"], entry["data"]["why"]
        assert self.members[member]["state"] == "pending"
        kept = why in {"operator", "reminder"} and self.invitations.get(member) in _GOES_ON
        if not kept:
            self.invitations[member] = "not_sent"

    def _invitation_sent(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._invitation(entry, "sent")

    def _invitation_bounced(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._invitation(entry, "bounced")

    def _invitation_revoked(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._invitation(entry, "revoked")

    def _invitation_expired(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._invitation(entry, "expired")

    def _invitation(self, entry: dict[str, Any], state: str) -> None:
        member = entry["entity_user_xref_uuid"]
        assert self.members[member]["state"] == "pending"
        assert self.invitations[member] not in {"accepted", "revoked"}
        self.invitations[member] = state

    def _import_started(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert entry["data"]["job_uuid"] not in self.imports
        self.imports[entry["data"]["job_uuid"]] = None

    def _import_ended(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        data = entry["data"]
        assert self.imports[data["job_uuid"]] is None
        self.imports[data["job_uuid"]] = {
            name: data[name] for name in ("created", "existing", "refused")
        }

    def _terms_updated(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        assert entry["data"]["version"] == len(self.terms) + 1
        self.terms.append(parts["setting"])

    # -- the life of a member

    def _member_updated(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        member, new = self.members[entry["entity_user_xref_uuid"]], parts["profile"]
        assert sorted(new) == entry["data"]["changes"]
        assert all(member[name] != value for name, value in new.items())
        member.update(new)

    def _member_role_changed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member, role = self.members[entry["entity_user_xref_uuid"]], entry["data"]
        assert member["profile"] != role["enum_profile_id"]
        assert PROFILES[member["profile"]].side == PROFILES[role["enum_profile_id"]].side
        member["profile"] = role["enum_profile_id"]
        self._check_administrators()

    def _member_reviewer_level_changed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member, level = self.members[entry["entity_user_xref_uuid"]], entry["data"]
        assert self.is_staff(entry["entity_user_xref_uuid"])
        assert member["data_reviewer_level"] != level["data_reviewer_level"]
        member.update(level)

    def _member_suspended(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._becomes(entry, "active", "suspended")

    def _member_unsuspended(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._becomes(entry, "suspended", "active")

    def _member_destroyed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self._becomes(entry, "pending active suspended", "inactive")

    def _member_restored(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        member = entry["entity_user_xref_uuid"]
        assert not any(member in group.inside for group in self.groups.values())
        assert not any(
            member in chat.inside
            for chat in self.chats.values()
            if chat.butler_of is None and chat.state != "discarded"
        )
        self._becomes(entry, "inactive", entry["data"]["state"])
        self._check_is_here_once(member)

    def _member_avatar_changed(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        has_avatar = entry["data"]["has_avatar"]
        assert has_avatar == ("profile" in parts)
        self.members[entry["entity_user_xref_uuid"]]["has_avatar"] = has_avatar

    def _becomes(self, entry: dict[str, Any], before: str, after: str) -> None:
        member = self.members[entry["entity_user_xref_uuid"]]
        assert member["profile"] != BUTLER
        assert member["state"] in before.split()
        member["state"] = after
        self.moved = True
        self._check_administrators()

    def _check_administrators(self) -> None:
        """Once there is an active system administrator, there always is one."""
        active = any(
            one["state"] == "active" and one["profile"] == SYSTEM_ADMIN
            for one in self.members.values()
        )
        assert active or not self.administered
        self.administered |= active

    def is_staff(self, member: str) -> bool:
        """Whether a member is on the staff side; the Butler is on none."""
        return PROFILES[self.members[member]["profile"]].is_staff

    def _key_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        data = entry["data"]
        self.keys[entry["api_key_uuid"]] = {
            "name": parts["name"],
            "kind": data["kind"],
            "permissions": data["permissions"],
            "cidr_blocks": data["cidr_blocks"],
            "member": entry.get("entity_user_xref_uuid"),
            "state": "active",
            "expires_at": data.get("expires_at"),
            "rate_limit": data.get("rate_limit"),
        }

    def _key_deactivated(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert self.keys[entry["api_key_uuid"]]["state"] == "active"
        self.keys[entry["api_key_uuid"]]["state"] = "deactivated"

    def _key_destroyed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert self.keys[entry["api_key_uuid"]]["state"] != "destroyed"
        self.keys[entry["api_key_uuid"]]["state"] = "destroyed"

    def _key_updated(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        key = self.keys[entry["api_key_uuid"]]
        assert key["state"] == "active"
        for name in ("permissions", "cidr_blocks", "expires_at", "rate_limit"):
            key[name] = entry["data"].get(name)
        key["name"] = parts.get("name", key["name"])

    def _key_rotated(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert self.keys[entry["api_key_uuid"]]["state"] == "active"

    def _key_used_denied(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.denied[entry["data"]["error_code"]] += entry["data"]["count"]

    # -- groups and barriers ---------------------------------------------------------------------

    def _group_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        details = parts.get("details", {"identifier": None, "description": ""})
        is_default = entry["data"]["is_default"]
        self.groups[entry["group_uuid"]] = ToldGroup(
            name=parts["name"], is_default=is_default, **details
        )

    def _group_updated(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        group = self.groups[entry["group_uuid"]]
        new = {**parts.get("details", {}), **entry["data"]}
        if "name" in parts:
            new["name"] = parts["name"]
        assert new
        for name, value in new.items():
            assert getattr(group, name) != value
            setattr(group, name, value)
        assert group.state == "active" or not group.inside

    def _group_destroyed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        group = self.groups[entry["group_uuid"]]
        assert group.state == "active"
        assert not group.inside
        assert not group.is_default
        group.state = "inactive"

    def _group_member_added(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        group = self.groups[entry["group_uuid"]]
        assert group.state == "active"
        assert entry["entity_user_xref_uuid"] not in group.inside
        group.inside.add(entry["entity_user_xref_uuid"])

    def _group_member_removed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.groups[entry["group_uuid"]].inside.remove(entry["entity_user_xref_uuid"])

    def _barrier_created(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        between = entry["group_uuid"], entry["other_group_uuid"]
        assert between not in self.barriers
        assert between[::-1] not in self.barriers
        self.barriers[between] = times.read(entry["at"])

    def _barrier_destroyed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        del self.barriers[entry["group_uuid"], entry["other_group_uuid"]]

    def check_groups(self) -> None:
        """No clients without active staff (RB011, RB020), no staff on both sides of a barrier."""
        for group in self.groups.values():
            staff = {one for one in group.inside if self.is_staff(one)}
            if staff != group.inside:
                assert any(self.members[one]["state"] == "active" for one in staff), group.name
        for one, other in self.barriers:
            both = self.groups[one].inside & self.groups[other].inside
            assert not any(map(self.is_staff, both))

    def is_barred(self, chat: ToldChat) -> bool:
        """Whether a barrier runs through the staff who take part."""
        staff = {one for one in chat.inside if self.is_staff(one)}
        return any(
            staff & self.groups[one].inside and staff & self.groups[other].inside
            for one, other in self.barriers
        )

    # -- chats -----------------------------------------------------------------------------------

    def _chat_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        assert entry["chat_index"] == 1
        chat = ToldChat(
            title=parts["title"],
            is_staff_only=entry["data"]["is_staff_only"],
            creator=entry["actor"]["entity_user_xref_uuid"],
            made_by=self.last_request,
            positions=[entry["position"]],
        )
        if entry["data"]["is_butler"]:
            member = entry["entity_user_xref_uuid"]
            assert member not in self.butler_chats, "every member has one Butler chat"
            assert self.members[chat.creator]["profile"] == BUTLER
            chat.state, chat.butler_of = "active", member
            chat.people[member] = ToldParticipant(entry["position"])
            self.butler_chats.add(member)
        else:
            assert "entity_user_xref_uuid" not in entry
        self.chats[entry["chat_uuid"]] = chat
        self.messages[entry["chat_uuid"]] = []

    def _participant_joined(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        chat, member = self.chats[entry["chat_uuid"]], entry["entity_user_xref_uuid"]
        assert chat.butler_of is None, "nobody joins a Butler chat"
        assert self.is_staff(member) or not chat.is_staff_only
        present = chat.people.get(member)
        assert present is None or present.state == "former"
        at_once = chat.made_by == self.last_request
        since = chat.positions[0] if at_once else entry["position"]
        earlier = []
        if present is not None and present.until is not None:
            earlier = [*present.earlier, (present.since, present.until)]
        chat.people[member] = ToldParticipant(since, earlier=earlier)
        assert len(chat.inside) <= MOST_PARTICIPANTS
        assert not self.is_barred(chat)
        if not at_once:
            self._event(entry)

    def _participant_left(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        chat, member = self.chats[entry["chat_uuid"]], entry["entity_user_xref_uuid"]
        if self.members[member]["state"] != "inactive":  # else the membership ended
            assert entry["actor"]["entity_user_xref_uuid"] == member
            assert chat.state == "active"
        self._go(entry, chat, member)

    def _participant_removed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        chat, member = self.chats[entry["chat_uuid"]], entry["entity_user_xref_uuid"]
        remover = entry["actor"]["entity_user_xref_uuid"]
        assert remover != member
        assert self.is_staff(remover)
        assert remover in chat.inside
        self._go(entry, chat, member)

    def _go(self, entry: dict[str, Any], chat: ToldChat, member: str) -> None:
        assert chat.butler_of is None
        self._event(entry)
        person = chat.people[member]
        assert person.state == "active"
        if chat.state == "draft":  # who never saw the draft is forgotten
            assert chat.creator != member
            del chat.people[member]
            return
        person.state, person.until, person.until_seq = "former", entry["position"], entry["seq"]

    def _chat_renamed(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        chat = self.chats[entry["chat_uuid"]]
        assert chat.title != parts["title"]
        chat.title = parts["title"]
        self._check_writes(chat, entry)
        self._event(entry)

    def _chat_discarded(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        chat = self.chats[entry["chat_uuid"]]
        assert chat.state == "draft"
        if self.members[chat.creator]["state"] != "inactive":
            assert entry["actor"]["entity_user_xref_uuid"] == chat.creator
        assert "seq" not in entry
        chat.state = "discarded"

    def _message_sent(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        chat = self.chats[entry["chat_uuid"]]
        self._check_writes(chat, entry)
        if chat.state == "draft":
            chat.state = "active"
            if chat.made_by != self.last_request:
                for uuid, one in chat.people.items():
                    one.since = one.since if uuid == chat.creator else entry["position"]
        files = parts.get("file", [])
        self.files[entry["position"]] = [one["attachment_uuid"] for one in files]
        assert files or parts["text"], "a message says something or brings something"
        self._say(entry, "attachment" if files else "text", parts.get("text"))

    def _check_writes(self, chat: ToldChat, entry: dict[str, Any]) -> None:
        """Nobody writes who has gone, who stands in a barred chat, or who sees no draft."""
        author = entry["actor"]["entity_user_xref_uuid"]
        if chat.butler_of is not None:
            assert self.members[author]["profile"] == BUTLER
            return
        assert author in chat.inside
        assert chat.state == "active" or author == chat.creator
        assert not self.is_barred(chat)

    def _event(self, entry: dict[str, Any]) -> None:
        """In a chat that has begun an act is a message too."""
        if self.chats[entry["chat_uuid"]].state == "active":
            self._say(entry, "event", None)
        else:
            assert "seq" not in entry

    def _say(self, entry: dict[str, Any], kind: str, text: str | None) -> None:
        said = self.messages[entry["chat_uuid"]]
        assert entry["seq"] == len(said)
        reply = entry["data"].get("reply_to_seq")
        assert reply is None or reply < entry["seq"]
        said.append(
            (
                entry["position"],
                kind,
                _author(entry),
                times.read(entry["at"]),
                reply,
                VIA[Kind(entry["actor"]["kind"])],
                entry["actor"].get("api_key_uuid"),
                text,
            )
        )

    # -- who may see what ------------------------------------------------------------------------

    def seen_by(self, member: str) -> list[int]:
        """Give the positions of all that a member may see: each stay, and what is about it.

        A draft is its creator's, and so is one that was thrown away.
        """
        seen = set(self.about[member])
        for chat in self.chats.values():
            person = chat.people.get(member)
            if person is not None:
                shown = chat.state == "active" or chat.creator == member
                seen |= {at for at in chat.positions if person.sees(at, is_shown=shown)}
        return sorted(seen)

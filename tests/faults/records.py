"""What must hold of a record after whatever happened, checked from the tables alone.

The entries are replayed, and everything the tables show is compared with what they tell.
"""

import hashlib
import json
from contextlib import closing
from typing import Any

from onrecord.domain.replay import CHAT, GROUP, IN_GROUP, MEMBER, TAKES_PART, Scene, replayed
from onrecord.model import times
from onrecord.model.access import INSTALLATION_UUID
from onrecord.model.record import TYPES, check
from onrecord.proof import canonical, checkpoint, merkle, note
from onrecord.store import tree
from onrecord.store.scratch import Scratch
from tests.faults.told import Told, ToldGroup
from tests.world import World


def check_everything(world: World) -> dict[str, Told]:
    """Check every organisation's record, and give what each one tells."""
    return {
        uuid: check_record(world, number, uuid)
        for number, uuid in world.rows("SELECT id, uuid FROM entity ORDER BY id")
    }


def check_record(world: World, number: int, uuid: str) -> Told:
    """Check all that must hold of one organisation's record."""
    leaves = [
        bytes(row[0])
        for row in world.rows(
            "SELECT leaf FROM entry WHERE entity_id = $1 ORDER BY position", number
        )
    ]
    entries = [canonical.decode(leaf) for leaf in leaves]  # canonical, or ValueError
    assert all(isinstance(entry, dict) for entry in entries)
    _check_order(world, number, uuid, entries)
    parts = _check_parts(world, number, entries)
    _check_tree(world, number, leaves)
    told = Told()
    for entry, its_parts in zip(entries, parts, strict=True):
        assert isinstance(entry, dict)
        told.tell(entry, its_parts)
    told.check_groups()
    if uuid != INSTALLATION_UUID:
        _compare_organisation(world, number, told)
        _compare_replay(world, number, len(entries), told)
        _compare_persons(world, number, told)
    else:
        _compare_accounts(world, number, told)
    _compare_keys(world, number, told)
    _compare_chats(world, number, told)
    return told


# -- places ---------------------------------------------------------------------------------------


def _check_order(world: World, number: int, uuid: str, entries: list[Any]) -> None:
    rows = world.rows(
        "SELECT e.position, c.uuid, m.uuid FROM entry e LEFT JOIN chat c ON c.id = e.chat_id"
        " LEFT JOIN member m ON m.id = e.subject_id WHERE e.entity_id = $1 ORDER BY e.position",
        number,
    )
    ((position, at, access_position, _),) = _head(world, number)
    assert [entry["position"] for entry in entries] == list(range(1, position + 1))
    assert [row[0] for row in rows] == list(range(1, position + 1))
    moments = [entry["at"] for entry in entries]
    assert moments == sorted(moments)
    assert at == (times.read(moments[-1]) if moments else 0)
    changing = [e["position"] for e in entries if TYPES[e["type"]].changes_access]
    assert access_position == (changing[-1] if changing else 0)
    tips: dict[str, tuple[int, int]] = {}
    for entry, (_, chat_uuid, subject) in zip(entries, rows, strict=True):
        assert entry["entity_uuid"] == uuid
        assert entry.get("chat_uuid") == chat_uuid
        assert subject is None or subject == entry["entity_user_xref_uuid"]
        if chat_uuid is not None:
            index, previous = tips.get(chat_uuid, (0, 0))
            assert (entry["chat_index"], entry["chat_prev"]) == (index + 1, previous)
            tips[chat_uuid] = (index + 1, entry["position"])
    stored = world.rows(
        "SELECT uuid, last_index, last_position FROM chat_now WHERE entity_id = $1", number
    )
    assert {row[0]: (row[1], row[2]) for row in stored} == tips


def _head(world: World, number: int) -> list[tuple[Any, ...]]:
    return world.rows(
        "SELECT position, at, access_position, hashes FROM head WHERE entity_id = $1", number
    )


def _check_parts(world: World, number: int, entries: list[Any]) -> list[dict[str, Any]]:
    """Check every part against its commitment; give the parts' values by entry."""
    found: list[dict[str, Any]] = [{} for _ in entries]
    hashes: list[dict[str, str]] = [{} for _ in entries]
    rows = world.rows("SELECT position, name, salt, data FROM part WHERE entity_id = $1", number)
    for position, name, salt, data in rows:
        assert len(salt) == 32
        hashes[position - 1][name] = hashlib.sha256(bytes(salt) + bytes(data)).hexdigest()
        found[position - 1][name] = canonical.decode(bytes(data))
    salts = [bytes(row[2]) for row in rows]
    assert len(set(salts)) == len(salts)
    for entry, committed, values in zip(entries, hashes, found, strict=True):
        assert entry.get("content", {}) == committed
        ids = {name: entry[name] for name in TYPES[entry["type"]].ids if name in entry}
        check(TYPES[entry["type"]], ids, entry["data"], values)
    return found


# -- proof ----------------------------------------------------------------------------------------


def _check_tree(world: World, number: int, leaves: list[bytes]) -> None:
    """Check frontier, tiles, roots of past sizes and checkpoints against the leaves."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    ((position, _, _, frontier),) = _head(world, number)
    whole = merkle.Frontier().extend(hashes)
    assert merkle.Frontier.from_bytes(position, bytes(frontier)) == whole
    assert _stored_root(world, number, position) == whole.root()
    tiles = world.rows(
        "SELECT level, idx, hashes FROM tile WHERE entity_id = $1 ORDER BY level, idx", number
    )
    assert [(level, index, bytes(data)) for level, index, data in tiles] == _tiles(hashes)
    roots: dict[int, bytes] = {}
    sizes = {0, 1, position // 3, position // 2, position - position % 256, position}
    notes = world.rows("SELECT size, note FROM checkpoint WHERE entity_id = $1", number)
    sizes |= {row[0] for row in notes}
    for size in sorted(sizes):
        roots[size] = merkle.Frontier().extend(hashes[:size]).root()
        assert _stored_root(world, number, size) == roots[size]
    ((known,),) = world.rows("SELECT value FROM meta WHERE key = 'signing_keys'")
    keys = [note.VerifierKey.parse(key) for key in known.split("\n")]
    ((origin,),) = world.rows("SELECT origin FROM entity WHERE id = $1", number)
    for size, text in notes:
        said = checkpoint.parse(note.open_note(text, keys).text)
        assert (said.origin, said.size, said.root) == (origin, size, roots[size])


def _stored_root(world: World, number: int, size: int) -> bytes:
    return world.ask(lambda session: tree.root_at(session, number, size))


def _tiles(hashes: list[bytes]) -> list[tuple[int, int, bytes]]:
    """Give every tile that should be stored: full ones of leaves, growing ones above."""
    tiles = []
    level = 0
    while hashes:
        full = len(hashes) // merkle.TILE * merkle.TILE
        stored = hashes[:full] if level == 0 else hashes
        tiles += [
            (level, start // merkle.TILE, b"".join(stored[start : start + merkle.TILE]))
            for start in range(0, len(stored), merkle.TILE)
        ]
        hashes = [
            merkle.Frontier().extend(hashes[start : start + merkle.TILE]).root()
            for start in range(0, full, merkle.TILE)
        ]
        level += 1
    return tiles


def check_links(world: World, told: Told) -> None:
    """Who is invited and has not joined is waited for, and has the one link that works."""
    open_still = {"not_sent", "sent", "bounced"}
    waited_for = {
        uuid
        for uuid, state in told.invitations.items()
        if state in open_still and told.members[uuid]["state"] == "pending"
    }
    mine = "JOIN member m ON m.id = i.member_id JOIN entity e ON e.id = m.entity_id"
    mine += " WHERE e.uuid = $1"
    entity = world.cast.firm
    waiting = world.rows(f"SELECT m.uuid FROM invitation i {mine}", entity)  # noqa: S608 - our own words
    assert {row[0] for row in waiting} == waited_for
    working = f"SELECT m.uuid FROM invitation_link i {mine} AND i.ended IS NULL"  # noqa: S608 - our own words
    links = [row[0] for row in world.rows(working, entity)]
    assert sorted(links) == sorted(waited_for)


# -- the state ------------------------------------------------------------------------------------


def _compare_organisation(world: World, number: int, told: Told) -> None:
    ((name, state, settings),) = world.rows(
        "SELECT name, state, settings FROM entity WHERE id = $1", number
    )
    assert told.entity == {"name": name, "state": state}
    assert told.settings == json.loads(settings)
    largest = "SELECT which, digest FROM branding WHERE entity_id = $1 ORDER BY size"
    assert told.pictures == dict(world.rows(largest, number))
    names = ["first_name", "last_name", "job_title", "identifier", "primary_email"]
    names += ["primary_phone_number", "profile", "state", "data_reviewer_level"]
    lists = ["emails", "phone_numbers"]
    members = {}
    for uuid, has_avatar, emails, phone_numbers, *values in world.rows(
        f"SELECT uuid, has_avatar, {', '.join(lists)}, {', '.join(names)}"  # noqa: S608 - the names are those of our own columns
        " FROM member WHERE entity_id = $1",
        number,
    ):
        members[uuid] = dict(zip(names, values, strict=True))
        members[uuid] |= {"has_avatar": bool(has_avatar), "emails": json.loads(emails)}
        members[uuid]["phone_numbers"] = json.loads(phone_numbers)
    assert told.members == members
    stored = "SELECT uuid, invitation FROM member WHERE entity_id = $1 AND invitation IS NOT NULL"
    assert told.invitations == {
        uuid: json.loads(invitation)["state"] for uuid, invitation in world.rows(stored, number)
    }
    _compare_groups(world, number, told)


def _compare_accounts(world: World, number: int, told: Told) -> None:
    """Accounts, where they are signed in, and the operator's terms."""
    stored = {}
    for uuid, username, email, phone_number, totp, recovery in world.rows(
        "SELECT uuid, username, email, phone_number, totp, recovery FROM account"
    ):
        names = {"username": username, "email": email, "phone_number": phone_number}
        factors = {"totp": totp is not None, "recovery_code": recovery is not None}
        # The phone number that an account began with stands in no entry.
        stored[uuid] = {n: names[n] for n in told.accounts[uuid] if n in names} | factors
    assert told.accounts == stored
    sessions = world.rows(
        "SELECT s.uuid, a.uuid, s.ended_at FROM session s JOIN account a ON a.id = s.account_id"
        " WHERE s.kind = 'web'"
    )
    assert {uuid: (one.owner, one.living) for uuid, one in told.sessions.items()} == {
        uuid: (account, ended_at is None) for uuid, account, ended_at in sessions
    }
    _compare_terms(world, number, told, "account")


def _compare_persons(world: World, number: int, told: Told) -> None:
    """With which account members joined, what they use, and what they accepted."""
    joined = world.rows(
        "SELECT m.uuid, a.uuid FROM member m JOIN account a ON a.id = m.account_id"
        " WHERE m.entity_id = $1",
        number,
    )
    assert told.joined == dict(joined)
    tokens = world.rows(
        "SELECT s.uuid, m.uuid, s.ended_at FROM session s JOIN member m ON m.id = s.member_id"
        " WHERE s.kind = 'sdk' AND m.entity_id = $1",
        number,
    )
    assert {uuid: (one.owner, one.living) for uuid, one in told.sessions.items()} == {
        uuid: (member, ended_at is None) for uuid, member, ended_at in tokens
    }
    chosen = world.rows(
        "SELECT s.uuid, m.uuid FROM session_choice c JOIN session s ON s.id = c.session_id"
        " JOIN member m ON m.id = c.member_id WHERE m.entity_id = $1",
        number,
    )
    assert told.chosen <= set(chosen)  # the tests' own sign-in chooses without an entry
    _compare_terms(world, number, told, "member")


def _compare_terms(world: World, number: int, told: Told, subject: str) -> None:
    versions = "SELECT text FROM terms WHERE entity_id = $1 ORDER BY version"
    assert told.terms == [row[0] for row in world.rows(versions, number)]
    accepted = world.rows(
        f"SELECT s.uuid, t.version FROM terms_accepted t JOIN {subject} s ON s.id = t.subject_id"  # noqa: S608 - a table's name of ours
        " WHERE t.entity_id = $1",
        number,
    )
    assert told.accepted == dict(accepted)


def _compare_groups(world: World, number: int, told: Told) -> None:
    groups = {}
    for uuid, name, identifier, description, state, is_default in world.rows(
        "SELECT uuid, name, identifier, description, state, is_default FROM client_group"
        " WHERE entity_id = $1",
        number,
    ):
        groups[uuid] = ToldGroup(name, identifier, description, bool(is_default), state)
    for group, member in world.rows(
        "SELECT g.uuid, m.uuid FROM group_member gm JOIN client_group g ON g.id = gm.group_id"
        " JOIN member m ON m.id = gm.member_id WHERE g.entity_id = $1",
        number,
    ):
        groups[group].inside.add(member)
    assert told.groups == groups
    barriers = world.rows(
        "SELECT g.uuid, o.uuid, b.created_at FROM barrier b"
        " JOIN client_group g ON g.id = b.group_id JOIN client_group o ON o.id = b.other_group_id"
        " WHERE b.entity_id = $1",
        number,
    )
    assert told.barriers == {(one, other): at for one, other, at in barriers}


def _compare_replay(world: World, number: int, size: int, told: Told) -> None:
    """Exports rebuild the state by a replay of their own: it tells the same."""
    with closing(Scratch()) as scratch:
        scene = Scene(scratch)

        async def whole() -> None:
            async for _ in replayed(world.app.store.ask, number, scene, size):
                pass

        world.run(whole())
        assert {name: scene.entity[name] for name in told.entity} == told.entity
        assert scene.entity["settings"] == told.settings
        people = [one for page in scratch.things(MEMBER, 500) for one in page]
        assert {
            one.uuid: {
                name: one.facts["enum_profile_id" if name == "profile" else name]
                for name in told.members[one.uuid]
            }
            for one in people
        } == told.members
        invitations = {one.uuid: one.facts["invitation"] for one in people}
        assert told.invitations == {
            uuid: invitation["state"] for uuid, invitation in invitations.items() if invitation
        }
        inside = scratch.others(IN_GROUP, people)
        groups = [one for page in scratch.things(GROUP, 500) for one in page]
        assert {
            group.uuid: ToldGroup(
                **{name: group.facts[name] for name in _GROUP},
                inside={
                    one.uuid
                    for one in people
                    if group.uuid in {other.uuid for other, _ in inside[one.number]}
                },
            )
            for group in groups
        } == told.groups
        chats = [one for page in scratch.things(CHAT, 500) for one in page]
        taking_part = scratch.others(TAKES_PART, chats)
        assert {
            chat.uuid: (
                chat.facts["title"],
                chat.facts["state"],
                {one.uuid: stay["state"] for one, stay in taking_part[chat.number]},
                -1 if chat.facts["last_seq"] is None else chat.facts["last_seq"],
            )
            for chat in chats
        } == {
            uuid: (
                chat.title,
                chat.state,
                {who: one.state for who, one in chat.people.items()},
                len(told.messages[uuid]) - 1,
            )
            for uuid, chat in told.chats.items()
        }


_GROUP = ("name", "identifier", "description", "is_default", "state")


def _compare_keys(world: World, number: int, told: Told) -> None:
    keys = {}
    for uuid, name, kind, permissions, blocks, owner, state, end, limit in world.rows(
        "SELECT k.uuid, k.name, k.kind, k.permissions, k.cidr_blocks, m.uuid, k.state,"
        " k.expires_at, k.rate_limit FROM api_key k LEFT JOIN member m ON m.id = k.member_id"
        " WHERE k.entity_id = $1",
        number,
    ):
        keys[uuid] = {
            "name": name,
            "kind": kind,
            "permissions": json.loads(permissions),
            "cidr_blocks": json.loads(blocks),
            "member": owner,
            "state": state,
            "expires_at": times.wire_or_none(end),
            "rate_limit": limit,
        }
    assert told.keys == keys


def _compare_chats(world: World, number: int, told: Told) -> None:
    chats: dict[str, tuple[Any, ...]] = {}
    ends = {}
    for uuid, *what, last_seq, last_at in world.rows(
        "SELECT c.uuid, c.title, c.state, c.is_staff_only, b.uuid, m.uuid, c.barred, c.last_seq,"
        " c.last_at FROM chat_now c LEFT JOIN member b ON b.id = c.created_by_id"
        " LEFT JOIN member m ON m.id = c.butler_member_id WHERE c.entity_id = $1",
        number,
    ):
        chats[uuid] = tuple(what)
        ends[uuid] = (last_seq, last_at)
    assert chats == {
        uuid: (
            chat.title,
            chat.state,
            int(chat.is_staff_only),
            chat.creator,
            chat.butler_of,
            int(told.is_barred(chat)),
        )
        for uuid, chat in told.chats.items()
    }
    _compare_participants(world, number, told)
    _compare_messages(world, number, told, ends)


def _compare_participants(world: World, number: int, told: Told) -> None:
    stored = world.rows(
        "SELECT c.uuid, m.uuid, p.state, p.since_position, p.until_position, p.until_seq"
        " FROM participant p JOIN chat c ON c.id = p.chat_id JOIN member m ON m.id = p.member_id"
        " WHERE c.entity_id = $1",
        number,
    )
    assert sorted(stored, key=repr) == sorted(
        (
            (uuid, member, one.state, one.since, one.until, one.until_seq)
            for uuid, chat in told.chats.items()
            for member, one in chat.people.items()
        ),
        key=repr,
    )
    stored = world.rows(
        "SELECT c.uuid, m.uuid, s.since_position, s.until_position FROM earlier_stay s"
        " JOIN chat c ON c.id = s.chat_id JOIN member m ON m.id = s.member_id"
        " WHERE c.entity_id = $1",
        number,
    )
    assert sorted(stored) == sorted(
        (uuid, member, *stay)
        for uuid, chat in told.chats.items()
        for member, one in chat.people.items()
        for stay in one.earlier
    )


def _compare_messages(
    world: World, number: int, told: Told, ends: dict[str, tuple[int, int]]
) -> None:
    messages: dict[str, list[tuple[Any, ...]]] = {uuid: [] for uuid in ends}
    for row in world.rows(
        "SELECT c.uuid, m.seq, m.position, m.kind, b.uuid, m.at, m.reply_to_seq, m.via, k.uuid,"
        " p.data FROM message m JOIN chat c ON c.id = m.chat_id"
        " LEFT JOIN member b ON b.id = m.member_id LEFT JOIN api_key k ON k.id = m.api_key_id"
        " LEFT JOIN part p ON p.entity_id = c.entity_id AND p.chat_id = c.id"
        " AND p.position = m.position AND p.name = 'text'"
        " WHERE c.entity_id = $1 ORDER BY c.id, m.seq",
        number,
    ):
        chat, seq, *rest, data = row
        assert seq == len(messages[chat])
        text = None if data is None else canonical.decode(bytes(data))
        messages[chat].append((*rest, text))
    assert told.messages == messages
    brought: dict[int, list[str]] = {position: [] for position in told.files}
    for position, uuid, waits in world.rows(
        "SELECT u.position, a.uuid, a.waits_until FROM attachment_use u"
        " JOIN attachment a ON a.id = u.attachment_id"
        " WHERE u.entity_id = $1 ORDER BY u.position, u.place",
        number,
    ):
        assert waits is None, "what was sent waits no more"
        brought[position].append(uuid)
    assert told.files == brought
    for uuid, (last_seq, last_at) in ends.items():
        said = messages[uuid]
        assert last_seq == len(said) - 1
        assert last_at == (said[-1][3] if said else 0)

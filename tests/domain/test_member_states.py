"""Suspending members, ending memberships and bringing members back (product.md, section 2)."""

import asyncio
import json
from typing import Any

import pytest

from onrecord.domain import members, membership
from onrecord.domain.groups import pick as pick_group
from onrecord.domain.groups import put_into_group
from onrecord.jobs import worker
from onrecord.model.access import CLIENT, SYSTEM_ADMIN, USER_ADMIN, Kind
from onrecord.store.work import Work
from tests.cast import Person, butler_of, join
from tests.talk import (
    BUTLER_TEXT,
    CHATS,
    STRANGER,
    act,
    chat_of,
    code_by_hand,
    done,
    listed,
    messages_of,
    say,
    start,
    states,
    told,
)
from tests.world import CHAT, ENTITY, World, accepted, refused

MEMBERS = f"{ENTITY}/entity-memberships"
GROUPS = f"{ENTITY}/groups"
ACTS = ("suspend", "unsuspend", "destroy", "restore")


def do(world: World, what: str, who: Person | str, **how: Any) -> dict[str, Any]:
    """Act on a member, and give the member as answered."""
    uuid = who if isinstance(who, str) else who.uuid
    response = world.post(
        f"{MEMBERS}/{what}",
        key=world.cast.system,
        json={"entity_user_xref_uuid": uuid},
        **how,
    )
    member: dict[str, Any] = accepted(response)["entity_membership"]
    return member


def refuse(world: World, code: str, what: str, who: Person | str) -> str:
    """Expect a refusal that left nothing behind, and give its detail."""
    before = world.head(world.cast.firm)
    body = {"entity_user_xref_uuid": who if isinstance(who, str) else who.uuid}
    response = world.post(f"{MEMBERS}/{what}", key=world.cast.system, json=body)
    detail = str(refused(response, code)["detail"])
    assert world.head(world.cast.firm) == before
    return detail


def types_after(world: World, before: int) -> list[str]:
    return [entry["type"] for entry in world.entries(world.cast.firm, before)]


def contacts_of(world: World, by: Person) -> dict[str, str]:
    """Give the first names of somebody's contacts, with their status."""
    response = world.get(f"{CHAT}/contacts/list", key=world.cast.master, on_behalf_of=by)
    return {one["first_name"]: one["status"] for one in accepted(response)["contacts"]}


def explained(world: World, one: Person, other: Person, at: int | None = None) -> str:
    params: dict[str, Any] = {
        "entity_user_xref_uuid": one.uuid,
        "other_entity_user_xref_uuid": other.uuid,
    }
    if at is not None:
        params["at"] = at
    response = world.get(f"{ENTITY}/contacts/explain", key=world.cast.system, params=params)
    return str(accepted(response)["rule"])


@pytest.mark.parametrize("what", ACTS)
def test_an_act_names_a_member_that_is_there_and_not_the_butler(world: World, what: str) -> None:
    cast = world.cast
    refuse(world, "RN006", what, STRANGER)
    refuse(world, "RN006", what, cast.lena)
    refuse(world, "RB003", what, "CL-1")
    refuse(world, "RB035", what, butler_of(world, cast.firm))
    refused(world.post(f"{MEMBERS}/{what}", key=cast.system, json={}), "RB785")


def test_each_act_is_for_certain_states_alone(world: World) -> None:
    cast = world.cast
    allowed = {
        "pending": {"destroy"},
        "active": {"suspend", "destroy"},
        "suspended": {"unsuspend", "destroy"},
        "inactive": {"restore"},
    }
    ways = {"pending": (), "active": (), "suspended": ("suspend",), "inactive": ("destroy",)}
    for state, way in ways.items():
        who = cast.petra if state == "pending" else cast.olga
        for what in way:
            do(world, what, who)
        for what in ACTS:
            if what not in allowed[state]:
                assert state in refuse(world, "RB019", what, who)
        if way:
            do(world, "unsuspend" if state == "suspended" else "restore", who)


# -- suspend --------------------------------------------------------------------------------------


def test_who_is_suspended_cannot_act_and_nothing_is_lost(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.priya, text="before")
    before = world.head(cast.firm)
    assert do(world, "suspend", cast.priya)["state"] == "suspended"
    assert types_after(world, before) == ["member.suspended"]
    refused(act(world, "messages/send-text", cast.priya, chat, text="x"), "RF024")
    refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.priya), "RF024")
    say(world, cast.tomas, chat, "meanwhile")
    assert contacts_of(world, cast.tomas)["Priya"] == "unavailable"
    assert states(chat_of(world, cast.tomas, chat))["Priya"] == "active"
    assert do(world, "unsuspend", cast.priya)["state"] == "active"
    assert told(messages_of(world, cast.priya, chat)) == ["before", "meanwhile"]
    assert contacts_of(world, cast.tomas)["Priya"] == "available"
    assert types_after(world, before)[-1] == "member.unsuspended"


def test_who_is_suspended_can_be_added_to_chats_and_taken_out(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.tomas, cast.ingrid, text="hello")
    do(world, "suspend", cast.priya)
    done(world, "invite", cast.tomas, chat, others=[cast.priya])
    assert states(chat_of(world, cast.tomas, chat))["Priya"] == "active"
    say(world, cast.tomas, chat, "to you too")
    done(world, "remove", cast.tomas, chat, others=[cast.priya])
    do(world, "unsuspend", cast.priya)
    assert "to you too" in told(messages_of(world, cast.priya, chat))


def test_a_user_key_rests_while_its_owner_is_suspended(world: World) -> None:
    cast = world.cast
    do(world, "suspend", cast.tomas)
    refused(world.get(CHATS, key=cast.user), "RU002")
    do(world, "unsuspend", cast.tomas)
    assert world.get(CHATS, key=cast.user).status_code == 200


@pytest.mark.parametrize("what", ["suspend", "destroy"])
def test_clients_keep_the_last_active_member_of_staff_of_their_group(
    world: World, what: str
) -> None:
    cast = world.cast
    do(world, "suspend", cast.ingrid)
    assert "Private clients" in refuse(world, "RB011", what, cast.tomas)
    do(world, "unsuspend", cast.ingrid)
    do(world, what, cast.tomas)
    refuse(world, "RB011", what, cast.ingrid)


@pytest.mark.parametrize("what", ["suspend", "destroy"])
def test_a_group_without_clients_may_lose_its_last_staff(world: World, what: str) -> None:
    cast = world.cast
    body = {"name": "Desk", "entity_user_xref_uuids": [cast.olga.uuid]}
    accepted(world.post(f"{GROUPS}/create", key=cast.system, json=body))
    do(world, what, cast.olga)


@pytest.mark.parametrize("what", ["suspend", "destroy"])
def test_the_last_active_system_administrator_stays(world: World, what: str) -> None:
    cast = world.cast
    refuse(world, "RB018", what, cast.miriam)
    second = world.run(join(world.app, cast.firm, SYSTEM_ADMIN, "Ada", "Min", pending=True))
    refuse(world, "RB018", what, cast.miriam)  # who is invited administers nothing yet
    do(world, "destroy", second)
    third = world.run(join(world.app, cast.firm, SYSTEM_ADMIN, "Bea", "Min"))
    do(world, what, cast.miriam)
    refuse(world, "RB018", what, third)


# -- destroy --------------------------------------------------------------------------------------


def test_a_membership_that_ends_leaves_chats_groups_contacts_and_keys(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.priya, cast.tomas, text="hello")
    other = start(world, cast.tomas, cast.ingrid, text="hi")
    keys = [cast.user, *(key for (kind, _), key in cast.alone.items() if kind is Kind.USER)]
    before = world.head(cast.firm)
    shown = do(world, "destroy", cast.tomas)
    assert (shown["state"], shown["group_uuids"]) == ("inactive", [])
    assert types_after(world, before) == [
        "member.destroyed",
        *["key.deactivated"] * len(keys),
        "group.member_removed",
        "participant.left",
        "participant.left",
    ]
    refused(world.get(CHATS, key=cast.user), "RU002")
    refused(world.get(CHATS, key=cast.master, on_behalf_of=cast.tomas), "RF024")
    for by, uuid in ((cast.priya, chat), (cast.ingrid, other)):
        assert states(chat_of(world, by, uuid))["Tomas"] == "former"
        assert told(messages_of(world, by, uuid))[-1] == "participant.left"
        assert messages_of(world, by, uuid)[-1]["event"]["first_name"] == "Tomas"
        assert "Tomas" not in contacts_of(world, by)
    assert messages_of(world, cast.ingrid, other)[0]["first_name"] == "Tomas"
    say(world, cast.priya, chat, "is anybody there?")


def test_the_butler_chat_is_not_left_and_goes_on_after_the_return(world: World) -> None:
    cast = world.cast

    def heard(text: str) -> dict[str, Any]:
        body = {"entity_user_xref_uuid": cast.priya.uuid, "text": text}
        response = world.post(BUTLER_TEXT, key=cast.master, json=body)
        result: dict[str, Any] = accepted(response)["results"][0]
        return result

    first = heard("welcome")
    do(world, "destroy", cast.priya)
    assert heard("nobody there")["error_code"] == "RF024"
    do(world, "restore", cast.priya)
    again = heard("welcome back")
    assert again["chat_uuid"] == first["chat_uuid"]
    texts = told(messages_of(world, cast.priya, first["chat_uuid"]))
    assert texts == ["welcome", "welcome back"]


def test_own_drafts_are_thrown_away_and_those_of_others_forget_the_member(world: World) -> None:
    cast = world.cast
    own = start(world, cast.olga, cast.ingrid)
    theirs = start(world, cast.ingrid, cast.olga, cast.tomas)
    before = world.head(cast.firm)
    do(world, "destroy", cast.olga)
    entries = {
        one["chat_uuid"]: one for one in world.entries(cast.firm, before) if "chat_uuid" in one
    }
    assert entries[own]["type"] == "chat.discarded"
    assert entries[theirs]["type"] == "participant.left"
    assert "seq" not in entries[theirs]
    assert "Olga" not in states(chat_of(world, cast.ingrid, theirs))


def test_chats_left_already_are_not_left_again(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.ingrid, cast.olga, text="hello")
    done(world, "leave", cast.olga, chat)
    before = world.head(cast.firm)
    do(world, "destroy", cast.olga)
    assert types_after(world, before) == ["member.destroyed"]


def test_a_pending_membership_is_revoked_with_its_invitation(world: World) -> None:
    cast = world.cast
    before = world.head(cast.firm)
    shown = do(world, "destroy", cast.petra)
    assert shown["state"] == "inactive"
    assert shown["invitation"]["state"] == "revoked"
    assert types_after(world, before) == [
        "invitation.revoked",
        "member.destroyed",
        "group.member_removed",
    ]
    ended = world.rows(
        "SELECT l.ended FROM invitation_link l JOIN member m ON m.id = l.member_id"
        " WHERE m.uuid = $1",
        cast.petra.uuid,
    )
    assert ended == [("revoked",)]


def test_email_and_identifier_stay_bound_to_who_is_gone(world: World) -> None:
    cast = world.cast
    do(world, "destroy", cast.priya)
    body = {"enum_profile_id": 4, "first_name": "New", "primary_email": cast.priya.email}
    refused(world.post(f"{MEMBERS}/create", key=cast.system, json=body), "RB014")
    body |= {"primary_email": "n@example.org", "identifier": "CL-1"}
    refused(world.post(f"{MEMBERS}/create", key=cast.system, json=body), "RB013")


def test_a_barred_chat_goes_on_when_who_stood_across_is_gone(world: World) -> None:
    cast = world.cast
    chat = start(world, cast.ingrid, cast.olga, text="hello")
    body = {"name": "Desk", "entity_user_xref_uuids": [cast.olga.uuid]}
    desk = accepted(world.post(f"{GROUPS}/create", key=cast.system, json=body))["group_uuid"]
    body = {"group_uuid": desk, "other_group_uuid": cast.team}
    accepted(world.post(f"{ENTITY}/barriers/create", key=cast.system, json=body))
    refused(act(world, "messages/send-text", cast.ingrid, chat, text="x"), "RF007")
    do(world, "destroy", cast.olga)
    say(world, cast.ingrid, chat, "alone")


# -- in slices ------------------------------------------------------------------------------------


def test_who_is_in_many_chats_leaves_them_in_slices_and_loses_access_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chats = [start(world, cast.ingrid, cast.olga, text=f"{n}") for n in range(5)]
    monkeypatch.setattr(membership, "SLICE", 2)
    before = world.head(cast.firm)
    how = {"headers": {"Idempotency-Key": "once"}}
    shown = do(world, "destroy", cast.olga, **how)
    assert types_after(world, before) == ["member.destroyed", *["participant.left"] * 5]
    assert shown["state"] == "inactive"
    assert do(world, "destroy", cast.olga, **how) == shown
    assert len(types_after(world, before)) == 6
    for chat in chats:
        assert states(chat_of(world, cast.ingrid, chat))["Olga"] == "former"


def test_an_end_that_was_cut_short_is_gone_on_with_and_nobody_returns_before(
    world: World,
) -> None:
    cast = world.cast
    chats = [start(world, cast.ingrid, cast.olga, text=f"{n}") for n in range(3)]

    async def first_slice(work: Work) -> None:
        olga = await members.pick(work, cast.olga.uuid, None)
        await membership.end(work, olga, (await membership.ending(work, olga))[:2])

    world.work(cast.firm, first_slice)
    refused(act(world, "messages/send-text", cast.olga, chats[2], text="x"), "RF024")
    assert "destroy" in refuse(world, "RB019", "restore", cast.olga)
    before = world.head(cast.firm)
    do(world, "destroy", cast.olga)
    assert types_after(world, before) == ["participant.left"] * 2
    refuse(world, "RB019", "destroy", cast.olga)
    do(world, "restore", cast.olga)


def cut_short(world: World, chats: int) -> list[str]:
    """Begin to end olga's membership in so many chats, and stop after the first slice of two."""
    cast = world.cast
    made = [start(world, cast.ingrid, cast.olga, text=f"{n}") for n in range(chats)]

    async def first_slice(work: Work) -> None:
        olga = await members.pick(work, cast.olga.uuid, None)
        await membership.end(work, olga, (await membership.ending(work, olga))[:2])

    world.work(cast.firm, first_slice)
    return made


def run_jobs(world: World) -> list[tuple[Any, ...]]:
    """Let the time go by that the call had for itself, and run what is due; the jobs that ended."""
    sql = "UPDATE job SET run_at = 0 WHERE kind = 'end_membership' AND state = 'queued'"
    world.change(world.cast.firm, sql)
    world.run(worker.run_due(world.app))
    return world.rows("SELECT state, done FROM job WHERE kind = 'end_membership' ORDER BY id")


def test_an_end_that_was_cut_short_comes_to_its_end_without_being_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chats = cut_short(world, 8)
    monkeypatch.setattr(membership, "SLICE", 3)
    before = world.head(cast.firm)
    assert run_jobs(world) == [("done", 6)]
    left = world.entries(cast.firm, before)[1:]
    assert [one["type"] for one in left] == ["participant.left"] * 7
    assert {one["actor"]["kind"] for one in left} == {"service"}
    for chat in chats:
        assert states(chat_of(world, cast.ingrid, chat))["Olga"] == "former"
    refuse(world, "RB019", "destroy", cast.olga)
    do(world, "restore", cast.olga)


def test_the_job_finds_nothing_to_do_after_a_call_that_came_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    for number in range(5):
        start(world, cast.ingrid, cast.olga, text=f"{number}")
    monkeypatch.setattr(membership, "SLICE", 2)
    do(world, "destroy", cast.olga)
    before = world.head(cast.firm)
    assert run_jobs(world) == [("done", 0)]
    assert types_after(world, before) == ["setting.changed"]


def test_an_end_in_one_slice_puts_no_job_in_line(world: World) -> None:
    do(world, "destroy", world.cast.olga)
    assert world.rows("SELECT 1 FROM job WHERE kind = 'end_membership'") == []


def test_a_call_and_the_job_at_once_leave_every_chat_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    chats = cut_short(world, 12)
    monkeypatch.setattr(membership, "SLICE", 2)
    sql = "UPDATE job SET run_at = 0 WHERE kind = 'end_membership'"
    world.change(cast.firm, sql)
    before = world.head(cast.firm)
    body = {"entity_user_xref_uuid": cast.olga.uuid}
    path = f"{MEMBERS}/destroy"

    async def both() -> None:
        asked = world.request("POST", path, key=cast.system, json=body)
        answer, _ = await asyncio.gather(asked, worker.run_due(world.app))
        assert answer.status_code == 200 or answer.json()["error_code"] == "RB019"

    world.run(both())
    left = [one["chat_uuid"] for one in world.entries(cast.firm, before)]
    assert sorted(left) == sorted(chats[1:])


def test_the_job_leaves_nothing_for_who_was_brought_back(world: World) -> None:
    cast = world.cast
    start(world, cast.ingrid, cast.olga, text="hello")
    cut_short(world, 1)
    do(world, "destroy", cast.olga)
    do(world, "restore", cast.olga)
    chat = start(world, cast.ingrid, cast.olga, text="again")
    assert run_jobs(world) == [("done", 0)]
    assert states(chat_of(world, cast.olga, chat))["Olga"] == "active"


def test_slices_that_come_after_a_return_do_nothing(world: World) -> None:
    cast = world.cast
    start(world, cast.ingrid, cast.olga, text="hello")

    async def plan(work: Work) -> list[membership.Step]:
        return await membership.ending(work, await members.pick(work, cast.olga.uuid, None))

    steps = world.work(cast.firm, plan)
    do(world, "destroy", cast.olga)
    do(world, "restore", cast.olga)
    chat = start(world, cast.ingrid, cast.olga, text="again")
    before = world.head(cast.firm)

    async def late(work: Work) -> None:
        await membership.end(work, await members.pick(work, cast.olga.uuid, None), steps[1:])

    world.work(cast.firm, late)
    assert world.head(cast.firm) == before
    assert states(chat_of(world, cast.olga, chat))["Olga"] == "active"


def test_a_chat_joined_between_plan_and_end_is_left_too(world: World) -> None:
    cast = world.cast

    async def plan(work: Work) -> list[membership.Step]:
        return await membership.ending(work, await members.pick(work, cast.olga.uuid, None))

    steps = world.work(cast.firm, plan)
    chat = start(world, cast.ingrid, cast.olga, text="late")

    async def end(work: Work) -> None:
        await membership.end(work, await members.pick(work, cast.olga.uuid, None), steps)

    world.work(cast.firm, end)
    assert states(chat_of(world, cast.ingrid, chat))["Olga"] == "former"


# -- restore --------------------------------------------------------------------------------------


def test_a_client_comes_back_into_the_default_group_without_old_chats_and_groups(
    world: World,
) -> None:
    cast = world.cast
    chat = start(world, cast.priya, cast.tomas, text="hello")
    do(world, "destroy", cast.priya)
    body = {"group_uuid": cast.default_group, "entity_user_xref_uuids": [cast.miriam.uuid]}
    accepted(world.post(f"{GROUPS}/group-members/destroy", key=cast.system, json=body))
    before = world.head(cast.firm)
    shown = do(world, "restore", cast.priya)
    assert shown["state"] == "active"
    assert shown["group_uuids"] == [cast.default_group]
    restored, *joined = world.entries(cast.firm, before)
    assert (restored["type"], restored["data"]) == ("member.restored", {"state": "active"})
    # Nobody of the staff was there: the first system administrator looks after the group.
    assert [one["entity_user_xref_uuid"] for one in joined] == [cast.miriam.uuid, cast.priya.uuid]
    assert contacts_of(world, cast.priya) == {"Miriam": "available"}
    assert listed(world, cast.priya) == [chat]
    refused(act(world, "messages/send-text", cast.priya, chat, text="x"), "RF001")


def test_staff_come_back_without_groups_and_their_keys_stay_stopped(world: World) -> None:
    cast = world.cast
    do(world, "destroy", cast.tomas)
    shown = do(world, "restore", cast.tomas)
    assert (shown["state"], shown["group_uuids"]) == ("active", [])
    refused(world.get(CHATS, key=cast.user), "RU002")


def test_who_never_joined_comes_back_pending_and_can_be_invited_again(world: World) -> None:
    cast = world.cast
    do(world, "destroy", cast.petra)
    shown = do(world, "restore", cast.petra)
    assert (shown["state"], shown["group_uuids"]) == ("pending", [cast.default_group])
    assert shown["invitation"]["state"] == "revoked"
    again = do(world, "invitations/resend", cast.petra)
    assert again["invitation"]["state"] == "not_sent"


def test_a_client_stays_away_while_nobody_could_look_after_the_default_group(
    world: World,
) -> None:
    cast = world.cast
    do(world, "destroy", cast.priya)
    world.change(
        cast.firm, "UPDATE member SET state = 'suspended' WHERE uuid = $1", cast.miriam.uuid
    )
    refuse(world, "RB020", "restore", cast.priya)
    world.change(
        cast.firm, "UPDATE client_group SET is_default = 0 WHERE uuid = $1", cast.default_group
    )
    refuse(world, "RN002", "restore", cast.priya)


# -- what was -------------------------------------------------------------------------------------


def test_what_contacts_were_is_told_for_every_position(world: World) -> None:
    cast = world.cast
    rules = {}
    for what in ("suspend", "unsuspend", "destroy", "restore"):
        do(world, what, cast.priya)
        rules[world.head(cast.firm)] = explained(world, cast.tomas, cast.priya)
    assert list(rules.values()) == ["shared_group", "shared_group", "state", "no_shared_group"]
    for position, rule in rules.items():
        assert explained(world, cast.tomas, cast.priya, position) == rule
    staff = {}
    for what in ("suspend", "destroy", "restore"):
        do(world, what, cast.olga)
        staff[world.head(cast.firm)] = explained(world, cast.tomas, cast.olga)
    assert list(staff.values()) == ["colleagues", "state", "colleagues"]
    for position, rule in staff.items():
        assert explained(world, cast.tomas, cast.olga, position) == rule


def test_two_who_suspend_the_last_two_of_a_group_at_once_leave_one(world: World) -> None:
    cast = world.cast

    def asked(who: Person) -> Any:
        body = {"entity_user_xref_uuid": who.uuid}
        return world.request("POST", f"{MEMBERS}/suspend", key=cast.system, json=body)

    answers = world.together(asked(cast.tomas), asked(cast.ingrid))
    assert sorted(one.status_code for one in answers) == [200, 400]
    assert {json.loads(one.content).get("error_code") for one in answers} == {None, "RB011"}


# -- by hand --------------------------------------------------------------------------------------


def test_a_user_administrator_does_nothing_to_a_system_administrator(world: World) -> None:
    cast = world.cast
    amy = world.run(join(world.app, cast.firm, USER_ADMIN, "Amy", "User"))
    ada = world.run(join(world.app, cast.firm, SYSTEM_ADMIN, "Ada", "Min"))

    def code(by: Person, deed: Any, who: Person) -> str:
        async def run(work: Work) -> None:
            await deed(work, await members.pick(work, who.uuid, None))

        return code_by_hand(world, by, run)

    for deed in (membership.suspend, membership.ending):
        assert code(amy, deed, ada) == "RF006"
        assert code(cast.tomas, deed, cast.priya) == "RF006"
        assert code(amy, deed, cast.priya) == ""
    do(world, "destroy", ada)
    assert code(amy, membership.restore, ada) == "RF006"
    assert code(cast.miriam, membership.restore, ada) == ""


def test_a_client_who_is_gone_is_no_more_in_the_way_of_the_last_staff(world: World) -> None:
    cast = world.cast
    solo = world.run(join(world.app, cast.firm, CLIENT, "Solo", "One"))

    async def olga_alone(work: Work) -> None:
        group = await pick_group(work, cast.default_group)
        await put_into_group(work, group, await members.pick(work, cast.olga.uuid, None))

    world.work(cast.firm, olga_alone)
    body = {"group_uuid": cast.default_group, "entity_user_xref_uuids": [cast.miriam.uuid]}
    accepted(world.post(f"{GROUPS}/group-members/destroy", key=cast.system, json=body))
    refuse(world, "RB011", "destroy", cast.olga)
    do(world, "destroy", solo)
    do(world, "destroy", cast.olga)

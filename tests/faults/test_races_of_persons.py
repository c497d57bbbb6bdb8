"""Two acts of persons at once, of which only one may have its way, as in test_races."""

import asyncio
import hmac
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from onrecord.domain import challenges
from onrecord.jobs import worker
from onrecord.model.access import INSTALLATION_UUID
from onrecord.store import accounts as account_rows
from tests.cast import PASSWORD, Browser, Person, embed, sign_in
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import CREATE_MEMBER, LONG, MEMBERS
from tests.signing import APP, username
from tests.world import CHAT, ENTITY, World, accepted, refused

ROUNDS = 25 if LONG else 4

pytestmark = [pytest.mark.long, pytest.mark.timeout(600 if LONG else 120)]


class Two:
    """A world that keeps its mail, with a second App beside it."""

    def __init__(self, world: World, second: World) -> None:
        self.world, self.second, self.cast = world, second, world.cast

    async def says(self, which: World, path: str, **json: Any) -> httpx.Response:
        """Send what a person says who is not signed in."""
        return await which.request("POST", f"{APP}/{path}", json=json)

    async def acts(self, which: World, act: str, uuid: str) -> httpx.Response:
        """Do something to a member as an administrator."""
        body = {"entity_user_xref_uuid": uuid}
        return await which.request("POST", f"{MEMBERS}/{act}", key=self.cast.system, json=body)

    def code_for(self, challenge: str) -> str:
        """Give the code that was mailed for a challenge."""
        self.world.run(worker.run_due(self.world.app))
        sql = "SELECT token, code FROM challenge WHERE token = $1"
        ((token, hashed),) = self.world.rows(sql, challenges.digest(challenge))
        for (code,) in self.world.rows("SELECT code FROM outbox WHERE code IS NOT NULL"):
            if hmac.compare_digest(challenges._code_hash(bytes(token), code), bytes(hashed)):
                return str(code)
        raise AssertionError(challenge)

    def invite(self, number: int) -> tuple[str, str]:
        """Invite somebody; give the member and the token of the link."""
        email = f"nell{number}@example.net"
        body = {"enum_profile_id": 3, "first_name": "Nell", "primary_email": email}
        made = accepted(self.world.post(CREATE_MEMBER, key=self.cast.system, json=body))
        self.world.run(worker.run_due(self.world.app))
        ((links,),) = self.world.rows("SELECT links FROM outbox WHERE recipient = $1", email)
        token = str(links).partition("#token=")[2].partition('"')[0]
        return str(made["entity_user_xref_uuid"]), token

    def accept(self, token: str, name: str) -> dict[str, str]:
        """Accept an invitation as a new account; give what confirms it."""
        begun = self.world.post(
            f"{APP}/invitations/accept",
            json={"token": token, "accept_terms": True, "username": name, "password": PASSWORD},
        )
        challenge = accepted(begun)["challenge"]
        return {"challenge": challenge, "code": self.code_for(challenge)}

    def begin(self, person: Person, password: str = PASSWORD) -> dict[str, str]:
        """Begin to sign in; give what confirms it."""
        body = {"username": username(person), "password": password}
        challenge = accepted(self.world.post(f"{APP}/sign-in", json=body))["challenge"]
        return {"challenge": challenge, "code": self.code_for(challenge)}


@pytest.fixture
def two(make_world: MakeWorld) -> Iterator[Two]:
    world = make_world(dev_outbox=True)
    second = world.beside()
    yield Two(world, second)
    second.close()
    told = records.check_everything(world)
    records.check_links(world, told[world.cast.firm])


def codes(answers: list[httpx.Response]) -> list[str]:
    """Give the refusals' codes, and `fine` for successes, in order."""
    assert all(one.status_code < 500 for one in answers), [one.text for one in answers]
    return ["fine" if one.is_success else one.json()["error_code"] for one in answers]


@pytest.mark.parametrize("act", ["destroy", "invitations/revoke"])
def test_who_joins_while_the_invitation_is_taken_back_joins_before_or_not_at_all(
    two: Two, act: str
) -> None:
    for number in range(ROUNDS):
        uuid, token = two.invite(number)
        right = two.accept(token, f"nell.{number}")
        joined, taken_back = codes(
            two.world.together(
                two.says(two.world, "invitations/confirm", **right),
                two.acts(two.second, act, uuid),
            )
        )
        ((state,),) = two.world.rows("SELECT state FROM member WHERE uuid = $1", uuid)
        if act == "destroy":
            assert taken_back == "fine"
            assert state == "inactive"
            assert joined in {"fine", "RU010"}
        else:
            assert (joined, taken_back, state) in {
                ("fine", "RB019", "active"),
                ("RU010", "fine", "pending"),
            }


def test_an_invitation_taken_back_by_two_at_once_is_taken_back_once(two: Two) -> None:
    for number in range(ROUNDS):
        uuid, _ = two.invite(number)
        acts = (two.acts(which, "invitations/revoke", uuid) for which in (two.world, two.second))
        assert sorted(codes(two.world.together(*acts))) == ["RB019", "fine"]


def test_an_invitation_taken_back_while_it_is_mailed_stays_so(two: Two) -> None:
    for number in range(ROUNDS):
        uuid, _ = two.invite(number)
        accepted(two.world.run(two.acts(two.world, "invitations/resend", uuid)))
        acts = two.acts(two.second, "invitations/revoke", uuid), worker.run_due(two.world.app)
        two.world.together(*acts)
        shown = two.world.get(MEMBERS, key=two.cast.system, params={"entity_user_xref_uuid": uuid})
        assert accepted(shown)["entity_membership"]["invitation"]["state"] == "revoked"


def test_an_invitation_accepted_three_times_at_once_makes_one_member(two: Two) -> None:
    for number in range(ROUNDS):
        uuid, token = two.invite(number)
        rights = [two.accept(token, f"nell.{number}.{each}") for each in range(3)]
        worlds = [two.world, two.second, two.world]
        answers = codes(
            two.world.together(
                *(
                    two.says(which, "invitations/confirm", **right)
                    for which, right in zip(worlds, rights, strict=True)
                )
            )
        )
        assert sorted(answers) == ["RU010", "RU010", "fine"]
        joined = two.world.entries(two.cast.firm)
        about = [one["type"] for one in joined if one.get("entity_user_xref_uuid") == uuid]
        assert about.count("member.joined") == 1


def test_terms_accepted_twice_at_once_are_accepted_once(two: Two) -> None:
    person = two.cast.tomas
    browser = two.world.run(sign_in(two.world.app, person))
    for version in range(1, ROUNDS + 1):
        body = {"text": f"Terms {version}"}
        accepted(two.world.post(f"{ENTITY}/terms/update", key=two.cast.system, json=body))
        answers = two.world.together(
            *(
                which.request("POST", f"{APP}/terms/accept", key=browser, json={"version": version})
                for which in (two.world, two.second)
            )
        )
        assert codes(answers) == ["fine", "fine"]
        told = [one["type"] for one in two.world.entries(two.cast.firm)]
        assert told.count("terms.accepted") == version


def test_of_two_who_take_a_user_name_at_once_one_gets_it(two: Two) -> None:
    for number in range(ROUNDS):
        rights = []
        for each in range(2):
            _, token = two.invite(2 * number + each)
            rights.append(two.accept(token, f"nell.{number}"))
        answers = codes(
            two.world.together(
                two.says(two.world, "invitations/confirm", **rights[0]),
                two.says(two.second, "invitations/confirm", **rights[1]),
            )
        )
        assert sorted(answers) == ["RB013", "fine"]


def test_a_code_given_twice_at_once_opens_one_session(two: Two) -> None:
    before = len(two.world.rows("SELECT 1 FROM session"))
    for _ in range(ROUNDS):
        right = two.begin(two.cast.ingrid)
        answers = codes(
            two.world.together(
                two.says(two.world, "sign-in/confirm", **right),
                two.says(two.second, "sign-in/confirm", **right),
            )
        )
        assert sorted(answers) == ["RU010", "fine"]
    assert len(two.world.rows("SELECT 1 FROM session")) == before + ROUNDS


def test_a_token_given_back_twice_at_once_is_given_back_once(two: Two) -> None:
    path = f"{APP}/sign-out"
    for _ in range(ROUNDS):
        token = two.world.run(embed(two.world.app, two.cast.ingrid))
        answers = codes(
            two.world.together(
                *(
                    which.request("POST", path, key=token, json={})
                    for which in (two.world, two.second, two.world, two.second)
                )
            )
        )
        assert sorted(answers) == ["RU010", "RU010", "RU010", "fine"]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_token_given_back_while_it_is_judged_opens_nothing_more(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here each question of a verdict sees what was committed before it; SQLite has snapshots."""
    token = two.world.run(embed(two.world.app, two.cast.ingrid))
    real = account_rows.membership_to_judge

    async def late(*asked: Any, **how: Any) -> Any:
        monkeypatch.undo()
        path = f"{APP}/sign-out"
        accepted(await two.second.request("POST", path, key=token, json={}))
        return await real(*asked, **how)

    monkeypatch.setattr(account_rows, "membership_to_judge", late)
    refused(two.world.get(f"{CHAT}/chats", key=token), "RU010")


def test_who_signs_in_with_the_old_password_while_it_is_changed_is_not_signed_in_afterwards(
    two: Two,
) -> None:
    """Whichever came first: a session that the old password opened has ended."""
    cast, world = two.cast, two.world
    browser = world.run(sign_in(world.app, cast.olga))
    password = PASSWORD
    for number in range(ROUNDS):
        new = f"{number} words of another kind"
        right = two.begin(cast.olga, password)
        body = {"password": password, "new_password": new}

        async def change(body: dict[str, str] = body) -> httpx.Response:
            path = f"{APP}/account/password/change"
            return await world.request("POST", path, key=browser, json=body)

        late = Browser(cast.olga)

        async def enter(right: dict[str, str] = right, late: Browser = late) -> httpx.Response:
            path = f"{APP}/sign-in/confirm"
            return await two.second.request("POST", path, key=late, json=right)

        changed, entered = codes(world.together(change(), enter()))
        assert changed == "fine"
        assert entered in {"fine", "RU010"}
        living = world.rows(
            "SELECT s.token FROM session s JOIN account a ON a.id = s.account_id"
            " WHERE a.username = 'olga.berg' AND s.ended_at IS NULL AND s.kind = 'web'"
        )
        assert len(living) == 1, "the one in which it was changed"
        password = new


def test_a_password_that_was_right_before_it_was_changed_leads_nowhere_afterwards(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing a password takes its time, in which it may stop being the right one."""
    cast, world = two.cast, two.world
    browser = world.run(sign_in(world.app, cast.olga))
    compared, go_on = asyncio.Event(), asyncio.Event()
    real = two.second.app.passwords.matches

    async def slowly(hashed: str | None, password: str) -> bool:
        right = await real(hashed, password)
        compared.set()
        await go_on.wait()
        return right

    monkeypatch.setattr(two.second.app.passwords, "matches", slowly)

    async def both() -> tuple[httpx.Response, httpx.Response]:
        wanted = {"username": username(cast.olga), "password": PASSWORD}
        entering = asyncio.create_task(two.says(two.second, "sign-in", **wanted))
        await compared.wait()
        body = {"password": PASSWORD, "new_password": "words of another kind"}
        changed = await world.request(
            "POST", f"{APP}/account/password/change", key=browser, json=body
        )
        go_on.set()
        return changed, await entering

    changed, begun = world.run(both())
    accepted(changed)
    if begun.status_code == 200:
        challenge = begun.json()["challenge"]
        answer = world.post(
            f"{APP}/sign-in/confirm",
            json={"challenge": challenge, "code": two.code_for(challenge)},
        )
        assert answer.json()["error_code"] == "RU010"
    else:
        assert begun.json()["error_code"] == "RU001"
    types = [one["type"] for one in world.entries(INSTALLATION_UUID)]
    assert types[-1] != "account.signed_in"

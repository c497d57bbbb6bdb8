"""What persons do in a random history: sign in, change their accounts, join, sign out."""

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyotp

from onrecord import app as composition
from onrecord.domain import accounts, challenges, terms
from onrecord.model import times
from onrecord.store import accounts as account_rows
from onrecord.store.work import Work
from tests.cast import PASSWORD, Browser, Person, sign_in
from tests.faults.histories import Choice, History, Said
from tests.faults.processes import MY_EVENTS, SEND
from tests.signing import APP, username

ACCOUNT = f"{APP}/account"
WRONG = "not the right password"
ADDRESSES = 30
"""Persons come from so many addresses: one alone would soon have failed too often."""


@dataclass
class Login:
    """What an actor knows of an account: who it is of, what it is called, what opens it."""

    person: Person
    names: list[str]
    """Every user name that it was given; the last one most likely is the one of now."""
    passwords: list[str]
    secrets: list[str] = field(default_factory=list)
    """Of authenticator apps."""
    recovery: list[str] = field(default_factory=list)


@dataclass
class Persons(History):
    """Random acts of people who sign in themselves, beside those of keys."""

    logins: dict[str, Login] = field(default_factory=dict)
    browsers: list[Browser] = field(default_factory=list)
    """Where somebody is signed in, or was."""
    joined: list[str] = field(default_factory=list)
    """Members of whom somebody was told that they have joined."""

    def choices(self) -> list[Choice]:
        """Give what can be done; persons do about as much as keys."""
        return [
            *super().choices(),
            (12, self.sign_in),
            (2, self.guess),
            (1, self.lock_out),
            (1, self.unlock),
            (2, self.sign_out),
            (3, self.end_sessions),
            (8, self.act_in_person),
            (3, self.change_password),
            (2, self.forget_password),
            (3, self.change_name),
            (4, self.change_contact),
            (8, self.change_factor),
            (3, self.accept_terms),
            (1, self.publish_terms),
            (10, self.join),
        ]

    async def begin(self) -> None:
        """Get to know the accounts of the cast, those of next door too, and sign everybody in."""
        cast = self.world.cast
        for person in (*cast.people, cast.nadia, cast.karl, cast.lena):
            login = Login(person, [username(person)], [PASSWORD])
            self.logins[person.uuid] = login
            self.browsers.append(await sign_in(self.world.app, person))

    # -- how they ask ----------------------------------------------------------------------------

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Give the rows of a statement."""
        found = await self.world.app.store.ask(lambda session: session.all(sql, *values))
        return [tuple(row) for row in found]

    async def says(
        self, path: str, writes: str | None = None, browser: Browser | None = None, **json: Any
    ) -> httpx.Response:
        """Send what a person says, from some address, signed in or not."""
        address = f"127.0.1.{self.chance.randrange(ADDRESSES)}"
        return await self.post(
            f"{APP}/{path}", key=browser, json=json, writes=writes, client=address
        )

    def a_login(self) -> Login:
        return self.chance.choice(list(self.logins.values()))

    def a_browser(self) -> Browser:
        return self.chance.choice(self.browsers) if self.browsers else Browser()

    def password_of(self, browser: Browser) -> str:
        """Give the password of whoever is signed in, or one that it was."""
        login = self.logins[browser.person.uuid] if browser.person else self.a_login()
        return self.chance.choice([*login.passwords, *login.passwords[-1:] * 6])

    async def code_for(self, challenge: str) -> str:
        """Give the code that was mailed for a challenge; nothing when none comes."""
        for _ in range(60):
            found = await self.rows(
                "SELECT token, code FROM challenge WHERE token = $1", challenges.digest(challenge)
            )
            if not found or found[0][1] is None:
                return ""
            token, hashed = map(bytes, found[0])
            mailed = await self.rows("SELECT code FROM outbox WHERE code IS NOT NULL")
            for (code,) in mailed:
                if hmac.compare_digest(challenges._code_hash(token, code), hashed):
                    return str(code)
            await asyncio.sleep(0.05)
        return ""

    # -- coming and going ------------------------------------------------------------------------

    async def sign_in(self) -> None:
        login = self.a_login()
        name = self.chance.choice([*login.names, *login.names[-1:] * 4])
        password = self.chance.choice([*login.passwords, *login.passwords[-1:] * 4])
        begun = await self.says("sign-in", "account.challenged", username=name, password=password)
        if begun.status_code != 200:
            return
        asked = begun.json()
        code = await self.code_for(asked["challenge"])
        if "totp" in asked["methods"] and login.secrets:
            code = self.a_code(self.chance.choice(login.secrets))
        if "recovery_code" in asked["methods"] and login.recovery and self.chance.random() < 0.5:
            code = self.chance.choice(login.recovery)
        browser = self.chance.choice([Browser(), self.a_browser()])
        browser.person = login.person
        tries = [
            self.says(
                "sign-in/confirm",
                "account.signed_in",
                browser,
                challenge=asked["challenge"],
                code=code,
            )
            for _ in range(self.chance.choice([1, 1, 2]))
        ]
        answers = await asyncio.gather(*tries)
        signed_in = [one.status_code for one in answers].count(200)
        assert signed_in <= 1, "a code works once"
        if signed_in and browser not in self.browsers:
            self.browsers.append(browser)

    def a_code(self, secret: str) -> str:
        """Give a code of an authenticator app that may still be taken."""
        at = times.now() // times.SECOND + self.chance.choice([-30, 0, 30])
        return pyotp.TOTP(secret).at(at)

    async def guess(self) -> None:
        """Get the password right, and the code wrong until it is worth nothing."""
        login = self.a_login()
        begun = await self.says("sign-in", username=login.names[-1], password=login.passwords[-1])
        if begun.status_code != 200:
            return
        challenge = begun.json()["challenge"]
        wrong = [
            self.says("sign-in/confirm", challenge=challenge, code="nonsense")
            for _ in range(self.chance.choice([1, 6]))
        ]
        told = [answer.status_code for answer in await asyncio.gather(*wrong)]
        assert {*told} <= {401, 429}
        if told.count(401) > challenges.TRIES:  # behind a door that is shut no try is one
            right = await self.code_for(challenge)
            late = await self.says("sign-in/confirm", challenge=challenge, code=right)
            assert late.status_code in {401, 429}, "five wrong tries are the end of a code"

    async def lock_out(self) -> None:
        """Fail so often that the door shuts; most often for somebody of next door."""
        name = self.chance.choice(["karl.frost", "karl.frost", "priya.nair"])
        for _ in range(accounts.FAILURES_FREE):
            answer = await self.says("sign-in", username=name, password=WRONG)
            assert answer.status_code in {401, 429}

    async def unlock(self) -> None:
        login = self.a_login()
        name = self.chance.choice([*login.names, "karl.frost"])

        async def act(work: Work) -> None:
            account = await self.named(work, name)
            if account is not None:
                await accounts.unlock(work, account)

        app = self.chance.choice(self.worlds).app
        await composition.acting(app, None, act)

    @staticmethod
    async def named(work: Work, name: str) -> Any:
        return await account_rows.account_named(work.db, name)

    async def sign_out(self) -> None:
        await self.says("sign-out", "account.session_ended", self.a_browser())

    async def end_sessions(self) -> None:
        """End one session of an account, or all the others."""
        browser = self.a_browser()
        if self.chance.random() < 0.3:
            await self.says("account/devices/end-others", None, browser)
            return
        listed = await self.world.request("GET", f"{ACCOUNT}/devices/list", key=browser)
        uuids = [one["session_uuid"] for one in listed.json().get("devices", ())]
        if uuids:  # the last one may end between the judging of the call and its answer
            await self.says(
                "account/devices/end",
                "account.session_ended",
                browser,
                session_uuid=self.chance.choice(uuids),
            )

    async def act_in_person(self) -> None:
        """Write into a chat, or read one's feed, as the member whom the session names."""
        browser = self.a_browser()
        if self.chance.random() < 0.3:
            await self.ask("GET", MY_EVENTS, key=browser)
            return
        text, chat_uuid = self.a_text(), self.a_chat()
        json = {"chat_uuid": chat_uuid, "text": text}
        answer = await self.post(SEND, key=browser, json=json, writes="message.sent")
        if answer.status_code == 200:
            self.said.append(Said(chat_uuid, answer.json()["seq"], text))

    # -- the account -----------------------------------------------------------------------------

    def login_of(self, browser: Browser) -> Login | None:
        return self.logins.get(browser.person.uuid) if browser.person else None

    async def change_password(self) -> None:
        browser = self.a_browser()
        login, new = self.login_of(browser), f"{next(self.numbers)} words in a row"
        if login is None:
            return
        answer = await self.says(
            "account/password/change",
            "account.password_changed",
            browser,
            password=self.password_of(browser),
            new_password=new,
        )
        if answer.status_code == 200:
            login.passwords.append(new)

    async def forget_password(self) -> None:
        """Ask for a link, and use it twice at once."""
        login = self.a_login()
        await self.says("account/password/forgot", username=login.names[-1])
        for _ in range(20):
            mailed = await self.rows(
                "SELECT links FROM outbox WHERE recipient = $1 AND links LIKE '%/reset#%'"
                " ORDER BY id DESC LIMIT 1",
                login.person.email,
            )
            if mailed:
                break
            await asyncio.sleep(0.05)
        else:
            return
        token = mailed[0][0].partition("#token=")[2].partition('"')[0]
        new = f"{next(self.numbers)} words to remember"
        answers = await asyncio.gather(
            *(self.says("account/password/reset", token=token, password=new) for _ in range(2))
        )
        used = [one.status_code for one in answers].count(200)
        assert used <= 1, "a link works once"
        if used:
            login.passwords.append(new)

    async def change_name(self) -> None:
        browser = self.a_browser()
        login, name = (
            self.login_of(browser),
            f"name.{self.chance.randrange(30)}",
        )  # so that two meet
        if login is None:
            return
        answer = await self.says(
            "account/username/change",
            None,
            browser,
            username=name,
            password=self.password_of(browser),
        )
        if answer.status_code == 200:
            login.names.append(name)

    async def change_contact(self) -> None:
        """Give the account another email or phone number, by the code that goes there."""
        browser, number = self.a_browser(), next(self.numbers)
        what, new = self.chance.choice(
            [
                ("email", {"email": f"own{number}@example.net"}),
                ("phone", {"phone_number": f"+4420{number:06}"}),
            ]
        )
        begun = await self.says(
            f"account/{what}/change", None, browser, **new, password=self.password_of(browser)
        )
        if begun.status_code == 200:
            challenge = begun.json()["challenge"]
            code = await self.code_for(challenge)
            await self.says(
                f"account/{what}/confirm",
                "account.updated",
                browser,
                challenge=challenge,
                code=code,
            )

    async def change_factor(self) -> None:
        """Add an authenticator app or take it away, or make a recovery code."""
        browser = self.a_browser()
        login, password = self.login_of(browser), {"password": self.password_of(browser)}
        if login is None:
            return
        what = self.chance.choice(["add", "add", "remove", "remove", "recovery"])
        if what == "remove":
            await self.says("account/totp/remove", "account.factor_changed", browser, **password)
        elif what == "recovery":
            made = await self.says(
                "account/recovery-code/create", "account.factor_changed", browser, **password
            )
            if made.status_code == 200:
                login.recovery.append(made.json()["recovery_code"])
        else:
            begun = await self.says("account/totp/begin", None, browser, **password)
            if begun.status_code != 200:
                return
            asked = begun.json()
            code = pyotp.TOTP(asked["secret"]).at(times.now() // times.SECOND - 30)
            added = await self.says(
                "account/totp/confirm", None, browser, challenge=asked["challenge"], code=code
            )
            if added.status_code == 200:
                login.secrets.append(asked["secret"])

    async def accept_terms(self) -> None:
        """Accept what is due, the organisation's or the operator's."""
        browser = self.a_browser()
        path = self.chance.choice(["terms/accept", "account/terms/accept"])
        await self.says(path, None, browser, version=self.chance.randint(1, 3))

    async def publish_terms(self) -> None:
        """Let the operator's terms have another version."""
        text = f"Terms {next(self.numbers)}"
        app = self.chance.choice(self.worlds).app
        await composition.acting(app, None, lambda work: terms.publish(work, text))

    # -- joining ---------------------------------------------------------------------------------

    async def join(self) -> None:
        """Accept an invitation, as a new account or as somebody who is signed in already."""
        found = await self.rows(
            "SELECT m.uuid, m.first_name, m.primary_email FROM invitation i"
            " JOIN member m ON m.id = i.member_id ORDER BY m.id"
        )
        if not found:
            return
        uuid, first_name, email = self.chance.choice(found)
        mailed = await self.rows(
            "SELECT links FROM outbox WHERE recipient = $1 AND links LIKE '%/join#%'"
            " ORDER BY id DESC LIMIT 2",
            email,
        )
        if not mailed:
            return
        link = self.chance.choice([mailed[0], mailed[0], mailed[-1]])[0]
        token = link.partition("#token=")[2].partition('"')[0]
        person = Person(uuid, self.world.cast.firm, first_name, "", email, None, 4)
        at_once = self.chance.choice([1, 1, 2, 3])
        joined = sum(await asyncio.gather(*(self._join(token, person) for _ in range(at_once))))
        assert joined <= 1, "an invitation makes one member"

    async def _join(self, token: str, person: Person) -> int:
        name = f"joined.{self.chance.randrange(200)}"  # so that two meet
        own: dict[str, Any] = {"username": name, "password": PASSWORD}
        browser = Browser()
        if self.browsers and self.chance.random() < 0.3:
            own, browser = {}, self.a_browser()
        begun = await self.says(
            "invitations/accept", None, browser, token=token, accept_terms=True, **own
        )
        if begun.status_code != 200:
            return 0
        challenge = begun.json()["challenge"]
        code = await self.code_for(challenge)
        answer = await self.says(
            "invitations/confirm", None, browser, challenge=challenge, code=code
        )
        if answer.status_code != 200:
            return 0
        assert answer.json()["entity_user_xref_uuid"] == person.uuid
        self.joined.append(person.uuid)
        if own:
            browser.person = person
            self.logins[person.uuid] = Login(person, [name], [PASSWORD])
            self.browsers.append(browser)
        return 1

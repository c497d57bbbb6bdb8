"""Signing in and out as a test does it: through the front door, with what was mailed."""

from typing import Any

import httpx
import pyotp

from onrecord.model import times
from tests.cast import PASSWORD, Browser, Person
from tests.world import World, accepted

APP = "/app-service/api"
NEW_PASSWORD = "quite another four words"


def username(person: Person) -> str:
    """Give the user name of somebody of the cast."""
    return person.email.partition("@")[0]


def begin(world: World, person: Person, browser: Browser | None = None, **how: Any) -> Any:
    """Give the password; the answer says where the code went."""
    body = {"username": username(person), "password": PASSWORD, **how}
    return accepted(world.post(f"{APP}/sign-in", key=browser, json=body))


def confirm(
    world: World, challenge: str, code: str, browser: Browser | None = None
) -> httpx.Response:
    """Give the code."""
    body = {"challenge": challenge, "code": code}
    return world.post(f"{APP}/sign-in/confirm", key=browser, json=body)


def signed_in(world: World, person: Person, browser: Browser | None = None, **how: Any) -> Browser:
    """Sign in with password and mailed code."""
    browser = browser or Browser()
    begun = begin(world, person, browser, **how)
    accepted(confirm(world, begun["challenge"], world.mailed(person.email), browser))
    browser.person = person
    return browser


def with_totp(world: World, browser: Browser, password: str = PASSWORD) -> pyotp.TOTP:
    """Add an authenticator app to the account that is signed in."""
    begun = accepted(
        world.post(f"{APP}/account/totp/begin", key=browser, json={"password": password})
    )
    app = pyotp.TOTP(begun["secret"])
    body = {"challenge": begun["challenge"], "code": app.at(times.now() // times.SECOND)}
    accepted(world.post(f"{APP}/account/totp/confirm", key=browser, json=body))
    return app

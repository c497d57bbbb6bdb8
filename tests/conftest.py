"""Fixtures that every folder of tests shares."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from onrecord.settings import Settings
from tests.cast import Cast, furnish
from tests.databases import Databases, migrated, need_server
from tests.world import World

MakeWorld = Callable[..., World]
CopyOf = Callable[[str], str]


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords cheaply: nothing that tests make is worth guessing."""
    patch = pytest.MonkeyPatch()
    patch.setattr("onrecord.domain.members._HASHER", PasswordHasher(1, 8, 1))
    patch.setattr("onrecord.outside.passwords.HASHER", PasswordHasher(1, 8, 1))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Throw-away databases on the PostgreSQL server; skips (in CI: fails) without one."""
    need_server()
    made = Databases()
    yield made
    made.drop_all()


@pytest.fixture(scope="session")
def migrated_database(databases: Databases) -> str:
    """An empty database with the present schema, to be copied."""
    return migrated(databases)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    if request.param == "postgresql":
        request.getfixturevalue("databases")
    return str(request.param)


@pytest.fixture(scope="session")
def databases_are_lent() -> bool:
    """Whether tests take databases in turns; a folder in which they should not says so."""
    return True


@pytest.fixture
def copy_of(request: pytest.FixtureRequest, *, databases_are_lent: bool) -> Iterator[CopyOf]:
    """Give the address of a copy of a database, until the test is over."""
    urls: list[str] = []

    def copy(template: str) -> str:
        databases: Databases = request.getfixturevalue("databases")
        urls.append((databases.lend if databases_are_lent else databases.make)(template))
        return urls[-1]

    yield copy
    for url in urls:
        databases: Databases = request.getfixturevalue("databases")
        (databases.take_back if databases_are_lent else databases.drop)(url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, engine: str, copy_of: CopyOf) -> str:
    """An empty, migrated database: '' for SQLite, else the address of one on PostgreSQL."""
    if engine == "sqlite":
        return ""
    return copy_of(request.getfixturevalue("migrated_database"))


class Furnished:
    """Installations with the cast in them, made once per engine and copied for each test."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, tuple[Settings, Cast]] = {}

    def of(self, engine: str, new_database: Callable[[], str]) -> tuple[Settings, Cast]:
        """Give the settings and the cast of the installation to be copied."""
        if engine not in self._made:
            url = new_database() if engine == "postgresql" else ""
            settings = Settings(data_dir=self._root / engine, database_url=url, rate_limit=None)
            world = World(settings)
            try:
                cast = world.run(furnish(world.app))
            finally:
                world.close()
            self._made[engine] = settings, cast
        return self._made[engine]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """What `make_world` copies."""
    return Furnished(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def make_world(
    request: pytest.FixtureRequest,
    furnished: Furnished,
    engine: str,
    copy_of: CopyOf,
    tmp_path: Path,
) -> Iterator[MakeWorld]:
    """Make worlds on the engine: `make_world(rate_limit=(5, 10))`, `make_world(empty=True)`."""
    worlds: list[World] = []

    def template() -> str:
        databases: Databases = request.getfixturevalue("databases")
        return databases.make(request.getfixturevalue("migrated_database"))

    def make(*, empty: bool = False, **changes: Any) -> World:
        directory = tmp_path / f"data-{len(worlds)}"
        cast: Cast | None = None
        if empty:
            url = ""
            if engine == "postgresql":
                url = copy_of(request.getfixturevalue("migrated_database"))
            settings = Settings(data_dir=directory, database_url=url, rate_limit=None)
        else:
            model, cast = furnished.of(engine, template)
            shutil.copytree(model.data_dir, directory)
            url = copy_of(model.database_url) if model.database_url else ""
            settings = replace(model, data_dir=directory, database_url=url)
        world = World(replace(settings, **changes), cast)
        worlds.append(world)
        return world

    yield make
    for world in reversed(worlds):
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """The running firm, without a rate limit."""
    return make_world()


@pytest.fixture
def empty_world(make_world: MakeWorld) -> World:
    """A running installation without any organisation."""
    return make_world(empty=True)


@pytest.fixture
def sqlite_world(furnished: Furnished, tmp_path: Path) -> Iterator[World]:
    """The running firm on SQLite alone, for what no database has a say in."""
    yield from on_sqlite(furnished, tmp_path)


def on_sqlite(furnished: Furnished, directory: Path) -> Iterator[World]:
    """Give a copy of the firm on SQLite, running until the iterator goes on."""
    model, cast = furnished.of("sqlite", str)
    shutil.copytree(model.data_dir, directory / "data")
    world = World(replace(model, data_dir=directory / "data"), cast)
    yield world
    world.close()

"""Pairs, and rptwin.toml under the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.config import SETTINGS, Settings, find_config, load_config, machine_table, parse_pair, settings_from


def test_a_pair_is_split_at_its_last_equals_sign() -> None:
    assert parse_pair("main=0x24000000", "--vtor", "CORE=ADDRESS") == ("main", 0x2400_0000)


@pytest.mark.parametrize("text", ["main", "=1", "main=", "main=x", "main=-1", "main=0x100000000"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--vtor: not a pair: expected CORE=ADDRESS, found"):
        parse_pair(text, "--vtor", "CORE=ADDRESS")


def test_every_setting_is_declared_once() -> None:
    assert sorted(setting.attribute for setting in SETTINGS) == sorted(f.name for f in dataclasses.fields(Settings))


def write(folder: Path, text: str) -> Path:
    path = folder / "rptwin.toml"
    path.write_text(text)
    return path


def test_a_file_holds_every_setting(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        platform = "my.repl"
        main = "m.elf"
        remote = "sub/r.elf"
        firmware = { cpu2 = "sub/third.elf" }
        engine = "unicorn"
        profile = "nuttx"
        table = "remote:g_shmem+8"
        vtor = { main = 0x24000000 }
        map = ["0x30000000:0x10000000:0x48000"]
        nuttx-config = "12.13"
        notify = ["vdev[0].vring[0]=1"]
        quantum = "10 us"
        timeout = "2 s"
        until = "up"
        json = "out.json"
        junit = "out.xml"
        seed = 7
        """,
    )
    assert settings_from({}, load_config(path)) == Settings(
        platform=str(tmp_path / "my.repl"),
        main=str(tmp_path / "m.elf"),
        remote=str(tmp_path / "sub/r.elf"),
        firmware={"cpu2": str(tmp_path / "sub/third.elf")},
        profile="nuttx",
        table="remote:g_shmem+8",
        vtor={"main": 0x2400_0000},
        map=("0x30000000:0x10000000:0x48000",),
        nuttx_config="12.13",
        notify={"vdev[0].vring[0]": 1},
        quantum=10_000,
        timeout=2_000_000_000,
        until="up",
        json=str(tmp_path / "out.json"),
        junit=str(tmp_path / "out.xml"),
        seed=7,
    )


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'timeout = "2 s"\nprofile = "linux"\nvtor = ["main=1"]\n')
    typed = {"timeout": "3 s", "profile": None, "vtor": (), "map": ()}
    settings = settings_from(typed, load_config(path))
    assert (settings.timeout, settings.profile, settings.vtor) == (3_000_000_000, "linux", {"main": 1})
    assert settings.quantum == Settings().quantum


@pytest.mark.parametrize("text", ["third.elf", "=third.elf", "cpu2="])
def test_firmware_of_a_further_core_needs_a_core_and_a_file(text: str) -> None:
    with pytest.raises(UsageError, match="--firmware: bad value: expected CORE=ELF"):
        settings_from({"firmware": (text,)}, {})


def test_an_unknown_key_is_refused_with_the_files_name_and_what_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, 'timout = "2 s"\n')
    with pytest.raises(UsageError) as caught:
        load_config(path)
    assert str(caught.value).startswith(
        f"{path}: unknown key: expected platform | main | remote | firmware | engine | "
    )
    assert str(caught.value).endswith("found timout")


def test_a_table_of_the_machine_is_no_setting_of_a_run_and_stands_in_the_current_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'timeout = "2 s"\n[renode]\npackage = "x"\n')
    with pytest.raises(UsageError, match=r"\[renode\] is of the machine; put it into \./rptwin\.toml"):
        load_config(path)
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("rptwin.toml")) == load_config(path) == {"timeout": 2_000_000_000}
    table = machine_table("renode")
    assert table is not None
    assert (table.where, table.values) == ("rptwin.toml: [renode]", {"package": "x"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeout = 5", "timeout: not a duration"),
        ('timeout = "0 s"', "timeout: bad value: expected more than zero"),
        (
            'profile = "posix"',
            r"profile: bad value: expected auto \| linux \| openamp \| nuttx \| common, found 'posix'",
        ),
        ("seed = -1", "seed: bad value: expected a whole number"),
        ("seed = true", "seed: bad value"),
        ("main = 3", "main: bad value: expected text, found 3"),
        ("map = 3", "map: bad value: expected text or a list"),
        ('vtor = { main = "x" }', "vtor.main: bad value: expected a number of 32 bits"),
        ('vtor = "main"', "vtor: not a pair"),
        ("= 1", "not TOML"),
    ],
)
def test_a_bad_value_is_refused_with_the_files_name_and_the_key(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path, line)
    with pytest.raises(UsageError, match=message) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))


def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot be read"):
        load_config(tmp_path / "nowhere.toml")


def test_the_file_of_the_current_folder_is_found_and_a_given_one_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(None) is None
    write(tmp_path, "")
    assert find_config(None) == Path("rptwin.toml")
    assert find_config("other.toml") == Path("other.toml")
    assert find_config("/dev/null") is None

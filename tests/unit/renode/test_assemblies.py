"""Loading Renode's assemblies: what goes wrong is said in words that help; what pyrenode3 said comes behind them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.engines.early import prepare_engine
from orchestrator.engines.renode import assemblies, process
from orchestrator.engines.renode.assemblies import as_known, load_renode
from orchestrator.engines.renode.installed import Kind

Load = Callable[[str], None]


@pytest.fixture
def pyrenode(monkeypatch: pytest.MonkeyPatch) -> Callable[[Kind, Load], None]:
    """A pyrenode3 whose loader does as it is told, and the one variable that names a Renode."""

    monkeypatch.setattr(assemblies, "_refused", None)
    monkeypatch.setattr(assemblies, "_loaded", False)

    def install(kind: Kind, load: Load) -> None:
        for each in Kind:
            monkeypatch.delenv(each.variable, raising=False)
        monkeypatch.setenv(kind.variable, "/some/renode")
        monkeypatch.setenv("PYRENODE_SKIP_LOAD", "")
        names = ("from_net_build", "from_net_pkg", "from_net_bin")
        package, loader = ModuleType("pyrenode3"), ModuleType("pyrenode3.loader")
        package.loader = loader
        loader.ensure_additional_libs = lambda _: None
        loader.RenodeLoader = SimpleNamespace(**dict.fromkeys(names, load))
        monkeypatch.setitem(sys.modules, "pyrenode3", package)
        monkeypatch.setitem(sys.modules, "pyrenode3.loader", loader)

    return install


def no_group(_: str) -> None:
    raise AttributeError("'NoneType' object has no attribute 'group'")


def leave(_: str) -> None:
    raise SystemExit(1)


def nothing(_: str) -> None:
    """Assemblies are loaded, and Renode's are not among them."""


@pytest.mark.parametrize(
    ("kind", "load", "what", "note"),
    [
        (Kind.BINARY, no_group, "this program is no portable Renode", "AttributeError: 'NoneType' object has no"),
        (Kind.PACKAGE, leave, "assemblies of this package are missing or damaged", "SystemExit: 1"),
        (Kind.BUILD, nothing, "assemblies of this build are missing or damaged", "No module named 'Antmicro'"),
    ],
)
def test_a_renode_that_cannot_be_loaded_is_named_with_what_to_do(
    pyrenode: Callable[[Kind, Load], None], kind: Kind, load: Load, what: str, note: str
) -> None:
    pyrenode(kind, load)
    with pytest.raises(EngineError) as caught:
        load_renode()
    assert str(caught.value).startswith(f"/some/renode: Renode cannot be loaded: {what}")
    assert str(caught.value).endswith(" again")
    assert note in caught.value.__notes__[0]


@pytest.mark.parametrize("error", [ImportError("cannot import name 'Range'"), AttributeError("no 'AddHook'")])
def test_a_renode_whose_classes_are_others_is_named_as_such(error: Exception) -> None:
    with pytest.raises(EngineError, match="this Renode is another one than rptwin knows") as caught, as_known():
        raise error
    assert caught.value.found == str(error)


def test_an_error_of_the_engine_itself_passes() -> None:
    refused = EngineError("Renode refuses the platform")
    with pytest.raises(EngineError) as caught, as_known():
        raise refused
    assert caught.value is refused


def test_nothing_is_started_early_where_there_is_no_renode(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise EngineError("no Renode is named")

    monkeypatch.setattr(process, "discover", missing)
    prepare_engine("renode")
    assert process._prepared is None


def test_an_engine_begins_before_the_rest_of_rptwin_is_loaded() -> None:
    """Neither here nor in its process: each half of a second there is one more until the verdict."""
    late = ("orchestrator.engines.contract", "orchestrator.platform", "orchestrator.events", "orchestrator.formats")
    for first in ("orchestrator.engines.renode.process", "orchestrator.engines.renode.assemblies"):
        code = (
            f"import sys, orchestrator.engines.early, {first}; print(*[each for each in {late} if each in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "", first


def test_what_was_refused_once_is_refused_again_with_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def fails(_meanwhile: object) -> None:
        calls.append("loaded")
        raise EngineError("Renode cannot be loaded")

    monkeypatch.setattr(assemblies, "_load", fails)
    monkeypatch.setattr(assemblies, "_refused", None)
    for _ in range(2):
        with pytest.raises(EngineError, match="Renode cannot be loaded"):
            assemblies.load_renode()
    assert calls == ["loaded"]

"""Old names, for one version more: modules that moved into rooms, and names that left the top.

Whoever uses one gets the very same thing, and a DeprecationWarning that says where it is now. Nothing here
comes before what somebody else calls so: the finder is asked last, and a project with a `simulator` of its
own never gets ours. Nothing of ours uses an old name, and this file knows the rest as text alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES: dict[str, str] = {
    "simulator.ahead": "syncfsm_simulator.incidents.rows_remaining",
    "simulator.answers": "syncfsm_simulator.stage.effects.answers",
    "simulator.asgi": "syncfsm_simulator.fakes.asgi",
    "simulator.attio": "syncfsm_simulator.fakes.attio",
    "simulator.axiscare": "syncfsm_simulator.fakes.axiscare",
    "simulator.changes": "syncfsm_simulator.stage.changes_before_requests",
    "simulator.clock": "syncfsm_simulator.world.clock",
    "simulator.criteria": "syncfsm_simulator.runs.criteria",
    "simulator.edges": "syncfsm_simulator.stage.faulty_ports",
    "simulator.entity": "syncfsm_simulator.world.entity",
    "simulator.faults": "syncfsm_simulator.stage.faults",
    "simulator.fitting": "syncfsm_simulator.incidents.fitting",
    "simulator.from_log": "syncfsm_simulator.incidents.from_log",
    "simulator.ids": "syncfsm_simulator.world.ids",
    "simulator.incident": "syncfsm_simulator.stage.incident",
    "simulator.invariants": "syncfsm_simulator.runs.invariants",
    "simulator.making": "syncfsm_simulator.world.records",
    "simulator.moving": "syncfsm_simulator.fakes.background_changes",
    "simulator.network": "syncfsm_simulator.stage.network",
    "simulator.numbered": "syncfsm_simulator.fakes.numbered",
    "simulator.oracle": "syncfsm_simulator.runs.oracle",
    "simulator.path": "syncfsm_simulator.incidents.event_fingerprint",
    "simulator.plain": "syncfsm_simulator.fakes.flat_person",
    "simulator.playback": "syncfsm_simulator.stage.playback",
    "simulator.population": "syncfsm_simulator.world.population",
    "simulator.pytest_plugin": "syncfsm_simulator.pytest_plugin",
    "simulator.quo": "syncfsm_simulator.fakes.quo",
    "simulator.rows": "syncfsm_simulator.stage.rows",
    "simulator.run": "syncfsm_simulator.runs.run",
    "simulator.scenario": "syncfsm_simulator.stage.scenario",
    "simulator.schema": "syncfsm_simulator.world.schema",
    "simulator.serve": "syncfsm_simulator.fakes.serve",
    "simulator.shrink": "syncfsm_simulator.runs.shrink",
    "simulator.stage": "syncfsm_simulator.stage.stage",
    "simulator.strategies": "syncfsm_simulator.strategies",
    "simulator.sweep": "syncfsm_simulator.runs.sweep",
    "simulator.tampering": "syncfsm_simulator.runs.tampering",
    "simulator.workspace": "syncfsm_simulator.workspace",
    "simulator.world": "syncfsm_simulator.world.world",
    "syncfsm.admit": "syncfsm.core.legality",
    "syncfsm.backoff": "syncfsm.core.backoff",
    "syncfsm.capture": "syncfsm.core.capture",
    "syncfsm.clock": "syncfsm.outside.clock",
    "syncfsm.contact": "syncfsm.items.contact",
    "syncfsm.cursors": "syncfsm.core.paging.cursors",
    "syncfsm.decide": "syncfsm.core.decide",
    "syncfsm.describe": "syncfsm.core.describe",
    "syncfsm.difference": "syncfsm.history.difference",
    "syncfsm.events": "syncfsm.core.events",
    "syncfsm.failure": "syncfsm.core.failure",
    "syncfsm.foresight": "syncfsm.core.paging.lookahead",
    "syncfsm.giving_up": "syncfsm.core.giving_up",
    "syncfsm.http": "syncfsm.outside.http",
    "syncfsm.inbox": "syncfsm.core.notices",
    "syncfsm.lifecycle": "syncfsm.engine.commit",
    "syncfsm.limiter": "syncfsm.outside.limiter",
    "syncfsm.limits": "syncfsm.core.limits",
    "syncfsm.listing": "syncfsm.core.paging.by_id",
    "syncfsm.live": "syncfsm.cli.shared.top_view",
    "syncfsm.log.audit": "syncfsm.log.checks.audit",
    "syncfsm.log.btree": "syncfsm.log.salvage.btree",
    "syncfsm.log.captures": "syncfsm.log.sqlite.captures",
    "syncfsm.log.check": "syncfsm.log.checks.rules",
    "syncfsm.log.connect": "syncfsm.log.sqlite.connect",
    "syncfsm.log.exporting": "syncfsm.log.transfer.exporting",
    "syncfsm.log.findings": "syncfsm.log.checks.findings",
    "syncfsm.log.importing": "syncfsm.log.transfer.importing",
    "syncfsm.log.inbox": "syncfsm.log.sqlite.inbox",
    "syncfsm.log.redact": "syncfsm.log.transfer.redact",
    "syncfsm.log.rehearsal": "syncfsm.log",
    "syncfsm.log.remains": "syncfsm.log.salvage.remains",
    "syncfsm.log.schema": "syncfsm.log.sqlite.schema",
    "syncfsm.log.sqlite_audit": "syncfsm.log.sqlite.audit",
    "syncfsm.log.sqlite_bytes": "syncfsm.log.salvage.images",
    "syncfsm.log.sqlite_model": "syncfsm.log.sqlite.model",
    "syncfsm.log.tables": "syncfsm.log.sqlite.tables",
    "syncfsm.log.verify": "syncfsm.log.checks.verify",
    "syncfsm.log.watch": "syncfsm.log.tail",
    "syncfsm.machine": "syncfsm.core.machine",
    "syncfsm.missing": "syncfsm.history.missing",
    "syncfsm.modes": "syncfsm.engine.requests",
    "syncfsm.options": "syncfsm.core.options",
    "syncfsm.pages": "syncfsm.core.paging.pages",
    "syncfsm.pagination": "syncfsm.core.paging.offsets",
    "syncfsm.perform": "syncfsm.engine.perform",
    "syncfsm.preflight": "syncfsm.engine.preflight",
    "syncfsm.process": "syncfsm.core.process",
    "syncfsm.processes": "syncfsm.engine.processes",
    "syncfsm.readahead": "syncfsm.engine.readahead",
    "syncfsm.rejects": "syncfsm.history.rejects",
    "syncfsm.replay": "syncfsm.history.replay",
    "syncfsm.rerun": "syncfsm.engine.rerun",
    "syncfsm.rows": "syncfsm.core.paging.rows",
    "syncfsm.sinks.held": "syncfsm.files.file_lock",
    "syncfsm.sources.attio_captured": "syncfsm.sources.attio.captured",
    "syncfsm.sources.attio_people": "syncfsm.sources.attio.people",
    "syncfsm.sources.attio_wire": "syncfsm.sources.attio.wire",
    "syncfsm.sqlite": "syncfsm.files.sqlite",
    "syncfsm.state": "syncfsm.core.state",
    "syncfsm.summary": "syncfsm.core.summary",
    "syncfsm.value": "syncfsm.core.value",
    "syncfsm.watching": "syncfsm.engine.watcher",
    "syncfsm.windows": "syncfsm.core.paging.windows",
    "syncfsm.workspace": "syncfsm.core.endpoints",
}
"""Modules, by their old names: where they are."""

RENAMED: dict[str, dict[str, str]] = {
    "simulator.attio": {},
    "simulator.quo": {},
    "syncfsm.log.rehearsal": {"RehearsedLog": "open_dry_run"},
}
"""Old modules that are a shell: the new one is a package, or has other names for some of what is in it."""

NAMES: dict[str, str] = {
    "syncfsm.AxisCareClients": "syncfsm.sources",
    "syncfsm.AxisCareSource": "syncfsm.sources",
    "syncfsm.EventLog": "syncfsm.log",
    "syncfsm.Failure": "syncfsm.sources",
    "syncfsm.FailureKind": "syncfsm.sources",
    "syncfsm.InvalidTransition": "syncfsm.errors",
    "syncfsm.NumberedApi": "syncfsm.sources",
    "syncfsm.NumberedSource": "syncfsm.sources",
    "syncfsm.OpenedSource": "syncfsm.sources",
    "syncfsm.Page": "syncfsm.sources",
    "syncfsm.Record": "syncfsm.sources",
    "syncfsm.Reject": "syncfsm.sources",
    "syncfsm.Sink": "syncfsm.sinks",
    "syncfsm.SinkFactory": "syncfsm.sinks",
    "syncfsm.SinkSettings": "syncfsm.sinks",
    "syncfsm.Source": "syncfsm.sources",
    "syncfsm.SourceFactory": "syncfsm.sources",
    "syncfsm.SourceSettings": "syncfsm.sources",
    "syncfsm.Transform": "syncfsm.sources",
    "syncfsm.Transformed": "syncfsm.sources",
    "syncfsm.UpsertResult": "syncfsm.sinks",
    "syncfsm.fold": "syncfsm.core.process",
    "syncfsm.next_action": "syncfsm.core.decide",
    "syncfsm.log.salvage.Remains": "syncfsm.log.salvage.opening",
    "syncfsm.log.salvage.open_audit": "syncfsm.log.salvage.opening",
    "syncfsm.log.sqlite.SqliteLog": "syncfsm.log.sqlite.store",
    "syncfsm.outside.forms": "syncfsm.outside.safe_words",
    "syncfsm.outside.holds": "syncfsm.outside.safe_words",
    "syncfsm.outside.plain_url": "syncfsm.outside.safe_words",
    "syncfsm.outside.uuid": "syncfsm.outside.safe_words",
    "syncfsm.outside.without": "syncfsm.outside.safe_words",
    "syncfsm.outside.word": "syncfsm.outside.safe_words",
}
"""Names in packages, by what they were called: the package or module that has them."""


class OldModules(MetaPathFinder, Loader):
    """Finds modules by their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module that has moved, and nothing for any other."""
        del path, target
        if fullname == "simulator":
            return ModuleSpec(fullname, self, is_package=True)
        if fullname not in MODULES or not self._is_in_ours(fullname):
            return None
        return ModuleSpec(fullname, self, is_package=fullname in RENAMED)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return the module itself; nothing for a shell, which is a new one."""
        if spec.submodule_search_locations is not None:
            return None
        module = import_module(MODULES[spec.name])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which importing it has replaced; give a shell its names."""
        spec = module.__spec__
        assert spec is not None, "a module that is being imported has a spec"
        if spec.name == "simulator":
            return  # it was empty; what is imported of it has a warning of its own
        if spec.submodule_search_locations is None:
            module.__spec__ = spec.loader_state
        else:
            vars(module)["__getattr__"] = partial(_from_new, spec.name)
        _warn(spec.name, MODULES[spec.name])

    def _is_in_ours(self, fullname: str) -> bool:
        package = sys.modules.get(fullname.partition(".")[0])
        return fullname.startswith("syncfsm.") or getattr(package, "__loader__", None) is self


_FINDER = OldModules()


def install() -> None:
    """Have old modules found where nobody else has one of that name."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)


def old_names(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package, which finds what was once in it."""

    def find(name: str) -> Any:
        old = f"{package}.{name}"
        if old in NAMES:
            _warn(old, f"{NAMES[old]}.{name}")
            return getattr(import_module(NAMES[old]), name)
        if old in MODULES:
            _warn(old, MODULES[old])
            return import_module(MODULES[old])
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


def _from_new(old: str, name: str) -> Any:
    """Return what a shell's new module has by a name, or by the one that it was given since."""
    return getattr(import_module(MODULES[old]), RENAMED[old].get(name, name))


def _warn(old: str, new: str) -> None:
    """Warn whoever asked whoever asked this; frames of the import machinery do not count."""
    warnings.warn(
        f"{old} is {new} now; the old name goes with the next version", DeprecationWarning, stacklevel=3
    )

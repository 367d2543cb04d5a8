"""Installed distributions: what they register, and what their metadata say of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from email.message import Message
    from importlib.metadata import Distribution, EntryPoint

log = logging.getLogger(__name__)

UNKNOWN = "UNKNOWN"
"""What old build tools write where an author wrote nothing."""
_LONGEST_LICENCE = 80


class Origin(NamedTuple):
    """Who brings a plugin.

    Attributes:
        distribution: its name, as it is installed and uninstalled by.
        version: as it is installed.
        author: a name, an address where there is no name, or empty.
        licence: as the metadata say it, best an SPDX expression; empty where they say nothing.
    """

    distribution: str = ""
    version: str = ""
    author: str = ""
    licence: str = ""

    def __str__(self) -> str:
        return f"{self.distribution or 'a package without metadata'} {self.version}".strip()


def registered(group: str) -> tuple[EntryPoint, ...]:
    """Return all entry points of a group; a distribution whose list cannot be read is passed over with a warning.

    >>> "sim" in [entry.name for entry in registered("qloom.devices")]
    True
    """
    from importlib.metadata import distributions, entry_points

    try:
        return tuple(entry_points(group=group))
    except Exception as error:  # noqa: BLE001  one unreadable file of anyone's; which one it is, is found out below
        log.debug("entry points are read one by one: %s", error)
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for distribution in distributions():
        origin = origin_of(distribution)
        if origin.distribution in found:
            continue  # the first one on the path is the one that is imported
        try:
            found[origin.distribution] = tuple(distribution.entry_points.select(group=group))
        except Exception as error:  # noqa: BLE001  as above
            found[origin.distribution] = ()
            log.warning("%s is passed over: its entry_points.txt cannot be read (%s)", origin, error)
    return tuple(entry for entries in found.values() for entry in entries)


def origin_of(distribution: Distribution | None) -> Origin:
    """Return what a distribution's metadata say; empty fields where they say nothing.

    >>> from importlib.metadata import distribution
    >>> origin_of(distribution("qloom")).licence
    'Apache-2.0'
    """
    if distribution is None:
        return Origin()
    data: Message = distribution.metadata  # type: ignore[assignment]  # typeshed has a protocol with less
    return Origin(_said(data, "Name"), _said(data, "Version"), _author(data), _licence(data))


def _said(data: Message, field: str) -> str:
    value = str(data.get(field) or "").strip()
    return "" if value == UNKNOWN else value


def _author(data: Message) -> str:
    from email.utils import getaddresses

    for role in ("Author", "Maintainer"):
        if said := _said(data, role):
            return said
        people = getaddresses([_said(data, f"{role}-email")])
        if named := ", ".join(name or address for name, address in people if name or address):
            return named
    return ""


def _licence(data: Message) -> str:
    """Return the SPDX expression, else the free text where that is a name and no whole licence, else the classifiers."""
    if said := _said(data, "License-Expression"):
        return said
    said = _said(data, "License")
    if said and "\n" not in said and len(said) <= _LONGEST_LICENCE:
        return said
    classifiers = [str(line) for line in data.get_all("Classifier") or [] if str(line).startswith("License ::")]
    return ", ".join(line.rpartition("::")[2].strip() for line in classifiers) or said.partition("\n")[0].strip()

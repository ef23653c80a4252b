"""What a plan is to be taken for that asks no live system, or asks those that another commit names.

Who writes a pull request writes reconciler.yaml too: taken at its word it could send a plan's secrets to a host of its
own. So a plan of what is under review takes providers, secrets and the ledger's place from a commit that was reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.agency import FILE
from reconciler.findings import Origin, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.agency import Agency
    from reconciler.findings import Finding
    from reconciler.request import Request

OFFLINE = Rule(
    "PL310",
    "info",
    "Compared with the ledger alone",
    "Plan with access to the live systems before it is applied.",
    why="No live system was asked: drift, what nobody declared and what others changed since do not show.",
)
OTHERWISE = Rule(
    "PL311",
    "warning",
    "Planned with the settings of a trusted commit",
    "Merge this change by itself; what uses it is planned with it from then on.",
    why="This plan reads the systems that were reviewed already: whether the new settings work shows after the merge.",
)


def findings(request: Request, agency: Agency, systems: Agency) -> Iterator[Finding]:
    """What is to be said of it. `systems` is the agency whose providers, probe and ledger are used."""
    if request.offline:
        yield OFFLINE.at("plan", "No live system was asked.", Origin(FILE, line=1, column=1))
    for key in ("ledger", "mta_sts", "probe"):
        if agency.data.get(key) != systems.data.get(key):
            yield OTHERWISE.at(key, f"It says otherwise at {request.trusted[:40]}.", Origin(FILE, (key,)))
    for name, (side, settings) in agency.providers.items():
        if systems.providers.get(name) != (side, settings):
            what = f"It {'is otherwise' if name in systems.providers else 'is not there'} at {request.trusted[:40]}."
            yield OTHERWISE.at(name, what, Origin(FILE, ("providers", side, name)))

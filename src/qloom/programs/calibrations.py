"""Calibrations of stages: what they are kept under, and whether a kept one is young enough."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qloom.contracts.stage import Calibration
    from qloom.specs import DeviceSpec

log = logging.getLogger(__name__)

FORM_VERSION = 1


def calibration_key(stage: str, spec: DeviceSpec, wish: Calibration) -> str:
    """Return the key of a calibration, hex: equal for the same stage, device, device calibration, circuits and shots."""
    # How many qubits fit hangs on the memory that is free at the moment, which says nothing of errors.
    notes = {name: value for name, value in spec.notes.items() if not name.startswith("num_qubits")}
    parts = [str(FORM_VERSION), stage, spec.name, spec.calibration_id, json.dumps(wish.recipe, sort_keys=True), str(wish.shots)]
    text = "\n".join([*parts, json.dumps(notes, sort_keys=True), *(circuit.digest for circuit in wish.circuits)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fresh(text: str | None, max_age_s: float) -> dict[str, Any] | None:
    """Return what was calibrated, where it is there and young enough.

    Args:
        text: as it was kept; None where nothing was.
        max_age_s: the largest age, s.

    >>> fresh('{"measured_at": 0, "found": {}}', 60.0), fresh(None, 60.0)
    (None, None)
    """
    if text is None:
        return None
    try:
        kept = json.loads(text)
        age = time.time() - float(kept["measured_at"])
        found: dict[str, Any] = dict(kept["found"])
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a kept calibration cannot be read (%s) and is measured anew", error)
        return None
    return found if 0 <= age <= max_age_s else None

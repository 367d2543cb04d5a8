"""What a device can do, what a circuit or a program needs, and every reason why the one does not fit the other."""

from qloom.specs.connectivity import Connectivity
from qloom.specs.device import FEATURES, KINDS, PARADIGMS, STATUSES, Cost, DeviceSpec
from qloom.specs.forms import ERROR_KINDS
from qloom.specs.matching import Fit, fit, reasons_against
from qloom.specs.requirements import Requirements, needs

__all__ = [
    "ERROR_KINDS",
    "FEATURES",
    "KINDS",
    "PARADIGMS",
    "STATUSES",
    "Connectivity",
    "Cost",
    "DeviceSpec",
    "Fit",
    "Requirements",
    "fit",
    "needs",
    "reasons_against",
]

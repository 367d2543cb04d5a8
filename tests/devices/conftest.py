"""What tests of devices share: qulacs with one thread, so that what it does depends on no test that ran before."""

from qloom.devices.qulacs_engine import Qulacs

# The first gate of a process fixes qulacs' threads for good, whichever test that is in; here it is before all of them.
Qulacs().engine(1, threads=1)

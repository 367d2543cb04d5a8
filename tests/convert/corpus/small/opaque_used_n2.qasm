// Calls a gate that nothing defines.
OPENQASM 2.0;
include "qelib1.inc";
opaque crosstalk(strength) a, b;
gate noisy a, b { cx a, b; crosstalk(0.1) a, b; }
qreg q[2];
creg c[2];
noisy q[0], q[1];
measure q -> c;

// Declares a gate that it never calls.
OPENQASM 2.0;
include "qelib1.inc";
opaque crosstalk(strength) a, b;
gate entangle(t) a, b { rx(t) a; cx a, b; rx(-t/2) b; }
qreg q[2];
creg c[2];
entangle(pi/3) q[0], q[1];
measure q -> c;

// Teleportation with feed-forward, one register for each bit.
OPENQASM 2.0;
include "qelib1.inc";
gate pair a, b { h a; cx a, b; }
gate unpair a, b { cx a, b; h a; }
qreg q[3];
creg mz[1];
creg mx[1];
creg out[1];
u3(0.3, 0.2, 0.1) q[0];
pair q[1], q[2];
barrier q;
unpair q[0], q[1];
measure q[0] -> mz[0];
measure q[1] -> mx[0];
if(mx==1) x q[2];
if(mz==1) z q[2];
u3(-0.3, -0.1, -0.2) q[2];
measure q[2] -> out[0];

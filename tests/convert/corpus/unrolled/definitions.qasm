OPENQASM 3.0;
include "stdgates.inc";
const float quarter = pi / 4;
gate turn(a, b) x0 { rx(a / 2) x0; rz(-b + quarter) x0; }
gate pair(a) x0, x1 { turn(a, 0.5) x0; ctrl @ turn(0.25, a) x0, x1; gphase(a); }
gate back(a) x0, x1 { inv @ pair(2 * a) x0, x1; barrier x0, x1; }
gate ladder x0, x1, x2 { for int i in [1:2] { pow(i) @ s x0; } cx x0, x1; negctrl @ x x1, x2; }
gate rzz(angle_) x0, x1 { cx x0, x1; rz(angle_) x1; cx x0, x1; }
gate swap x0, x1 { iswap x0, x1; }
gate h x0 { U(pi/2, 0, pi) x0; }
input float[64] theta;
qubit[3] q;
turn(theta, 0.75) q[1];
pair(0.5) q[2], q[0];
ctrl @ pair(theta) q[1], q[0], q[2];
back(theta) q[0], q[1];
ladder q[2], q[1], q[0];
rzz(theta) q[0], q[2];
swap q[0], q[1];
h q[2];
turn(0.1, 0.2) q;

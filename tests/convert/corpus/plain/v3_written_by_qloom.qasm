OPENQASM 3.0;
include "stdgates.inc";
// parameter theta_0 is theta[0]
input float[64] theta_0;
// parameter t_ is t
input float[64] t_;
input float[64] unused;
gate csx q0, q1 { h q1; cp(pi/2) q0, q1; h q1; }
gate rzz(p0) q0, q1 { cx q0, q1; rz(p0) q1; cx q0, q1; }
bit[3] c;
qubit[3] q;
rzz(2.0*theta_0 + 0.3) q[2], q[0];
csx q[1], q[2];
rx(-t_) q[0];
c[{2, 0}] = measure q[{0, 1}];

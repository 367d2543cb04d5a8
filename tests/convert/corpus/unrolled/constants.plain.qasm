OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit[4] q;
bit[2] result;
result = measure q[{0, 1}];
rx(sqrt(2.0)*7) q[3];
ry(1.5 + 2 + 3) q[1];
rz(theta/2 + 15) q[1];
rx(14.0) q[3];
ry(3*theta) q[1];
delay[100ns] q[0];
delay[200ns] q[1];
delay[25ns] q[2];
DELAY
rx(30988) q[0];
x q[2];

// Phase estimation of p(5*pi/4), bit by bit with one reused qubit: 5/8 is 0.101 in binary.
OPENQASM 2.0;
include "qelib1.inc";
gate turns(k) a, b { cu1(k*5*pi/4) a, b; }
qreg q[2];
creg c[3];
x q[1];
h q[0];
turns(4) q[0], q[1];
h q[0];
measure q[0] -> c[0];
reset q[0];
h q[0];
turns(2) q[0], q[1];
if(c==1) u1(-pi/2) q[0];
h q[0];
measure q[0] -> c[1];
reset q[0];
h q[0];
turns(1) q[0], q[1];
if(c==1) u1(-pi/4) q[0];
if(c==2) u1(-pi/2) q[0];
if(c==3) u1(-3*pi/4) q[0];
h q[0];
measure q[0] -> c[2];

OPENQASM 2.0;
include "qelib1.inc";
opaque magic(alpha, beta) a, b;
opaque none() a;
opaque plain a;
gate both a, b { h a; cx a, b; }
qreg q[3];
creg m[2];
creg one[1];
both q[0], q[1];
measure q[0] -> m[0];
if(m==1) x q[2];
if (m == 3) both q[1], q[2];
if(m==0) u3(pi/2, -pi, 0.25) q;
if(one==1) measure q[1] -> m[1];
if (one==0) reset q[0];
if(m==2) if(one==1) z q[0];

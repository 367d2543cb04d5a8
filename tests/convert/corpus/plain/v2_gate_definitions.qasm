OPENQASM 2.0;
include "qelib1.inc";
gate majority a,b,c { cx c,b; cx c,a; ccx a,b,c; }
gate turn(alpha,beta) a { rx(alpha/2) a; rz(-beta+pi) a; rx(alpha*beta) a; }
gate both(alpha) a,b { turn(alpha,0.5) a; turn(0.25,-alpha) b; cx b,a; }
gate nothing a { }
gate rzz(theta) a,b { cx a,b; u1(theta) b; cx a,b; }
qreg q[4];
majority q[3],q[0],q[2];
turn(0.3,pi/5) q[1];
both(-0.7) q[2],q[0];
nothing q[1];
rzz(0.9) q[1],q[3];
turn(0.1,0.2) q;

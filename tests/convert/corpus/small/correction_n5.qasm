// The three-qubit repetition code: one flipped qubit, its syndrome read into a register of two bits, and put right.
OPENQASM 2.0;
include "qelib1.inc";
gate spread a, b, c { cx a, b; cx a, c; }
qreg d[3];
qreg a[2];
creg syndrome[2];
creg out[3];
x d[0];
spread d[0], d[1], d[2];
x d[1]; // the fault
cx d[0], a[0];
cx d[1], a[0];
cx d[1], a[1];
cx d[2], a[1];
measure a -> syndrome;
if(syndrome==1) x d[0];
if(syndrome==2) x d[2];
if(syndrome==3) x d[1];
reset a[0];
reset a[1];
measure d -> out;

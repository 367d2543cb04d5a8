OPENQASM 3.0;
input float t;
qubit[2] x;
bit[2] s;
h x[0];
rx(2*t) x[1];
s[1] = measure x[0];

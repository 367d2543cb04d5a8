OPENQASM 3.0;
input float theta;
input float a;
bit[2] b;
qubit[4] q;
h q[0];
cnot q[0], q[1];
ry(2*a + 0.1) q[1];
rz(theta/2) q[0];
rx(3*a + 3*theta) q[1];
i q[2]; si q[0]; ti q[1]; v q[2]; vi q[3];
phaseshift(0.3) q[0]; cphaseshift(-0.4) q[0], q[1]; cv q[1], q[2]; ccnot q[0], q[1], q[2];
xx(a) q[0], q[1]; yy(0.2) q[1], q[2]; zz(a) q[0], q[1];
xy(0.3) q[0], q[1];
pswap(0.1) q[0], q[1];
cphaseshift00(0.15) q[2], q[3]; cphaseshift01(0.2) q[0], q[1]; cphaseshift10(0.25) q[3], q[1];
U(0.1, 0.2, 0.3) q[0];
gphase(0.4);
prx(0.1, 0.2) q[0];
gpi(0.1) q[0]; gpi2(-0.2) q[1];
ms(0.1, 0.2, 0.3) q[0], q[1];
iswap q[2], q[0]; ecr q[1], q[3]; cswap q[3], q[2], q[1];
#pragma braket noise bit_flip(0.1) q[0]
#pragma braket noise two_qubit_depolarizing(0.1) q[0], q[1]
#pragma braket noise pauli_channel(0.1, 0.2, 0.3) q[0] // said so
pragma braket noise generalized_amplitude_damping(0.1, 0.25) q[3]
#pragma braket verbatim
box{
h q[0];
cnot q[0], q[1];
rz(theta) q[1];
}
b[0] = measure q[1];
b[1] = measure q[0];

OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
p(0.1) q[0]; x q[1]; y q[2]; z q[0]; h q[1]; s q[2]; sdg q[0]; t q[1]; tdg q[2]; sx q[0];
rx(0.2) q[1]; ry(0.3) q[2]; rz(0.4) q[0]; cx q[1], q[2]; cy q[2], q[0]; cz q[0], q[1];
cp(0.5) q[1], q[2]; crx(0.6) q[2], q[0]; cry(0.7) q[0], q[1]; crz(0.8) q[1], q[2]; ch q[2], q[0];
swap q[0], q[1]; ccx q[2], q[0], q[1]; cswap q[1], q[2], q[0]; cu(0.1, 0.2, 0.3, 0.4) q[0], q[2];
CX q[1], q[0]; phase(0.9) q[2]; cphase(-0.9) q[2], q[1]; id q[0]; u1(0.15) q[1]; u2(0.25, 0.35) q[2];
u3(0.45, 0.55, 0.65) q[0]; U(0.75, 0.85, 0.95) q[1]; gphase(0.05);

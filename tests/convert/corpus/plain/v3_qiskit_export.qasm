OPENQASM 3.0;
include "stdgates.inc";
input float[64] b;
input float[64] _t_0_;
input float[64] _t_1_;
input float[64] θ;
gate rzz(p0) _gate_q_0, _gate_q_1 {
  cx _gate_q_0, _gate_q_1;
  rz(p0) _gate_q_1;
  cx _gate_q_0, _gate_q_1;
}
gate r(p0, p1) _gate_q_0 {
  U(p0, -pi/2 + p1, pi/2 - p1) _gate_q_0;
}
gate ecr _gate_q_0, _gate_q_1 {
  s _gate_q_0;
  sx _gate_q_1;
  cx _gate_q_0, _gate_q_1;
  x _gate_q_0;
}
bit[4] meas;
qubit[4] q;
ry(0.1 + 2*_t_0_) q[0];
rz(_t_0_) q[0];
ry(0.1 + 2*_t_1_) q[1];
rz(-_t_1_) q[1];
cx q[0], q[1];
rzz(θ/2) q[0], q[1];
rx((sin(θ))**2/3 + b*θ) q[0];
rx(-b + (0.1 + θ)*3) q[1];
rx(0.1 - θ/3) q[1];
ecr q[0], q[1];
r(0.1, θ) q[0];
rx(0.0000001*θ) q[0];
rx(2**θ) q[0];
rx(log(exp(θ)) + arcsin(θ) + arctan(θ)) q[0];
U(θ, b, -b) q[3];
barrier q[0], q[1], q[2], q[3];
meas[0] = measure q[0];
meas[1] = measure q[1];
meas[2] = measure q[2];
meas[3] = measure q[3];

OPENQASM 3.0;
include "stdgates.inc";
const int n = 3;
const float step = pi / 8;
qubit[n] q;
for int i in [0:n - 1] {
  h q[i];
  rz(i * step) q[i];
}
for uint i in [2:-1:1] cx q[i], q[i - 1];
for int i in {2, 0} {
  for int j in [0:2:2] { ry(step * (i + j) + 2**i) q[j]; }
}
for float angle_ in {0.25, 0.5} rx(angle_) q[1];
for int i in [5:4] x q[0];
for int i in [0:1] {
  const int next = i + 1;
  cp(pi / 2**next) q[i], q[next];
}

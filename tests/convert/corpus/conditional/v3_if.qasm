OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit[3] q;
bit[3] c;
bit flag;
h q[0];
c[0] = measure q[0];
if (c[0] == 1) { x q[1]; } else { ry(theta) q[1]; }
if (c[0]) x q[2];
if (!c[1]) { x q; barrier q; }
if (c == 5) {
  reset q[1];
  if (c[1] == true && !c[2]) {
    delay[10ns] q[0];
    flag = measure q[2];
  } else {
  }
}
if (c != 6) { cx q[0], q[1]; } else { cz q[0], q[1]; }
if (flag && c[2] != 1 && c[0] == false) rx(2*theta) q[2];
if (flag) {
#pragma braket noise bit_flip(0.125) q[0]
#pragma braket verbatim
  box { h q[0]; }
}
if (c[1]) { }

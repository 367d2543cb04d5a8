// Generated from Cirq

OPENQASM 3.0;
include "stdgates.inc";


// Qubits: [q(0), q(1), q(2)]
qubit[3] q;
bit[3] m_out;


ry(pi*0.0381971863) q[0];
rz(pi*-0.25) q[1];
cx q[0],q[1];
sx q[2];

// Gate: measure
m_out[0] = measure q[0];
m_out[1] = measure q[1];
m_out[2] = measure q[2];

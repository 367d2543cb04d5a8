OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
input angle phi;
input angle[32] lam;
input float gamma2;
qubit[1] q; qubit r;
rx(theta) q[0]; rx(-theta) q[0]; rx(- theta) q[0]; rx(--theta) q[0]; rx(2*theta) q[0]; rx(theta*2) q[0];
rx(theta/2) q[0]; rx(2*theta + 0.3) q[0]; rx(0.3 + 2*theta) q[0]; rx(0.3-2.5*theta) q[0]; rx((theta + 1)*3) q[0];
rx(theta - phi - lam) q[0]; rx(theta - (phi - lam)) q[0]; rx(theta*phi/lam) q[0]; rx(theta/(phi/lam)) q[0];
rx(-theta**2) q[0]; rx((-theta)**2) q[0]; rx(2**theta**phi) q[0]; rx(theta**-1.0) q[0]; rx(2*-theta) q[0];
rx(pi*theta/4) q[0]; rx(tau - theta) q[0]; rx(π/2) q[0]; rx(euler) q[0]; rx(τ/4) q[0];
rx(sin(theta)*cos(phi)) q[0]; rx(sqrt(2)*exp(-theta)) q[0]; rx(sin(pi/2)) q[0]; rx(tan(arctan(theta))) q[0];
rx(4/2) q[0]; rx(7/2.0) q[0]; rx(2**3) q[0]; rx(1.5e-3*gamma2) q[0]; rx(9*8/3) q[0]; rx(theta + 2*pi - pi) q[0];
rx( 2 * ( theta + ( phi ) ) ) q[0]; rx(	theta
+ 1) q[0]; rx(0) q[0]; rx(-0.0) q[0];
u3(theta, phi, lam) q[0]; u2(theta, -phi) q[0]; cu(theta, 1, 2, 3) q[0], r; U(theta, phi + 1, lam) q[0];

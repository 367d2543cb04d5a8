// header comment
OPENQASM 2.0;
include "qelib1.inc";
/* a block comment;
   over two lines */
qreg q[2];
rx(pi/2) q[0]; // trailing; comment
rx(-pi) q[0];
rx(3*pi/8) q[1];
rx(-(pi/4)) q[1];
rx(2^3/10) q[0];
rx(-2^2) q[0];
rx(2^-1) q[0];
rx(2^3^0.5) q[0];
rx(1/2) q[1];
rx(1/2*3) q[1];
rx(sin(pi/3)+cos(0.2)-tan(0.1)*exp(0.5)/sqrt(2)) q[0];
rx(ln(2)) q[0];
rx(1e-3) q[0];
rx(1.5E+2) q[1];
rx(.25) q[1];
rx(4.) q[1];
rx( 0.1 + ( 0.2 ) ) q[1];
rx(0.1 - 0.2 - 0.3) q[0];
rx(8/4/2) q[0];

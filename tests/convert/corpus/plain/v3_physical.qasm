OPENQASM 3.0;
bit[2] b;
#pragma braket verbatim
box {
    rx(pi/2) $5;
    cz $5, $2;
    barrier $5, $2;
}
b[0] = measure $2;
b[1] = measure $5;

"""How large a circuit a text may unroll to: a few words, `qubit[1000000000] q; h q;`, must not fill the memory."""

MAX_QUBITS = 100_000
MAX_INSTRUCTIONS = 1_000_000
MAX_DEFINITION = 100_000
MAX_DIGITS = 300
"""Of a number; a float has no more than 309 in front of its point."""

"""How large a circuit a text may unroll to: a few words, `qubit[1000000000] q; h q;`, must not fill the memory."""

MAX_BYTES = 64 * 1024 * 1024
"""The largest text that is read; a million gates take about half of it, some 5 s and 300 MB."""
MAX_PARSED = 1_000_000
"""Characters that the reference reader takes: its parser needs some 20 s and 430 MB for so many."""
MAX_QUBITS = 100_000
MAX_INSTRUCTIONS = 1_000_000
MAX_DEFINITION = 100_000
MAX_DIGITS = 300
"""Of a number; a float has no more than 309 in front of its point."""

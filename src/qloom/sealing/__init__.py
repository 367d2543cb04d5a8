"""Sealed stages: their code is the host's, and never in the process of a program that uses them."""

"""Peers as warm processes. What is here runs in other environments too: standard library and the peer, nothing else."""

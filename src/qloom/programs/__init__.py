"""Programs: what they are, how they are shipped, what they get, and how a job's child process runs one.

Nothing is loaded here: who declares a program needs `definition` and `context` only, and every process that runs one pays
for what it loads.
"""

"""Where the classical part of jobs runs. `local`: child processes on this machine."""

"""Devices that run quantum tasks in this process; `sim` is the state-vector simulator."""

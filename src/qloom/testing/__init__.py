"""Contract suites for authors of devices, executors, stages and stores, and fakes for tests."""

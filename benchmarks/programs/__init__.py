"""Programs that the figures run as jobs."""

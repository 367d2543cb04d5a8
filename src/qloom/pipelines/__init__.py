"""Pipelines: stages round a device, as values."""

from qloom.pipelines.reading import Branches, Chain, StageCall, calls_of, chain_to_json, read_pipeline, with_options

__all__ = ["Branches", "Chain", "StageCall", "calls_of", "chain_to_json", "read_pipeline", "with_options"]

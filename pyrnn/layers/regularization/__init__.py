"""Layers that act during training only."""

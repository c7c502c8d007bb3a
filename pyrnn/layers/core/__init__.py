"""Layers that every kind of model uses."""

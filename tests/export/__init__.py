"""Tests of pyrnn.export."""

"""Tests of pipelines.buying_group."""

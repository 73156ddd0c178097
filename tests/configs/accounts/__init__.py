"""Tests of configs.accounts."""

"""Wiring of channels: from touches and costs to credit and the cost of customers."""

"""The company as a whole as tables of texts: funnel, forecast and fit."""

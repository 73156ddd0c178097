"""Reads LightGBM model text, and computes predictions and SHAP contributions from it."""

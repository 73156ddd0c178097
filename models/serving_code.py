"""The code file that MLflow keeps with a logged model and runs to serve it; leadscore must be installed there."""

from models.registry import serve

serve()

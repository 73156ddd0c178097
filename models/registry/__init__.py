"""The MLflow model registry: versions, champion and challenger."""

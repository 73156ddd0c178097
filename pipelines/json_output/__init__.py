"""JSON Schema of what each command prints with ``--json``; `docs/json.md` shows the same."""

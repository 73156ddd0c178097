"""The nights on a schedule: deployed, guarded, reported and watched."""

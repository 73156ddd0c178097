"""From a champion to published scores: checks, table, ledger and export."""

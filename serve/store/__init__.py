"""The scores database: tables, transactions, the run ledger and erasure."""

"""Whether what is stored agrees: table and ledger, exports and deliveries."""

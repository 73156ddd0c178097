"""The ideal customer profile of a company, and how its accounts fit it."""

"""The page to look at: one self-contained HTML file of a night's scores."""

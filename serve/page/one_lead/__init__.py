"""The details of one lead: figures, reasons, history, events, and what is not known."""

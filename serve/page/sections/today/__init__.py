"""What a sales lead needs to know today, from all other sections."""

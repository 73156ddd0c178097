"""What counts as the same id: rounded ids, ids of several leads, ids that nearly meet."""

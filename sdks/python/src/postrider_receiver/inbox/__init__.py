"""What handles verified events exactly once, in three modes, and locks."""

"""What was read: polls, rosters, logs and users, as rows, and sets of them counted."""

"""Facts as rows: polls, rosters, logs and users, and counts of sets of users."""

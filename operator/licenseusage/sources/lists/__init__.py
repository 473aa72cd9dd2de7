"""Lists of users with their times: pages fetched, read as columns, checked and tallied."""

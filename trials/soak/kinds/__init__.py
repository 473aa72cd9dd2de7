"""Products of other kinds than lists with times: what each answers, and what it may lose."""

"""The file: its schema, migrations, copies, and what a disk can do to it; no rule of the number."""

"""The file: schema, migrations, copies, and errors of the disk; no rule of the number."""

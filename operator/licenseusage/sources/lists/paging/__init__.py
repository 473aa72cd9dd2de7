"""Pagination: a class for each type, and what its pages prove.

A list moves while it is read: users are created, removed and become active between two pages. So
offset pages in the order of an immutable key overlap by one row, key cursors must ascend, and
anything else proves nothing beyond its first page, unless two passes in a row give the same ids
(MEASUREMENT §3.6, §0).

To add a type: a struct in ``definition.model``, a class here that is a `Pager`, and its line in
`pager_of`.
"""

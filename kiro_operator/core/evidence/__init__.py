"""What polled sources give: one file a source, its key beside the types of its value.

A key is all it takes to make a source known: checks name it, an adapter answers for it, fixtures are
read by its type.
"""

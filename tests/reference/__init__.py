"""The judge: a slow, obvious model of page tables as sets of keys.

It is derived from the published rules alone and shares no code with ptcalc's engine and policies.  For every
process, every mapping and every touched base page it writes down which table of each level holds the page; a
table is a key, tables are a Python set, memory is the size of the set.

Where the rules leave two readings, the reading taken is marked ``READING`` in the code.
"""

"""The kinds of jobs and RPC tasks: KINDS and TASKS list all of them, with the input and the result of each.

Data alone: tables, the rules of the queue and both edges read it, and it knows none of them.
"""

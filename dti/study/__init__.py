"""The study: methods compared on many concepts with common random numbers, frozen in a manifest before the run.

Stages, each resumable and shardable: train, render, score, report. `dti study` is its command line.
"""

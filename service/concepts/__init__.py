"""Concepts and the jobs that use them: trainings, generations and interpolations."""

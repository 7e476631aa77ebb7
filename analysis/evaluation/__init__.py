"""Measuring what the service finds against what is known: corpora with a manifest, tasks, figures with confidence intervals.

`manage.py evaluate` is the command. A task is a module of `tasks` and fits `task.Task`. No database is needed anywhere here.
"""

"""The tasks of `manage.py evaluate`, one a module; `analysis.evaluation.task` names them."""
